package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"onhand/internal/kafkalog"
)

// session is the time between taking the lease and losing it, or failing.
type session struct {
	*Relay
	log      zerolog.Logger
	producer *producer
	oneByOne bool // a request has one message, so that a refusal names it
	position kafkalog.TopicPartition

	at     place     // Kafka's position
	stored place     // as the row's done says
	last   time.Time // when the position was committed last
	asides *asides
	// decided: there is something in them to be sent again, or to be forgotten.
	decided bool
	known   map[string]bool // topics that this producer has seen
	wait    waiting
	slow    bool // this producer was: errSlow
	// asking is since when a step of the session's beginning lasts, or a turn is under way, in nanoseconds since 1970;
	// 0 = neither.
	asking atomic.Int64
}

// lead is one session. It returns nil when ctx ended, and when the outbox was halted.
func (r *Relay) lead(ctx context.Context, found row) error {
	s := &session{
		Relay: r, log: r.cfg.Log, oneByOne: r.careful(), position: kafkalog.TopicPartition{Topic: r.cfg.PositionTopic},
	}
	s.wait.set(waitSession, r.trouble)
	defer s.closeProducer()
	leading, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(leading)
	halted := false
	// From the first moment: a broker that is slow to let a session begin must not cost it the lease.
	group.Go(func() error { return s.keepLease(running) })
	group.Go(func() (err error) {
		if halted, err = s.work(running, found); halted {
			stop()
		}
		return err
	})
	err := group.Wait()
	if halted || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// work begins the session, and publishes until ctx ends or something fails.
func (s *session) work(ctx context.Context, found row) (halted bool, err error) {
	s.asking.Store(time.Now().UnixNano())
	if halted, err = s.begin(ctx, found); err != nil || halted {
		return halted, errors.Join(ctx.Err(), err) // what ctx has cut off says something else
	}
	s.asking.Store(0)
	s.wait.set(waitSession, "")
	s.log.Info().Int64("position", s.at.id).Msg("publishing messages")
	pages, from := newHandover(), s.at.id
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return s.readPages(running, from, pages) })
	group.Go(func() error { return s.sweep(running) })
	group.Go(func() error { return s.publish(running, pages) })
	return false, group.Wait()
}

// begin fences everyone else, finds out where to go on, and stores it. halted means that an operator has to decide.
func (s *session) begin(ctx context.Context, found row) (halted bool, err error) {
	// Asked before anybody is fenced, too: a copy of a database must not disturb the original.
	if halted, err = s.peek(ctx, found); halted || err != nil {
		return halted, err
	}
	if halted, err = s.endLast(ctx, found); halted || err != nil {
		return halted, err
	}
	s.asking.Store(time.Now().UnixNano())
	if err := s.openProducer(ctx); err != nil {
		return false, err
	}
	if halted, err = s.compare(ctx, found); halted || err != nil {
		return halted, err
	}
	if s.asides, err = loadAsides(ctx, s.cfg.Pool, s.at.id, !s.cfg.FollowRefused); err != nil {
		return false, err
	}
	return false, s.recallTopics(ctx)
}

// peekWithin bounds how long the first look at Kafka's position waits for a transaction that may change it.
const peekWithin = 500 * time.Millisecond

// peek is compare as far as it goes without fencing anybody. A transaction that a dead relay left open may hide the
// answer; it is ended by opening the producer.
func (s *session) peek(ctx context.Context, found row) (halted bool, err error) {
	client, err := s.openClient(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = client.Close() }()
	kafka, err := s.kafkaPosition(ctx, client, found, peekWithin)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f := s.judge(found, kafka)
	return f.verdict == stop, s.haltFor(ctx, f)
}

// openClient is for questions. It is cut off when ctx ends.
func (s *session) openClient(ctx context.Context) (sarama.Client, error) {
	config := kafkalog.Config(s.cfg.Member, s.cfg.TransactionTimeout)
	return kafkalog.Open(ctx, s.cfg.Brokers, config, s.cfg.TransactionTimeout)
}

// judge is decide, unless an operator has decided. The turns go on behind Kafka's then: an operator who has not asked
// Kafka does not know of them, and a lower one would be taken for one of a database that went back.
func (s *session) judge(found row, kafka *place) finding {
	if found.overruled {
		from := place{found.done.id, found.done.turn, s.lease.token}
		if kafka != nil {
			from.turn = max(from.turn, kafka.turn)
		}
		return finding{verdict: commitAgain, from: from}
	}
	return decide(found.done, found.intent, kafka)
}

