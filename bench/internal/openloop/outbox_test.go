package openloop

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func TestMessagesAreAppendedWhenTheyAreDueHoweverLongTheOthersTake(t *testing.T) {
	t.Parallel()
	const n, rate = 100, 500
	url := testenv.Database(t)
	a, err := NewAppender(t.Context(), url, "changes")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	begin := time.Now()
	for range 2 {
		all, err := a.Append(t.Context(), n, Steady(time.Now(), rate))
		if err != nil || len(all) != n {
			t.Fatalf("%d messages, %v", len(all), err)
		}
		for i, m := range all {
			if m.Due.Before(begin) || m.Committed.Before(m.Due) || m.Committed.After(time.Now()) {
				t.Fatalf("message %d: %+v", i, m)
			}
		}
		if last := all[n-1].Due.Sub(all[0].Due); last < (n-1)*time.Second/rate {
			t.Errorf("the last one was due %s after the first", last)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	var rows, transactions int
	const appended = `select count(*), count(distinct xmin::text) from outbox_messages where topic = 'changes'`
	if err := conn.QueryRow(t.Context(), appended).Scan(&rows, &transactions); err != nil || rows != 2*n ||
		transactions != 2*n {
		t.Errorf("%d messages in %d transactions, %v; want %d in as many", rows, transactions, err, 2*n)
	}
}

func TestEachMessagesArrivalIsNotedAndSoIsOneThatComesTwice(t *testing.T) {
	t.Parallel()
	topic := testenv.Topic(t, 3)
	config := config(0)
	producer, err := sarama.NewSyncProducer(testenv.Brokers(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	send := func(ids ...string) {
		for _, id := range ids {
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{
				Topic: topic, Key: sarama.StringEncoder(id),
				Headers: []sarama.RecordHeader{{Key: []byte("ce_id"), Value: []byte(id)}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	a, err := NewArrivals(testenv.Brokers(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reading := make(chan error, 1)
	go func() { reading <- a.Run(ctx) }()
	begin := time.Now()
	send("0", "1", "1", "2")
	testenv.Eventually(t, 20*time.Second, "three messages have come, one of them twice", func() bool {
		return a.Total() == 3 && len(a.Again()) == 1
	})
	stop()
	if err := <-reading; err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if at, ok := a.At(n); !ok || at.Before(begin) || at.After(time.Now()) {
			t.Errorf("message %d came at %s, %t", n, at, ok)
		}
	}
	if _, ok := a.At(3); ok || a.Again()[0] != 1 {
		t.Errorf("a message came that was not sent, or %v came twice", a.Again())
	}
}
