package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// coordinator speaks to the broker that keeps a transactional id's state, as a producer does that has nothing to say:
// the client's own producer ends a transaction only where it has written itself.
type coordinator struct {
	client  sarama.Client
	id      string
	timeout time.Duration // of transactions
}

// producerID is what Kafka gives to the one who began last.
type producerID struct {
	id    int64
	epoch int16
}

// The versions are those that the oldest supported broker knows.
const (
	initProducerVersion = 4
	inTransaction       = 3
)

// errNoTransaction is a transactional id that no broker has heard of.
const errNoTransaction = sarama.KError(105)

// state is the name that Kafka has for what became of the last transaction, and whose it was; empty = there was none.
func (c *coordinator) state(ctx context.Context) (state string, p producerID, err error) {
	err = c.ask(ctx, "describe the last transaction", func(b *sarama.Broker) error {
		answer, err := b.DescribeTransactions(&sarama.DescribeTransactionsRequest{TransactionalIDs: []string{c.id}})
		if err != nil {
			return err
		}
		if len(answer.TransactionStates) != 1 {
			return sarama.ErrIncompleteResponse
		}
		s := answer.TransactionStates[0]
		state, p = s.TransactionState, producerID{s.ProducerID, s.ProducerEpoch}
		return failure(s.ErrorCode)
	})
	if errors.Is(err, errNoTransaction) {
		return "", p, nil
	}
	return state, p, err
}

// begin fences every other producer, has Kafka end what it had under way, and waits for that.
func (c *coordinator) begin(ctx context.Context) (p producerID, err error) {
	request := &sarama.InitProducerIDRequest{
		Version: initProducerVersion, TransactionalID: &c.id, TransactionTimeout: c.timeout,
		ProducerID: -1, ProducerEpoch: -1,
	}
	err = c.ask(ctx, "begin as the producer "+c.id, func(b *sarama.Broker) error {
		answer, err := b.InitProducerID(request)
		if err != nil {
			return err
		}
		p = producerID{answer.ProducerID, answer.ProducerEpoch}
		return failure(answer.Err)
	})
	return p, err
}

// add makes partitions part of a transaction, but for those that may not be written, or do not exist. It returns how
// many are in it.
func (c *coordinator) add(ctx context.Context, p producerID, partitions []kafkalog.TopicPartition) (int, error) {
	left := slices.Clone(partitions)
	err := c.ask(ctx, "add partitions to a transaction", func(b *sarama.Broker) error {
		if len(left) == 0 {
			return nil
		}
		request := &sarama.AddPartitionsToTxnRequest{
			Version: inTransaction, TransactionalID: c.id, ProducerID: p.id, ProducerEpoch: p.epoch,
			TopicPartitions: make(map[string][]int32),
		}
		for _, tp := range left {
			request.TopicPartitions[tp.Topic] = append(request.TopicPartitions[tp.Topic], tp.Partition)
		}
		answer, err := b.AddPartitionsToTxn(request)
		if err != nil {
			return err
		}
		var failed, refused error
		for topic, partitions := range answer.Errors {
			for _, a := range partitions {
				switch blameOf(a.Err) {
				case blameTopic:
					refused = errAskAgain
					left = slices.DeleteFunc(left, func(tp kafkalog.TopicPartition) bool { return tp.Topic == topic })
				case blameTurn: // of another one
				default:
					failed = errors.Join(failed, failure(a.Err))
				}
			}
		}
		return errors.Join(failed, refused)
	})
	return len(left), err
}

// addOffsets makes the position of group part of a transaction.
func (c *coordinator) addOffsets(ctx context.Context, p producerID, group string) error {
	return c.ask(ctx, "add the position to a transaction", func(b *sarama.Broker) error {
		answer, err := b.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{
			Version: inTransaction, TransactionalID: c.id, ProducerID: p.id, ProducerEpoch: p.epoch, GroupID: group,
		})
		if err != nil {
			return err
		}
		return failure(answer.Err)
	})
}

// end commits or aborts a transaction.
func (c *coordinator) end(ctx context.Context, p producerID, commit bool) error {
	return c.ask(ctx, "end a transaction", func(b *sarama.Broker) error {
		answer, err := b.EndTxn(&sarama.EndTxnRequest{
			Version: inTransaction, TransactionalID: c.id, ProducerID: p.id, ProducerEpoch: p.epoch,
			TransactionResult: commit,
		})
		if err != nil {
			return err
		}
		return failure(answer.Err)
	})
}

func failure(err sarama.KError) error {
	if err == sarama.ErrNoError {
		return nil
	}
	return err
}

// errAskAgain is for a request that the next time will be another one.
var errAskAgain = errors.New("ask again")

const askAgainPause = 20 * time.Millisecond

// ask repeats a request until it is answered, ctx ends, or an error does not pass by itself.
func (c *coordinator) ask(ctx context.Context, what string, request func(*sarama.Broker) error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	for {
		b, err := c.client.TransactionCoordinator(c.id)
		if err == nil {
			err = request(b)
		}
		switch {
		case err == nil:
			return nil
		case b != nil && lostBroker(err):
			_ = b.Close()
			fallthrough
		case errors.Is(err, sarama.ErrNotCoordinatorForConsumer), errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable):
			_ = c.client.RefreshTransactionCoordinator(c.id)
		case errors.Is(err, errAskAgain), errors.Is(err, sarama.ErrConcurrentTransactions),
			errors.Is(err, sarama.ErrOffsetsLoadInProgress):
		default:
			return fmt.Errorf("%s: %w", what, err)
		}
		pause(ctx, askAgainPause)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w (%w)", what, err, ctx.Err())
		}
	}
}

// lostBroker reports whether err is one of the connection.
func lostBroker(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, sarama.ErrNotConnected)
}
