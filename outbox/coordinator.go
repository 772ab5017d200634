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

// coordinator speaks to the broker that keeps a transactional id's state.
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
		answer, err := b.AddPartitionsToTxn(c.addRequest(p, left))
		if err != nil {
			return err
		}
		refused, failed := readAdded(answer)
		if len(refused) > 0 {
			left = slices.DeleteFunc(left, func(tp kafkalog.TopicPartition) bool { return refused[tp.Topic] != nil })
			failed = errors.Join(failed, errAskAgain)
		}
		return failed
	})
	return len(left), err
}

// join makes partitions part of a transaction, all or none; refused are the topics that are to blame for none.
func (c *coordinator) join(
	ctx context.Context, p producerID, partitions []kafkalog.TopicPartition,
) (refused map[string]error, err error) {
	err = c.ask(ctx, "add partitions to a transaction", func(b *sarama.Broker) error {
		answer, err := b.AddPartitionsToTxn(c.addRequest(p, partitions))
		if err != nil {
			return err
		}
		refused, err = readAdded(answer)
		return err
	})
	return refused, err
}

func (c *coordinator) addRequest(p producerID, partitions []kafkalog.TopicPartition) *sarama.AddPartitionsToTxnRequest {
	request := &sarama.AddPartitionsToTxnRequest{
		Version: inTransaction, TransactionalID: c.id, ProducerID: p.id, ProducerEpoch: p.epoch,
		TopicPartitions: make(map[string][]int32),
	}
	for _, tp := range partitions {
		request.TopicPartitions[tp.Topic] = append(request.TopicPartitions[tp.Topic], tp.Partition)
	}
	return request
}

// readAdded tells topics that are refused from what has failed otherwise. Where one topic is, the others are not
// attempted.
func readAdded(answer *sarama.AddPartitionsToTxnResponse) (refused map[string]error, failed error) {
	refused = make(map[string]error)
	for topic, partitions := range answer.Errors {
		for _, a := range partitions {
			switch blameOf(a.Err) {
			case blameTopic:
				refused[topic] = a.Err
			case blameTurn: // of another one
			default:
				failed = errors.Join(failed, failure(a.Err))
			}
		}
	}
	return refused, failed
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

// commitOffset makes the position of group move to where it is to be when the transaction commits.
func (c *coordinator) commitOffset(
	ctx context.Context, p producerID, group, topic string, position *sarama.PartitionOffsetMetadata,
) error {
	of := seat{
		find:    func() (*sarama.Broker, error) { return c.client.Coordinator(group) },
		refresh: func() error { return c.client.RefreshCoordinator(group) },
		once:    true,
	}
	return of.ask(ctx, "commit the position", func(b *sarama.Broker) error {
		answer, err := b.TxnOffsetCommit(&sarama.TxnOffsetCommitRequest{
			Version: inTransaction, TransactionalID: c.id, GroupID: group, ProducerID: p.id, ProducerEpoch: p.epoch,
			GenerationID: -1, // a group without members
			Topics:       map[string][]*sarama.PartitionOffsetMetadata{topic: {position}},
		})
		if err != nil {
			return err
		}
		for _, a := range answer.Topics[topic] {
			if a.Partition == position.Partition {
				return failure(a.Err)
			}
		}
		return sarama.ErrIncompleteResponse
	})
}

// end commits or aborts a transaction.
func (c *coordinator) end(ctx context.Context, p producerID, commit bool) error {
	of := c.seat()
	of.once = true
	return of.ask(ctx, "end a transaction", func(b *sarama.Broker) error {
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

// askAgainPause is before the nth repetition of a request. Kafka ends a transaction after it has said so, and refuses
// the next one for a few milliseconds: short at first.
func askAgainPause(n int) time.Duration {
	return min(time.Millisecond<<min(n/4, 10), 50*time.Millisecond)
}

// seat is where a coordinator is found: it may move to another broker.
type seat struct {
	find    func() (*sarama.Broker, error)
	refresh func() error
	// once: a request that got no answer is not repeated. The first one may still arrive, in the next transaction, which
	// has the same producer: it would end that too early, or take its position back.
	once bool
}

// seat is that of the coordinator of transactions.
func (c *coordinator) seat() seat {
	return seat{
		find:    func() (*sarama.Broker, error) { return c.client.TransactionCoordinator(c.id) },
		refresh: func() error { return c.client.RefreshTransactionCoordinator(c.id) },
	}
}

// ask is seat.ask of the coordinator of transactions.
func (c *coordinator) ask(ctx context.Context, what string, request func(*sarama.Broker) error) error {
	return c.seat().ask(ctx, what, request)
}

// ask repeats a request until it is answered, ctx ends, or an error does not pass by itself.
func (of seat) ask(ctx context.Context, what string, request func(*sarama.Broker) error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	for n := 0; ; n++ {
		b, err := of.find()
		if err == nil {
			err = request(b)
		}
		switch {
		case err == nil:
			return nil
		case b != nil && lostBroker(err) && !of.once:
			_ = b.Close()
			fallthrough
		case errors.Is(err, sarama.ErrNotCoordinatorForConsumer), errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable):
			_ = of.refresh()
		case errors.Is(err, errAskAgain), errors.Is(err, sarama.ErrConcurrentTransactions),
			errors.Is(err, sarama.ErrOffsetsLoadInProgress):
		default:
			return fmt.Errorf("%s: %w", what, err)
		}
		pause(ctx, askAgainPause(n))
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
