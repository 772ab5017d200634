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
// installation and aborts what that had under way. After any error that is not a refusal it is of no more use: a new
// session costs little and asks Kafka how things stand.
//
// It is made of the client's requests and not of the client's own producer, which has each step of a transaction wait
// for the one before: here messages, position and intent are under way at the same time, between the partitions' entry
// into the transaction and the commit.
type producer struct {
	// client has one connection to a broker, which answers one request of it after another. Messages and position have to
	// share it: a broker asks the coordinator whether a transaction has the partitions that it is to write to, and fails
	// the earlier of two such questions about the same transaction.
	client        sarama.Client
	connections   *kafkalog.Connections
	coordinator   *coordinator
	me            producerID
	installation  uuid.UUID
	group         string
	positionTopic string
	sorter        *sorter
	used          time.Time // when the last transaction began
	// open is why nobody knows that the last transaction has ended. The next one would be the same one to Kafka, and
	// commit what the last one had: there is none.
	open error
}

// openProducer gives up when ctx ends.
func openProducer(ctx context.Context, cfg *Config, positionTopic string, careful bool) (p *producer, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.TransactionTimeout)
	defer cancel()
	config := kafkalog.Config(cfg.Member, cfg.TransactionTimeout)
	connections := kafkalog.ConnectionsOf(config)
	defer connections.CutAt(ctx)()
	client, err := sarama.NewClient(cfg.Brokers, config)
	if err != nil {
		connections.Cut()
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	p = &producer{
		client: client, connections: connections, coordinator: &coordinator{client, cfg.id(), cfg.TransactionTimeout},
		installation: cfg.Installation, group: cfg.id(), positionTopic: positionTopic, used: time.Now(),
	}
	if p.me, err = p.coordinator.begin(ctx); err != nil {
		p.close()
		return nil, err
	}
	p.sorter = newSorter(client, cfg, p.me, careful)
	return p, nil
}

func (p *producer) close() {
	p.connections.Cut() // closing waits for nothing then
	_ = p.client.Close()
}

// lookUp finds out whether there is a topic. When ctx ends it gives Kafka up.
func (p *producer) lookUp(ctx context.Context, topic string) error {
	defer p.connections.CutAt(ctx)()
	_, err := p.client.Partitions(topic)
	return err
}

