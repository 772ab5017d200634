// Package kafkalog says what a Kafka cluster holds: its topics and their identity, where each partition's log starts
// and ends, and what lies in it. It never joins a group, and never creates a topic.
//
// sarama's calls take no context. Every function here takes one and returns when it ends; the request that was under
// way then ends on its own, within a few times the client's Net.DialTimeout + Net.ReadTimeout, and its answer is
// dropped.
package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"

	"github.com/IBM/sarama"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (tp TopicPartition) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }

// Reader asks a cluster's brokers. It is safe for concurrent use, and has nothing to close.
type Reader struct {
	client sarama.Client
}

// NewReader returns a Reader that asks through client, which stays the caller's to close. sarama sends one request at a
// time to each broker of a client, so a client that also consumes makes the Reader wait behind its fetches (up to
// Consumer.MaxWaitTime each): give it one of its own where that matters.
func NewReader(client sarama.Client) (*Reader, error) {
	// Topic ids come with Metadata version 10, which sarama sends from here on; without them a topic that was created
	// again looks like the old one.
	if v := client.Config().Version; !v.IsAtLeast(sarama.V2_8_0_0) {
		return nil, fmt.Errorf("read the log: protocol version %s is below 2.8.0 and knows no topic ids", v)
	}
	return &Reader{client: client}, nil
}

// within runs fn and waits for it no longer than ctx.
func within[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := fn()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// ask runs request on b, and once more if b's connection turns out to be dead: one that was idle while its broker
// restarted fails at the first use. A timeout is not asked again, the caller has waited long enough.
func (r *Reader) ask(b *sarama.Broker, request func() error) error {
	_ = b.Open(r.client.Config()) // already open is fine, and any other error comes back from the request
	err := request()
	var kafka sarama.KError
	var timeout net.Error
	if err == nil || errors.As(err, &kafka) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return err
	}
	_ = b.Open(r.client.Config())
	return request()
}

// askAny runs request on one broker after another until one answers.
func (r *Reader) askAny(request func(*sarama.Broker) error) error {
	var errs []error
	// Twice: when none answers, their addresses may have changed, and the client's seeds know better.
	for range 2 {
		brokers := r.client.Brokers()
		rand.Shuffle(len(brokers), func(i, j int) { brokers[i], brokers[j] = brokers[j], brokers[i] })
		for _, b := range brokers {
			err := r.ask(b, func() error { return request(b) })
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		if err := r.client.RefreshMetadata(); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

// broker returns the broker with id, which a fresh answer named and the client may not have met yet.
func (r *Reader) broker(id int32) (*sarama.Broker, error) {
	b, err := r.client.Broker(id)
	if !errors.Is(err, sarama.ErrBrokerNotFound) {
		return b, err
	}
	if err := r.client.RefreshMetadata(); err != nil {
		return nil, err
	}
	return r.client.Broker(id)
}
