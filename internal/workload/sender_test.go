package workload

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func newSender(t *testing.T, topic string) *Sender {
	t.Helper()
	s, err := NewSender(testenv.Brokers(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newGenerator(t *testing.T, cfg Config) *Generator {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// readAll returns the values in the topic by key, in the order of their partition.
func readAll(t *testing.T, topic string, partitions int32) map[string][]string {
	t.Helper()
	client, err := sarama.NewClient(testenv.Brokers(t), config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	values := map[string][]string{}
	for p := range partitions {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		if end == 0 {
			continue
		}
		records, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		for r := range records.Messages() {
			values[string(r.Key)] = append(values[string(r.Key)], string(r.Value))
			if r.Offset == end-1 {
				break
			}
		}
		if err := records.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return values
}

func TestEachRecordIsWrittenOnceAndInOrderForItsKey(t *testing.T) {
	t.Parallel()
	const n, partitions = 20_000, 5
	topic := testenv.Topic(t, partitions)
	cfg := Config{Seed: 4, SKUs: 50, Duplicates: 0.05, Bad: 0.05}

	want := map[string][]string{}
	var counts Counts
	for _, r := range generate(t, cfg, n) {
		want[string(r.Key)] = append(want[string(r.Key)], string(r.Value))
		switch r.Class {
		case Fresh:
			counts.Fresh++
		case Duplicate:
			counts.Duplicates++
		case Bad:
			counts.Bad++
		}
	}

	s := newSender(t, topic)
	cfg.Now = clock()
	if err := s.Send(t.Context(), newGenerator(t, cfg), n, Unlimited); err != nil {
		t.Fatal(err)
	}
	if s.Counts() != counts || s.Counts().Total() != n {
		t.Errorf("counted %+v, want %+v", s.Counts(), counts)
	}
	got := readAll(t, topic, partitions)
	if len(got) != len(want) {
		t.Fatalf("%d keys, want %d", len(got), len(want))
	}
	for key, values := range want {
		if len(got[key]) != len(values) {
			t.Fatalf("%s: %d records, want %d", key, len(got[key]), len(values))
		}
		for i := range values {
			if got[key][i] != values[i] {
				t.Fatalf("%s: record %d is %s, want %s", key, i, got[key][i], values[i])
			}
		}
	}
}

func TestATopicIsCreatedOnlyWhenItIsMissing(t *testing.T) {
	t.Parallel()
	existing := newSender(t, testenv.Topic(t, 3))
	if count, created, err := existing.EnsureTopic(t.Context(), 7); count != 3 || created || err != nil {
		t.Errorf("existing: %d partitions, created %t, %v", count, created, err)
	}
	missing := newSender(t, "workload-"+t.Name())
	if count, created, err := missing.EnsureTopic(t.Context(), 7); count != 7 || !created || err != nil {
		t.Errorf("missing: %d partitions, created %t, %v", count, created, err)
	}
	if count, created, err := missing.EnsureTopic(t.Context(), 9); count != 7 || created || err != nil {
		t.Errorf("there by now: %d partitions, created %t, %v", count, created, err)
	}
}

func TestEachPartitionOfATopicThatIsCreatedIsLed(t *testing.T) {
	t.Parallel()
	s := newSender(t, "workload-"+t.Name())
	const partitions = 200
	if _, _, err := s.EnsureTopic(t.Context(), partitions); err != nil {
		t.Fatal(err)
	}
	reader, err := kafkalog.NewReader(s.client)
	if err != nil {
		t.Fatal(err)
	}
	tps, err := reader.Partitions(s.topic)
	if err != nil {
		t.Fatal(err)
	}
	// It asks once: a partition whose leader does not answer for it is absent.
	ranges, err := reader.Ranges(t.Context(), tps)
	if err != nil || len(ranges) != partitions {
		t.Errorf("%d partitions answer, want %d; %v", len(ranges), partitions, err)
	}
}

func TestCancellingEndsWithAllThatWasSentInTheLog(t *testing.T) {
	t.Parallel()
	topic := testenv.Topic(t, 1)
	s := newSender(t, topic)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Int64
	pace := func(ctx context.Context, i int) bool {
		if asked.Add(1); i == 500 {
			cancel()
		}
		return ctx.Err() == nil
	}
	err := s.Send(ctx, newGenerator(t, Config{}), 1_000_000, pace)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	written := 0
	for _, values := range readAll(t, topic, 1) {
		written += len(values)
	}
	if total := s.Counts().Total(); total != int64(written) || total != 500 {
		t.Errorf("%d counted, %d in the log, want 500", total, written)
	}
	if asked.Load() > 501 {
		t.Errorf("it went on for %d records", asked.Load()-501)
	}
}

func TestASteadyPaceIsKeptAndLostTimeIsNotMadeUpFor(t *testing.T) {
	t.Parallel()
	const rate = 2000
	pace := Steady(rate)
	begin := time.Now()
	for i := range 1000 {
		if !pace(t.Context(), i) {
			t.Fatal("it gave up")
		}
	}
	if took := time.Since(begin); took < 440*time.Millisecond { // 500 ms, less what it may be late at the start
		t.Errorf("1000 records in %s, faster than %d a second", took, rate)
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	slow := Steady(1)
	slow(t.Context(), 0)
	if slow(ended, 1) {
		t.Error("it goes on after the end")
	}
}
