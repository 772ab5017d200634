// Package backlog prepares the topics that all contestants read, and says what must come out of them.
package backlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/workload"
)

// patience is how long a broker may take to answer.
const patience = 15 * time.Second

// Events are kinds of events that a topic holds.
type Events string

// The kinds of events. Those of a shop are on rows of stock that must be there before: workload.OpeningStock.
const (
	Plain        Events = ""             // 25 % receipts, 70 % sales, 5 % adjustments, each on one SKU, which is their key
	Orders       Events = "orders"       // sales of five lines, and deliveries
	Reservations Events = "reservations" // orders that are reserved, and fulfilled or released later
)

// reservationSeconds is how long after its record a reservation lapses; 0 = never.
const reservationSeconds = 0

// Shape is what the events are like, each 170 to 400 bytes of JSON. Two of the same shape and length hold the same
// events.
type Shape struct {
	Partitions int     `json:"partitions"`
	SKUs       int     `json:"skus"`
	Skew       float64 `json:"skew"`       // 0 = SKUs drawn evenly, else the exponent of a Zipf distribution
	Duplicates float64 `json:"duplicates"` // share of records that send an earlier event again
	RandomIDs  bool    `json:"random_ids"` // UUIDv4 instead of UUIDv7
	Stocked    bool    `json:"stocked"`    // a receipt of every SKU comes before everything else

	Events Events `json:"events,omitempty"` // those of a shop have partitions and SKUs, and nothing else of the above
}

// OfShop says whether events have several lines, are counted by them, find stock, and share it among partitions.
func (s Shape) OfShop() bool { return s.Events != Plain }

// Generator makes events of this shape.
func (s Shape) Generator() (workload.Source, error) {
	shop := workload.ShopConfig{Seed: 1, SKUs: s.SKUs, TTL: reservationSeconds}
	switch s.Events {
	case Orders:
		return workload.NewOrders(shop)
	case Reservations:
		return workload.NewReservations(shop)
	}
	return workload.New(workload.Config{
		Seed: 1, SKUs: s.SKUs, Skew: s.Skew, Duplicates: s.Duplicates, RandomIDs: s.RandomIDs,
		Stocked: s.Stocked,
	})
}

// Backlog is a topic that is not written any more, and what must come out of it.
type Backlog struct {
	Topic string
	Books *Books
}

// MakeTopic makes an empty topic.
func MakeTopic(ctx context.Context, brokers []string, topic string, partitions int) (err error) {
	sender, err := workload.NewSender(brokers, topic)
	if err != nil {
		return err
	}
	_, _, err = sender.EnsureTopic(ctx, int32(partitions))
	return errors.Join(err, sender.Close())
}

// DropTopic removes a topic and what is in it.
func DropTopic(brokers []string, topic string) (err error) {
	admin, err := sarama.NewClusterAdmin(brokers, kafkalog.Config("onhand-bench", patience))
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	if err := admin.DeleteTopic(topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	return nil
}

// Write makes the topic with that many records, and reads it back to know what must come out of it.
func Write(ctx context.Context, brokers []string, topic string, records int, shape Shape) (b *Backlog, err error) {
	generator, err := shape.Generator()
	if err != nil {
		return nil, err
	}
	sender, err := workload.NewSender(brokers, topic)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sender.Close()) }()
	if _, _, err := sender.EnsureTopic(ctx, int32(shape.Partitions)); err != nil {
		return nil, err
	}
	if err := sender.Send(ctx, generator, records, workload.Unlimited); err != nil {
		return nil, err
	}
	if b, err = Read(ctx, brokers, topic, shape); err != nil {
		return nil, err
	}
	if b.Books.Records != int64(records) {
		return nil, fmt.Errorf("topic %s holds %d records, %d were written", topic, b.Books.Records, records)
	}
	return b, nil
}

// Read says what must come out of a topic of that shape that somebody else has written.
func Read(ctx context.Context, brokers []string, topic string, shape Shape) (*Backlog, error) {
	books, err := fold(ctx, brokers, topic, newBooks(shape))
	if err != nil {
		return nil, err
	}
	return &Backlog{Topic: topic, Books: books}, nil
}

// fold reads the topic from its beginning to its end.
func fold(ctx context.Context, brokers []string, topic string, books *Books) (*Books, error) {
	client, reader, err := kafkalog.Connect(ctx, brokers, "onhand-bench", patience)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	partitions, err := reader.Partitions(topic)
	if err != nil {
		return nil, err
	}
	for _, at := range partitions {
		end, err := client.GetOffset(topic, at.Partition, sarama.OffsetNewest)
		if err != nil {
			return nil, fmt.Errorf("find the end of %s: %w", at, err)
		}
		err = reader.Scan(ctx, at, 0, end, func(m *sarama.ConsumerMessage) error { return books.add(m.Value) })
		if err != nil {
			return nil, err
		}
		books.endPartition()
	}
	return books, nil
}