// lookAgain is lookUp of a topic that may have changed.
func (p *producer) lookAgain(ctx context.Context, topic string) error {
	defer p.connections.CutAt(ctx)()
	return p.client.RefreshMetadata(topic)
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

// transact publishes messages, takes the position to upTo, and returns when both are committed. Before it commits it
// waits for intent, which must be stored by then; its error aborts. It always takes intent's one value. When ctx ends
// it gives Kafka up, and so the producer. If the commit was sent by then nobody knows whether Kafka has taken it: the
// next session finds out by the intent.
func (p *producer) transact(
	ctx context.Context, messages []*outgoing, upTo place, intent <-chan error, log steps,
) error {
	defer p.connections.CutAt(ctx)()
	err := p.fill(ctx, messages, &upTo)
	if err == nil {
		log.step(stepSent)
	}
	switch other := <-intent; {
	case other != nil:
		return errors.Join(other, ignoreRefusal(p.abort(ctx, err))) // the turn is not to be tried again without the refused
	case err != nil:
		return p.abort(ctx, err)
	}
	log.step(stepIntended)
	if err := p.coordinator.end(ctx, p.me, true); err != nil {
		return p.giveUp(ctx, err)
	}
	log.step(stepCommitted)
	return nil
}

func ignoreRefusal(err error) error {
	if refused := new(refusedError); errors.As(err, &refused) {
		return nil
	}
	return err
}

// try sends m in a transaction that is aborted. When ctx ends it gives Kafka up.
func (p *producer) try(ctx context.Context, m *outgoing) error {
	defer p.connections.CutAt(ctx)()
	err := p.fill(ctx, []*outgoing{m}, nil)
	var refused *refusedError
	if err = p.abort(ctx, err); errors.As(err, &refused) {
		return refused.refusals[0].err
	}
	return err
}

// fill has a transaction carry messages, and the position upTo if there is one. Nothing of it is visible before the
// commit, so the order in which the two join it is of no account.
func (p *producer) fill(ctx context.Context, messages []*outgoing, upTo *place) error {
	if p.open != nil {
		return p.open
	}
	p.reconnect()
	sorted, err := p.sorter.sort(messages)
	if err != nil {
		return err
	}
	// Kafka refuses the first request of a transaction until the last one's end is everywhere. This one goes ahead alone,
	// so that what is repeated until then is one small request.
	if len(messages) > 0 {
		refused, err := p.coordinator.join(ctx, p.me, sorted.partitions)
		if err != nil {
			return err
		}
		if err := refusalsOf(messages, refused); err != nil {
			return err
		}
	}
	positioned := make(chan error, 1)
	go func() { positioned <- p.addPosition(ctx, upTo) }()
	err = sorted.send()
	if other := <-positioned; other != nil {
		return errors.Join(other, ignoreRefusal(err))
	}
	return err
}

// idleLimit is well below the time after which brokers, and what stands before them, close a connection that nobody
// uses. The client notices when the next request gets no answer, and who has sent messages cannot know that they never
// arrived: each pause would cost a session.
const idleLimit = time.Minute

// reconnect closes connections that have not been used for a while; they are opened again when they are needed.
func (p *producer) reconnect() {
	if time.Since(p.used) > idleLimit {
		for _, b := range p.client.Brokers() {
			_ = b.Close()
		}
	}
	p.used = time.Now()
}

func (p *producer) addPosition(ctx context.Context, upTo *place) error {
	if upTo == nil {
		return nil
	}
	if err := p.coordinator.addOffsets(ctx, p.me, p.group); err != nil {
		return err
	}
	metadata := upTo.metadata(p.installation)
	return p.coordinator.commitOffset(ctx, p.me, p.group, p.positionTopic, &sarama.PartitionOffsetMetadata{
		Partition: 0, Offset: upTo.id, LeaderEpoch: -1, Metadata: &metadata,
	})
}

// abort ends the transaction for the reason err, which it returns; nil if there is none. Where Kafka does not answer
// that is left to whoever opens the next producer, which aborts.
func (p *producer) abort(ctx context.Context, err error) error {
	if p.open != nil || errors.Is(err, errUnanswered) || lostBroker(err) || fenced(err) {
		return p.giveUp(ctx, err)
	}
	switch abortErr := p.coordinator.end(ctx, p.me, false); {
	case abortErr == nil, errors.Is(abortErr, sarama.ErrInvalidTxnState): // nothing of it has reached Kafka
		return err
	case err == nil:
		return p.giveUp(ctx, abortErr)
	default:
		// err is no refusal any more, after which the turn could be tried again.
		return p.giveUp(ctx, fmt.Errorf("abort a transaction: %w (because of: %s)", abortErr, err.Error()))
	}
}

// errUnanswered is a transaction of which Kafka has not answered to all. It must not be aborted: what is still on its
// way could come behind the end. If that is the commit it may have been committed.
var errUnanswered = errors.New("not all was answered")

// giveUp lets no other transaction follow this one, which has not ended for all that is known. It returns why.
func (p *producer) giveUp(ctx context.Context, err error) error {
	if (ctx.Err() != nil || lostBroker(err)) && !errors.Is(err, errUnanswered) {
		err = fmt.Errorf("%w: %w", errUnanswered, err)
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) { // that its connections were cut is all that err tells
		err = fmt.Errorf("%w (%w)", err, ctx.Err())
	}
	p.open = err
	return err
}

// refusalsOf are the messages of topics that may not be written, or do not exist.
func refusalsOf(messages []*outgoing, topics map[string]error) error {
	var refused []refusal
	for _, m := range messages {
		if err := topics[m.topic]; err != nil {
			refused = append(refused, refusal{m, err})
		}
	}
	return verdictOn(refused)
}

// verdictOn: what names a message or its topic is a refusal, and those behind it fail because it is missing. Any other
// failure leaves open whether the message is stored, and which number the next one of its partition has: this producer
// must not try again, whatever else was refused.
func verdictOn(refused []refusal) error {
	var about, behind []refusal
	for _, r := range refused {
		switch {
		case blameOf(r.err) != blameKafka:
			about = append(about, r)
		case errors.Is(r.err, sarama.ErrOutOfOrderSequenceNumber):
			behind = append(behind, r)
		default:
			return fmt.Errorf("send messages, of which %d failed: %w", len(refused), r.err)
		}
	}
	switch {
	case len(about) > 0:
		return &refusedError{about}
	case len(behind) > 0:
		return fmt.Errorf("send messages, of which %d failed: %w", len(behind), behind[0].err)
	}
	return nil
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
