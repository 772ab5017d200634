package openloop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"onhand/internal/kafkalog"
)

// brokerPatience is how long a broker may take to answer.
const brokerPatience = 15 * time.Second

// Arrivals reads a topic as its consumers do, committed records only, and notes when each of an Appender's messages
// comes.
type Arrivals struct {
	client   sarama.Client
	consumer sarama.Consumer
	claims   []sarama.PartitionConsumer

	mu    sync.Mutex
	at    map[int]time.Time
	again []int // messages that came more than once
}

// NewArrivals begins to read. Run must follow, and ends it.
func NewArrivals(brokers []string, topic string) (*Arrivals, error) {
	client, err := sarama.NewClient(brokers, kafkalog.Config("onhand-bench-reader", brokerPatience))
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	a := &Arrivals{client: client, at: make(map[int]time.Time)}
	if err := a.begin(topic); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *Arrivals) begin(topic string) (err error) {
	if a.consumer, err = sarama.NewConsumerFromClient(a.client); err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	partitions, err := a.client.Partitions(topic)
	if err != nil {
		return fmt.Errorf("look up topic %s: %w", topic, err)
	}
	for _, p := range partitions {
		claim, err := a.consumer.ConsumePartition(topic, p, 0)
		if err != nil {
			return fmt.Errorf("consume %s/%d: %w", topic, p, err)
		}
		a.claims = append(a.claims, claim)
	}
	return nil
}

// Run notes what comes until ctx ends.
func (a *Arrivals) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	for _, claim := range a.claims {
		group.Go(func() error { return a.read(running, claim) })
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, a.close())
}

func (a *Arrivals) read(ctx context.Context, claim sarama.PartitionConsumer) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case failure := <-claim.Errors():
			return fmt.Errorf("read messages: %w", failure)
		case m := <-claim.Messages():
			if m == nil {
				return errors.New("read messages: the log ended early")
			}
			now := time.Now()
			n, err := number(m)
			if err != nil {
				return err
			}
			a.note(n, now)
		}
	}
}

// number is a message's, which its CloudEvents id says.
func number(m *sarama.ConsumerMessage) (int, error) {
	for _, h := range m.Headers {
		if string(h.Key) == "ce_id" {
			return strconv.Atoi(string(h.Value))
		}
	}
	return 0, fmt.Errorf("a message at %s/%d, offset %d, without its id", m.Topic, m.Partition, m.Offset)
}

func (a *Arrivals) note(n int, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.at[n]; known {
		a.again = append(a.again, n)
		return
	}
	a.at[n] = now
}

// Total is how many messages have come.
func (a *Arrivals) Total() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// At is when message n came.
func (a *Arrivals) At(n int) (at time.Time, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok = a.at[n]
	return at, ok
}

// Again are the messages that came more than once, which none may.
func (a *Arrivals) Again() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.again
}

func (a *Arrivals) close() error {
	var errs []error
	for _, claim := range a.claims {
		claim.AsyncClose()
		// Closing waits until what was read is taken, and errors too.
		for range claim.Messages() {
			continue
		}
		for range claim.Errors() {
			continue
		}
	}
	if a.consumer != nil {
		errs = append(errs, a.consumer.Close())
	}
	return errors.Join(append(errs, a.client.Close())...)
}
