package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/kafkalog"
)

// producer publishes messages and the position in one Kafka transaction. Opening it fences every other one of the same
// installation and aborts what that had under way. After any error that is not a refusal it is of no more use.
type producer struct {
	client        sarama.Client
	connections   *kafkalog.Connections
	async         sarama.AsyncProducer
	installation  uuid.UUID
	group         string
	positionTopic string
}

// batchOverhead is what a record batch and a record need beside key, value and headers, generously.
const batchOverhead = 16 << 10

// producerConfig: retries are few, because a new session costs little and asks Kafka how things stand.
func producerConfig(cfg *Config, careful bool) *sarama.Config {
	c := kafkalog.Config(cfg.Member, cfg.TransactionTimeout)
	p := &c.Producer
	p.Idempotent = true
	p.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	p.MaxMessageBytes = MaxMessageBytes + batchOverhead
	p.Partitioner = sarama.NewMurmur2Partitioner // as Java's clients do it
	p.Return.Successes, p.Return.Errors = true, true
	// All partitions of a turn then go into the transaction with one request, and not the first one alone.
	p.Flush.Frequency = time.Millisecond
	p.Retry.Max, p.Retry.Backoff = 3, 100*time.Millisecond
	p.Timeout = cfg.TransactionTimeout / 2
	p.Transaction.ID = cfg.id()
	p.Transaction.Timeout = cfg.TransactionTimeout
	// The broker ends a transaction after it has said so: the next one is often told to come back in a moment.
	p.Transaction.Retry.Max = 50
	p.Transaction.Retry.BackoffFunc = func(retries, _ int) time.Duration {
		return min(time.Millisecond<<min(retries/4, 10), 500*time.Millisecond)
	}
	if careful {
		// One message a request: a refusal then names the message that is at fault.
		p.Flush.MaxMessages = 1
	}
	return c
}

// openProducer gives up when ctx ends.
func openProducer(ctx context.Context, cfg *Config, positionTopic string, careful bool) (p *producer, err error) {
	config := producerConfig(cfg, careful)
	connections := kafkalog.ConnectionsOf(config)
	config.Producer.Transaction.Retry.BackoffFunc = connections.Backoff(config.Producer.Transaction.Retry.BackoffFunc)
	// Each message that is under way when they are cut pauses for itself before it fails.
	between := config.Producer.Retry.Backoff
	config.Producer.Retry.BackoffFunc = connections.Backoff(func(int, int) time.Duration { return between })
	defer connections.CutAt(ctx)()
	defer func() {
		if err != nil {
			connections.Cut()
		}
	}()
	client, err := sarama.NewClient(cfg.Brokers, config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	async, err := sarama.NewAsyncProducerFromClient(client)
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("begin as the producer %s: %w", cfg.id(), err)
	}
	return &producer{client, connections, async, cfg.Installation, cfg.id(), positionTopic}, nil
}

// closeWithin is how long closing waits for answers of Kafka to what is under way.
const closeWithin = 2 * time.Second

// close waits until nothing is under way any more.
func (p *producer) close() {
	defer p.connections.Cut()
	defer time.AfterFunc(closeWithin, p.connections.Cut).Stop()
	p.async.AsyncClose()
	for errs, successes := p.async.Errors(), p.async.Successes(); errs != nil || successes != nil; {
		select {
		case _, ok := <-errs:
			if !ok {
				errs = nil
			}
		case _, ok := <-successes:
			if !ok {
				successes = nil
			}
		}
	}
	_ = p.client.Close()
}

// refusal is what Kafka has against one message.
type refusal struct {
	message *outgoing
	err     error
}

// refusedError are the messages that Kafka refused; the transaction was aborted.
type refusedError struct{ refusals []refusal }

func (e *refusedError) Error() string {
	r := e.refusals[0]
	return fmt.Sprintf("Kafka refuses %d messages, the first for topic %s: %v", len(e.refusals), r.message.topic, r.err)
}

