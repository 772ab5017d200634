package workload

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// drainTimeout is how long Send waits, once it stops feeding, for the records on their way.
const drainTimeout = 10 * time.Second

// Source makes records, one after another, without end: a Generator, or a shop.
type Source interface{ Next() Record }

// Sender puts records into one topic: each exactly once in the log and, for one key, in the order they were made.
type Sender struct {
	client  sarama.Client
	topic   string
	written [3]atomic.Int64 // by Class
}

// Counts says how many records are in the log, by class.
type Counts struct{ Fresh, Duplicates, Bad int64 }

// Total is all of them.
func (c Counts) Total() int64 { return c.Fresh + c.Duplicates + c.Bad }

// NewSender connects to the cluster. Close is the caller's duty.
func NewSender(brokers []string, topic string) (*Sender, error) {
	client, err := sarama.NewClient(brokers, config())
	if err != nil {
		return nil, fmt.Errorf("reach the brokers %v: %w", brokers, err)
	}
	return &Sender{client: client, topic: topic}, nil
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "onhand-produce"
	c.Version = sarama.V3_6_0_0
	c.Net.DialTimeout = 5 * time.Second
	// A topic is created by EnsureTopic or not at all, never by asking for it.
	c.Metadata.AllowAutoTopicCreation = false
	// One request in flight and sequence numbers: retries neither repeat nor reorder. Enough retries for a broker that
	// restarts.
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	c.Producer.Retry.Max = 100
	c.Producer.Return.Successes = true
	c.Producer.Compression = sarama.CompressionLZ4
	c.Producer.Partitioner = sarama.NewHashPartitioner // by key, so a SKU keeps its order
	return c
}

// Send makes and sends n records at the given pace, and returns when all are in the log. When ctx is cancelled or a
// record fails it stops feeding, waits up to 10 s for those on their way, and returns the reason.
func (s *Sender) Send(ctx context.Context, g Source, n int, pace Pace) error {
	producer, err := sarama.NewAsyncProducerFromClient(s.client)
	if err != nil {
		return fmt.Errorf("start producing: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var unsettled sync.WaitGroup
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.collect(producer, &unsettled, stop)
	}()
	s.feed(ctx, producer.Input(), &unsettled, g, n, pace)
	settled := make(chan struct{})
	go func() {
		unsettled.Wait()
		close(settled)
	}()

	// Under cancellation the brokers may be gone: sarama's own retries would take minutes to give up.
	var timeout <-chan time.Time
	cancelled := ctx.Done()
	for {
		select {
		case <-settled:
			// Not earlier: a producer that is closing fails what it was about to try again.
			producer.AsyncClose()
			<-drained
			return context.Cause(ctx)
		case <-cancelled:
			cancelled, timeout = nil, time.After(drainTimeout)
		case <-timeout:
			producer.AsyncClose()
			return fmt.Errorf("%w; what was on its way then is in doubt", context.Cause(ctx))
		}
	}
}

// feed hands over records until there are n or ctx ends. Each one handed over is unsettled until collect hears of it.
func (s *Sender) feed(
	ctx context.Context, input chan<- *sarama.ProducerMessage, unsettled *sync.WaitGroup, g Source, n int, pace Pace,
) {
	for i := range n {
		if !pace(ctx, i) {
			return
		}
		r := g.Next()
		m := &sarama.ProducerMessage{Topic: s.topic, Key: sarama.ByteEncoder(r.Key), Metadata: r.Class}
		if r.Value != nil { // else a tombstone: an encoder of no bytes would send an empty value
			m.Value = sarama.ByteEncoder(r.Value)
		}
		unsettled.Add(1)
		select {
		case input <- m:
		case <-ctx.Done():
			unsettled.Done()
			return
		}
	}
}

// collect counts what is in the log until the producer closes, and calls stop at the first failure.
func (s *Sender) collect(producer sarama.AsyncProducer, unsettled *sync.WaitGroup, stop context.CancelCauseFunc) {
	successes, failures := producer.Successes(), producer.Errors()
	for successes != nil || failures != nil {
		select {
		case m, open := <-successes:
			if !open {
				successes = nil
				continue
			}
			class, _ := m.Metadata.(Class) // feed set it
			s.written[class].Add(1)
			unsettled.Done()
		case failure, open := <-failures:
			if !open {
				failures = nil
				continue
			}
			stop(fmt.Errorf("write to topic %s: %w", s.topic, failure.Err))
			unsettled.Done()
		}
	}
}

// Counts says what is in the log so far. It may be called while Send runs.
func (s *Sender) Counts() Counts {
	return Counts{
		Fresh:      s.written[Fresh].Load(),
		Duplicates: s.written[Duplicate].Load(),
		Bad:        s.written[Bad].Load(),
	}
}

// Close ends the connections.
func (s *Sender) Close() error { return s.client.Close() }
