package outbox_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
	"onhand/outbox"
)

// orders takes orders over HTTP. Each is a row, and a message that tells others of it: both or neither.
type orders struct {
	pool  *pgxpool.Pool
	topic string
}

func (o orders) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		var id int64
		const insert = `insert into orders (customer, sku) values ($1, $2) returning id`
		if err := tx.QueryRow(ctx, insert, r.FormValue("customer"), r.FormValue("sku")).Scan(&id); err != nil {
			return err
		}
		_, err := outbox.Append(ctx, tx, outbox.Message{
			Topic:   o.topic,
			Key:     []byte(r.FormValue("customer")), // one customer's messages stay in order
			Payload: fmt.Appendf(nil, `{"order":%d,"sku":%q}`, id, r.FormValue("sku")),
			Event: &outbox.CloudEvent{
				ID: fmt.Sprint("order-", id), Source: "/shop", Type: "order.placed", DataContentType: "application/json",
			},
		})
		return err
	})
	if err != nil {
		http.Error(w, "no order", http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// Orders that come in over HTTP and leave to Kafka, each exactly once. One that is refused leaves no trace.
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
	const table = `create table orders (
	  id bigint generated always as identity primary key,
	  customer text not null check (customer <> ''),
	  sku text not null)`
	if _, err := pool.Exec(ctx, table); err != nil {
		log.Fatal(err)
	}

	relay, err := outbox.NewRelay(outbox.Config{
		Brokers: brokers, Pool: pool, Installation: uuid.New(), PositionTopic: topic, Member: "shop",
	})
	if err != nil {
		log.Fatal(err)
	}
	running := make(chan error, 1)
	go func() { running <- relay.Run(ctx) }()

	shop := httptest.NewServer(orders{pool, topic})
	defer shop.Close()
	for _, order := range []url.Values{
		{"customer": {"ada"}, "sku": {"TEA"}}, {"customer": {""}, "sku": {"TEA"}}, {"customer": {"ada"}, "sku": {"CUP"}},
	} {
		answer, err := shop.Client().PostForm(shop.URL, order)
		if err != nil {
			log.Fatal(err)
		}
		_ = answer.Body.Close()
		fmt.Println(answer.Status)
	}
	listen(brokers, topic, 2)
	stop()
	if err := <-running; err != nil {
		log.Fatal(err)
	}
	// Output:
	// 201 Created
	// 422 Unprocessable Entity
	// 201 Created
	// ada {"order":1,"sku":"TEA"}
	// ada {"order":3,"sku":"CUP"}
}

// listen prints the first n messages, as everybody sees them who reads committed records.
func listen(brokers []string, topic string, n int) {
	config := sarama.NewConfig()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer(brokers, config)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = partition.Close() }()
	for range n {
		m := <-partition.Messages()
		fmt.Println(string(m.Key), string(m.Value))
	}
}