// haltFor halts the outbox if f says so. Members go on writing while it stands still, perhaps for days, so their
// messages get ids that Kafka has not had from now on, and not only when an operator resumes. A halt does not wait for
// that to succeed.
func (s *session) haltFor(ctx context.Context, f finding) error {
	if f.verdict != stop {
		return nil
	}
	switch drawn, err := drawPast(ctx, s.cfg.Pool, f.passed); {
	case err != nil:
		f.detail += fmt.Sprintf("; new messages may have ids that Kafka has had: %v", err)
	case drawn > 0:
		f.detail += fmt.Sprintf("; %d numbers of the sequence outbox_id were used up, so that new messages have ids that "+
			"Kafka has not had", drawn)
	}
	s.log.Error().Str("reason", f.reason).Msg("the outbox stands still: " + f.detail +
		"; look at `onhand outbox show`, then decide with `onhand outbox resume`")
	return s.lease.halt(ctx, f)
}

// compare decides on what Kafka and the database say, and halts the outbox if they contradict each other. Else it
// settles where to go on. The producer is open, so nobody changes Kafka's answer any more.
func (s *session) compare(ctx context.Context, found row) (halted bool, err error) {
	defer s.producer.connections.CutAt(ctx)()
	kafka, err := s.kafkaPosition(ctx, s.producer.client, found, 2*s.cfg.TransactionTimeout)
	if err != nil {
		return false, err
	}
	f := s.judge(found, kafka)
	if f.verdict == stop {
		return true, s.haltFor(ctx, f)
	}
	s.at, s.stored = f.from, f.from
	if f.verdict == commitAgain || found.positionTopic != s.position.Topic {
		began := time.Now()
		err := s.producer.transact(ctx, nil, s.at, closedIntent(), nil)
		s.noteSlow(began)
		if err != nil {
			return false, fmt.Errorf("commit the position again: %w", err)
		}
	}
	s.last = time.Now()
	if err := s.lease.settle(ctx, s.at, s.position.Topic); err != nil {
		return false, err
	}
	return false, settleAsides(ctx, s.cfg.Pool, true)
}

// closedIntent is for a transaction that needs none: it takes the position nowhere.
func closedIntent() <-chan error {
	c := make(chan error)
	close(c)
	return c
}

// kafkaPosition asks Kafka how far messages have left; nil = it does not know. It waits, so long at most, for a
// transaction that is about to change the answer.
func (s *session) kafkaPosition(
	ctx context.Context, client sarama.Client, found row, within time.Duration,
) (*place, error) {
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		return nil, err
	}
	if _, err := client.Partitions(s.position.Topic); err != nil {
		return nil, fmt.Errorf("look for topic %s, which the position is kept for: %w", s.position.Topic, err)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	committed, err := reader.Committed(ctx, s.cfg.id(), s.position)
	if err != nil {
		return nil, err
	}
	positions := make(map[string]Position)
	for tp, c := range committed {
		if tp.Partition == s.position.Partition {
			positions[tp.Topic] = ReadPosition(c.Offset, c.Metadata, s.cfg.Installation)
		}
	}
	topic, ok := Newest(positions, cmp.Or(found.positionTopic, s.position.Topic), found.done.turn)
	if !ok {
		return nil, nil
	}
	c := committed[kafkalog.TopicPartition{Topic: topic, Partition: s.position.Partition}]
	p := stored(c.Offset, c.Metadata, s.cfg.Installation)
	return &p, nil
}

func (s *session) openProducer(ctx context.Context) (err error) {
	s.closeProducer()
	s.known, s.slow = make(map[string]bool), false
	s.producer, err = openProducer(ctx, &s.cfg, s.position.Topic, s.oneByOne)
	return err
}

func (s *session) closeProducer() {
	if s.producer != nil {
		s.producer.close()
		s.producer = nil
	}
}