// transact publishes messages, takes the position to upTo, and returns when both are visible. Before it commits it
// waits for intent, which must be stored by then; its error aborts. It always takes intent's one value. When ctx ends
// it gives Kafka up, and so the producer. If the commit was sent by then nobody knows whether Kafka has taken it: the
// next session finds out by the intent.
func (p *producer) transact(
	ctx context.Context, messages []*outgoing, upTo place, intent <-chan error, log steps,
) error {
	defer p.connections.CutAt(ctx)()
	if err := p.async.BeginTxn(); err != nil {
		if other := <-intent; other != nil {
			err = other
		}
		return fmt.Errorf("begin a transaction: %w", err)
	}
	if err := p.send(ctx, messages); err != nil {
		if other := <-intent; errors.Is(err, errUnanswered) {
			return errors.Join(err, other)
		} else if other != nil {
			err = other
		}
		return p.abort(err)
	}
	log.step(stepSent)
	if err := <-intent; err != nil {
		return p.abort(err)
	}
	log.step(stepIntended)
	metadata := upTo.metadata(p.installation)
	position := map[string][]*sarama.PartitionOffsetMetadata{p.positionTopic: {
		{Partition: 0, Offset: upTo.id, LeaderEpoch: -1, Metadata: &metadata},
	}}
	if err := p.async.AddOffsetsToTxn(position, p.group); err != nil {
		return p.abort(fmt.Errorf("add the position to the transaction: %w", err))
	}
	if err := p.async.CommitTxn(); err != nil {
		if ctx.Err() != nil {
			err = errUnanswered
		}
		return fmt.Errorf("commit the transaction: %w", err)
	}
	log.step(stepCommitted)
	return nil
}

// abort ends the transaction for the reason err, which it returns.
func (p *producer) abort(err error) error {
	if abortErr := p.async.AbortTxn(); abortErr != nil {
		return fmt.Errorf("abort a transaction: %w (because of: %w)", abortErr, err)
	}
	return err
}

// errUnanswered is a transaction whose messages Kafka has not answered to in time. The client cannot abort it: that
// waits for the answers, which nobody takes any more. Closing the producer does take them, and whoever opens the next
// one has Kafka abort.
var errUnanswered = errors.New("no answer in time")

// send hands messages to the client and waits until each is stored or refused.
func (p *producer) send(ctx context.Context, messages []*outgoing) error {
	ctx, stop := context.WithCancel(ctx)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		for _, m := range messages {
			select {
			case p.async.Input() <- produced(m):
			case <-ctx.Done():
				return
			}
		}
	}()
	// The client panics when it is closed while somebody still feeds it.
	defer func() { stop(); <-fed }()
	var refused []refusal
	for range messages {
		select {
		case <-p.async.Successes():
		case e := <-p.async.Errors():
			m, _ := e.Msg.Metadata.(*outgoing)
			refused = append(refused, refusal{m, e.Err})
		case <-ctx.Done():
			return fmt.Errorf("send messages: %w", errUnanswered)
		}
	}
	return verdictOn(refused)
}

// verdictOn: once a transaction has failed, everything that is under way fails with it, for that reason or for another.
// What names a message or its topic is a refusal; if nothing does, Kafka is away.
func verdictOn(refused []refusal) error {
	var about []refusal
	for _, r := range refused {
		if blameOf(r.err) != blameKafka {
			about = append(about, r)
		}
	}
	switch {
	case len(about) > 0:
		return &refusedError{about}
	case len(refused) > 0:
		return fmt.Errorf("send %d messages: %w", len(refused), refused[0].err)
	}
	return nil
}

// produced is m as the client takes it.
func produced(m *outgoing) *sarama.ProducerMessage {
	out := &sarama.ProducerMessage{Topic: m.topic, Metadata: m}
	if m.key != nil {
		out.Key = sarama.ByteEncoder(m.key)
	}
	if m.payload != nil {
		out.Value = sarama.ByteEncoder(m.payload)
	}
	if len(m.headers) > 0 {
		out.Headers = make([]sarama.RecordHeader, len(m.headers)/2)
		for i := range out.Headers {
			out.Headers[i] = sarama.RecordHeader{Key: m.headers[2*i], Value: m.headers[2*i+1]}
		}
	}
	return out
}

// blame is what an error of Kafka's is about.
type blame int

const (
	blameKafka   blame = iota // Kafka or the way to it: try again
	blameMessage              // this message: it will be refused again
	blameTopic                // its topic: until somebody creates it, or grants a right
	blameTurn                 // the topic of a message that was sent with it, or its own
	blameBatch                // one of the messages that were sent with it
)

func blameOf(err error) blame {
	var configuration sarama.ConfigurationError
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition), errors.Is(err, sarama.ErrInvalidTopic),
		errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return blameTopic
	case errors.Is(err, sarama.ErrOperationNotAttempted):
		return blameTurn
	case errors.Is(err, sarama.ErrMessageSizeTooLarge), errors.Is(err, sarama.ErrInvalidRecord),
		errors.Is(err, sarama.ErrInvalidTimestamp), errors.Is(err, sarama.ErrMessageSetSizeTooLarge),
		errors.Is(err, sarama.ErrPolicyViolation):
		return blameBatch
	case errors.As(err, &configuration):
		return blameMessage
	}
	return blameKafka
}

// fenced reports whether another producer of this installation has begun.
func fenced(err error) bool {
	return errors.Is(err, sarama.ErrProducerFenced) || errors.Is(err, sarama.ErrInvalidProducerEpoch)
}
