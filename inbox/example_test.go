package inbox_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/inbox"
	"onhand/internal/testenv"
)

// signups reads records such as `s-17 ada@example.com`: an id and an address.
type signups struct{}

func (signups) Decode(r *inbox.Record) (inbox.Event, error) {
	id, address, ok := strings.Cut(string(r.Value), " ")
	if !ok {
		return inbox.Event{}, inbox.Park("no_address")
	}
	return inbox.Event{ID: id, Fingerprint: inbox.FingerprintBytes(r.Value), Body: address}, nil
}

// welcome opens an account for each sign-up. An address that has one already is refused: a business "no".
func welcome(ctx context.Context, tx inbox.Tx, e inbox.Event) error {
	tag, err := tx.Exec(ctx, `insert into accounts (address) values ($1) on conflict do nothing`, e.Body)
	if err == nil && tag.RowsAffected() == 0 {
		return inbox.Reject("address_taken")
	}
	return err
}

// Accounts from sign-ups, each exactly once, whatever is sent twice and whoever crashes. The handler knows nothing of
// Kafka, of positions or of duplicates.
func Example() {
	brokers, databaseURL, topic, done := testenv.ForExample()
	defer done()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	pool, err := pgxpool.New(ctx, databaseURL)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `create table accounts (address text primary key)`); err != nil {
		log.Fatal(err)
	}
	send(brokers, topic, "s-1 ada@example.com", "s-2 bob@example.com", "s-1 ada@example.com", "s-3 bob@example.com", "?")

	consumer, err := inbox.New(inbox.Config{
		Brokers: brokers, Topics: []string{topic}, Group: topic, Pool: pool, Installation: uuid.New(),
		Decoder: signups{}, Handler: welcome,
	})
	if err != nil {
		log.Fatal(err)
	}
	running := make(chan error, 1)
	go func() { running <- consumer.Run(ctx) }()

	var applied, rejected, duplicate, parked int
	for applied+rejected+duplicate+parked < 5 {
		const counters = `select coalesce(sum(applied), 0), coalesce(sum(rejected), 0), coalesce(sum(duplicate), 0),
		  coalesce(sum(parked), 0) from offsets`
		if err := pool.QueryRow(ctx, counters).Scan(&applied, &rejected, &duplicate, &parked); err != nil {
			log.Fatal(err)
		}
	}
	stop()
	if err := <-running; err != nil {
		log.Fatal(err)
	}
	fmt.Println("applied", applied, "rejected", rejected, "duplicate", duplicate, "parked", parked)
	// Output: applied 2 rejected 1 duplicate 1 parked 1
}

func send(brokers []string, topic string, values ...string) {
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	for _, v := range values {
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topic, Value: sarama.StringEncoder(v),
		}); err != nil {
			log.Fatal(err)
		}
	}
}