// The pauses of a reader that has nothing to read: short while messages come or are held up, longer when none have come
// for a while. While a turn is under way what comes has to wait for it anyway; it looks all the same, because the
// horizon takes two looks to pass a message: one that notes its id, and one that finds all earlier ones settled.
const (
	busyPause = 3 * time.Millisecond
	turnPause = 5 * time.Millisecond
	idlePause = 25 * time.Millisecond
	busySpan  = 2 * time.Second
)

// handover is how pages get from the reader to publish: one at a time, when publish asks.
type handover struct {
	wanted chan struct{}
	pages  chan *page
}

func newHandover() handover { return handover{make(chan struct{}, 1), make(chan *page, 1)} }

// readPages reads what comes after the message from, ahead of publish. The page grows until publish wants it, and once
// more then: what has come during a turn leaves with the next one, and not one or two later.
func (s *session) readPages(ctx context.Context, from int64, to handover) error {
	// One connection for as long as the session lasts: what the horizon remembers is true of one server only, and the
	// next connection may lead to another one.
	conn, err := s.cfg.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to read messages: %w", err)
	}
	defer conn.Release()
	r := &reader{db: conn, after: from, limit: 1000, most: s.mostMessages()}
	r.horizon.safe = from
	p, wanted, latest := &page{}, false, time.Time{}
	for {
		if !p.full(r.mostMessages()) {
			grown, err := r.extend(ctx, p)
			if err != nil {
				return err
			}
			if grown {
				latest = time.Now()
				s.wait.set(waitHorizon, "") // not these; with a backlog it is long until the next look
				s.cfg.steps.step(stepRead)
			} else if err := s.noteDelay(ctx, r); err != nil {
				return err
			}
		}
		if wanted && len(p.messages) > 0 {
			to.pages <- p // there is room: it was asked for
			p, wanted = &page{}, false
			continue
		}
		if asked, err := await(ctx, to.wanted, readPause(r, p, wanted, latest)); err != nil {
			return err
		} else if asked {
			wanted = true
		}
	}
}

// readPause is how long a reader waits for a word of publish before it looks again; forever = it has a full page.
func readPause(r *reader, p *page, wanted bool, latest time.Time) time.Duration {
	switch {
	case p.full(r.mostMessages()):
		return forever
	case r.after < r.horizon.safe:
		return 0 // there is more already
	case !wanted:
		return turnPause
	case time.Since(latest) < busySpan:
		return busyPause
	}
	return idlePause
}

const forever = time.Duration(math.MaxInt64)

// await waits for a word, for d at most.
func await(ctx context.Context, word <-chan struct{}, d time.Duration) (came bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-word:
		return true, nil
	case <-timer.C:
		return false, ctx.Err()
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// mostMessages is how many messages a turn takes at most.
func (s *session) mostMessages() int {
	if s.oneByOne {
		return cmp.Or(s.carefulMost, carefulMessages)
	}
	return maxPageMessages
}

// delayPatience is how long a transaction, or Kafka, may hold messages up before status says so.
const delayPatience = 3 * time.Second

func (s *session) noteDelay(ctx context.Context, r *reader) error {
	what, err := r.delay(ctx, delayPatience)
	if err != nil {
		return err
	}
	s.wait.set(waitHorizon, what)
	return nil
}

// errStuck ends a session that Kafka lets neither begin nor end a transaction. The client goes on waiting for an
// answer, for a while; the lease is not renewed, so that another relay may begin, and fence this one.
var errStuck = errors.New("no answer from Kafka")

func (s *session) stuck() bool { return s.asked() > 2*s.cfg.TransactionTimeout }

// asked is for how long Kafka has been asked.
func (s *session) asked() time.Duration {
	began := s.asking.Load()
	if began == 0 {
		return 0
	}
	return time.Since(time.Unix(0, began))
}

// unanswered is what there is to be said of a broker that is away, long before the session ends because of it.
func (s *session) unanswered() string {
	d := s.asked()
	if d < delayPatience {
		return ""
	}
	return "an answer of Kafka's, since " + time.Now().Add(-d).UTC().Format(time.RFC3339)
}

// keepLease renews the lease, and shows in the row what messages wait for.
func (s *session) keepLease(ctx context.Context) error {
	tick := time.NewTicker(min(s.cfg.LeaseTime/4, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.stuck() {
				return errStuck
			}
			s.wait.set(waitKafka, s.unanswered())
			if err := s.lease.renew(ctx, s.wait.String()); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
