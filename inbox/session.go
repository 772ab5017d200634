package inbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// session is one generation of the group as this member sees it: the partitions it was given, claimed in the database.
// It is the client library's handler; everything in it ends with the session.
type session struct {
	*member
	group sarama.ConsumerGroup

	claims map[offsets.TopicPartition]*claim
	found  map[offsets.TopicPartition]offsets.Claimed // the rows as Setup found them

	over    chan struct{} // closed when the session is to end
	endOnce sync.Once
	leave   context.CancelFunc // ends the client's session

	rebalanced bool // Cleanup: the session ended because the group shares out its partitions anew

	inRange map[offsets.TopicPartition]bool // those whose position Setup compared with the log

	// Held partitions that the client has not started to read yet. Until there are none nothing is published: marking a
	// position would make the client start there, and the legal offset that is marked instead must never be committed.
	unstarted atomic.Int32

	hashing  chan struct{} // bounds hash checks at the same time
	checking sync.Mutex    // one check at a time; guards found after Setup
	watching sync.WaitGroup
	stop     context.CancelFunc
}

func newSession(m *member, group sarama.ConsumerGroup, leave context.CancelFunc) *session {
	return &session{
		member: m, group: group, leave: leave, over: make(chan struct{}), hashing: make(chan struct{}, hashChecks),
	}
}

// end ends the session; the member joins again and reads everything anew.
func (s *session) end(why string) {
	s.endOnce.Do(func() {
		s.cfg.Log.Info().Str("why", why).Msg("ending this session of the group")
		close(s.over)
		s.dispatcher.wake()
		s.leave()
	})
}

func (s *session) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// Setup claims the partitions and seeks each to its stored position. It runs once a join, before any claim goroutine.
func (s *session) Setup(sess sarama.ConsumerGroupSession) error {
	ctx, cancel := context.WithTimeout(sess.Context(), s.timeouts.Session)
	defer cancel()
	s.health.broker(nil)
	topics, err := s.open(ctx, sess.Claims())
	if err != nil {
		return err
	}
	if err := s.claim(ctx, sess.Claims()); err != nil {
		cause := classify(err)
		s.health.databaseFailed(cause, err)
		return err
	}
	s.health.databaseWorks()
	s.checkClaimed(ctx, topics)
	for tp, c := range s.claims {
		s.seek(sess, tp, c)
	}
	s.countHalted()
	s.dispatcher.divide(s.cfg.Memory, slices.Collect(maps.Values(s.claims)))
	// The client reads this when a partition starts; those of the last session have ended.
	s.client.Config().Consumer.Fetch.Default = fetchBytes(len(s.claims))
	s.watch(sess)
	s.cfg.Log.Info().Int("partitions", len(s.claims)).Int32("generation", sess.GenerationID()).Msg("claimed")
	return nil
}

// open makes sure that every claimed partition has a row.
func (s *session) open(ctx context.Context, claims map[string][]int32) (map[string]kafkalog.Topic, error) {
	names := slices.Sorted(maps.Keys(claims))
	topics, err := s.kafka.Topics(ctx, names)
	if err != nil && topics == nil {
		return nil, err
	}
	for _, name := range names {
		topic, exists := topics[name]
		if !exists {
			return nil, errors.Join(fmt.Errorf("topic %s is gone", name), err)
		}
		topic.Partitions = union(topic.Partitions, claims[name])
		if err := s.member.open(ctx, topic); err != nil {
			return nil, err
		}
	}
	return topics, nil
}

func union(a, b []int32) []int32 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *session) claim(ctx context.Context, claims map[string][]int32) error {
	var tps []offsets.TopicPartition
	for topic, partitions := range claims {
		for _, p := range partitions {
			tps = append(tps, offsets.TopicPartition{Topic: topic, Partition: p})
		}
	}
	rows, err := offsets.Claim(ctx, s.cfg.Pool, tps, s.cfg.Member)
	if err != nil {
		return err
	}
	s.claims = make(map[offsets.TopicPartition]*claim, len(rows))
	s.found = make(map[offsets.TopicPartition]offsets.Claimed, len(rows))
	for _, row := range rows {
		s.found[row.TopicPartition] = row
		c := &claim{
			TopicPartition: row.TopicPartition, token: row.Token, session: s,
			next: row.Next, read: row.Next, hash: row.LastHash, stopped: make(chan struct{}), valve: make(chan struct{}, 1),
		}
		if row.Halt != nil {
			s.dispatcher.halt(c)
			c.logHalt(s.cfg.Log, row.Next, *row.Halt)
		}
		s.claims[row.TopicPartition] = c
	}
	return nil
}

// seek points the client at the stored position. MarkOffset moves only forward and ResetOffset only backward, and
// neither says when it did nothing: both are called. A halted partition is pointed at the start of its log instead,
// wherever that is (a negative offset means the configured initial one): at an illegal offset the client would give up
// the whole session, over and over.
func (s *session) seek(sess sarama.ConsumerGroupSession, tp offsets.TopicPartition, c *claim) {
	if c.halted {
		c.held = true
		s.unstarted.Add(1)
		sess.ResetOffset(tp.Topic, tp.Partition, sarama.OffsetOldest, s.cfg.Installation.String())
		return
	}
	s.mark(sess, tp, c.next)
}

func (s *session) mark(sess sarama.ConsumerGroupSession, tp offsets.TopicPartition, next int64) {
	metadata := s.cfg.Installation.String()
	sess.MarkOffset(tp.Topic, tp.Partition, next, metadata)
	sess.ResetOffset(tp.Topic, tp.Partition, next, metadata)
}

// ConsumeClaim reads one partition until the session ends. Its return ends the session for all partitions, so a
// partition that stands still waits here.
func (s *session) ConsumeClaim(sess sarama.ConsumerGroupSession, from sarama.ConsumerGroupClaim) error {
	tp := offsets.TopicPartition{Topic: from.Topic(), Partition: from.Partition()}
	c := s.claims[tp]
	// After this nothing is written under this claim's token: the next holder finds the position at rest.
	defer s.dispatcher.drain(c)
	if c.held {
		s.unstarted.Add(-1)
	} else {
		s.group.Resume(c.only()) // a pause outlives the claim that asked for it
		if s.verified(sess.Context(), c) {
			s.group.Resume(c.only())
			if !s.read(sess.Context(), c, from.Messages()) {
				return nil
			}
		}
	}
	s.group.Pause(c.only())
	s.hold(sess.Context(), from.Messages())
	return nil
}

// hold waits for the session to end. What the client had asked for before it was paused is taken, and dropped: see
// budget.
func (s *session) hold(ctx context.Context, messages <-chan *sarama.ConsumerMessage) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.over:
			return
		case _, ok := <-messages:
			if !ok {
				messages = nil
			}
		}
	}
}

// read moves records from the client to the lanes. It returns true when the partition was halted, false when the
// session is to end.
//
// It never waits for room: the client would stop fetching all of the broker's partitions (see handOver). Only this
// goroutine pauses and resumes the claim's client, so the last that it did is what the dispatcher wants.
func (s *session) read(ctx context.Context, c *claim, messages <-chan *sarama.ConsumerMessage) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.over:
			return false
		case <-c.stopped:
			return true
		case <-c.valve:
			if s.dispatcher.isPaused(c) {
				s.group.Pause(c.only())
			} else {
				s.group.Resume(c.only())
			}
		case m, ok := <-messages:
			if !ok {
				return ctx.Err() == nil && s.closedEarly(ctx, c)
			}
			// After the end up to a bufferful of records stays readable: they are not ours any more.
			if ctx.Err() != nil || s.isOver() {
				return false
			}
			c.put(s.dispatcher, s.gather(m, messages))
		}
	}
}

// Bounds on what is handed over at once: enough to make that cheap. What is read together is kept until all of it is
// done, and the account of memory does not see that, so it must not be much.
const (
	maxGather      = 64
	maxGatherBytes = 64 << 10
)

// gather decodes first and what else is there already. Works that are read together are committed together, more or
// less, so one piece of memory holds them.
func (s *session) gather(first *sarama.ConsumerMessage, more <-chan *sarama.ConsumerMessage) []*work {
	n := min(len(more)+1, maxGather)
	space, works := make([]work, n), make([]*work, 0, n)
	bytes := 0
	for m := first; ; {
		w := &space[len(works)]
		w.record = copyRecord(m)
		w.decode(s.cfg.Decoder)
		works = append(works, w)
		bytes += len(m.Value)
		if len(works) == n || bytes >= maxGatherBytes {
			return works
		}
		var ok bool
		if m, ok = <-more; !ok { // nobody else reads more: what it held is there, unless it was closed
			return works
		}
	}
}

// copyRecord copies what is kept: the client's bytes are a view of a whole fetched batch.
func copyRecord(m *sarama.ConsumerMessage) Record {
	r := Record{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp}
	n := len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value)
	}
	buf := make([]byte, 0, n)
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(buf)
		buf = append(buf, b...)
		return buf[at:len(buf):len(buf)]
	}
	r.Key, r.Value = keep(m.Key), keep(m.Value)
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, Header{Key: keep(h.Key), Value: keep(h.Value)})
	}
	return r
}

// closedEarly deals with a stream that ended while the session goes on: the client met an offset out of the log, or
// gave up on the partition. What was read before is finished first; then either the partition is halted (true), or the
// session ends and the next one tries again.
func (s *session) closedEarly(ctx context.Context, c *claim) bool {
	if !s.dispatcher.waitEmpty(ctx, c) {
		return s.isHalted(c)
	}
	if s.check(ctx, []*claim{c}); s.isHalted(c) {
		return true
	}
	s.cfg.Log.Warn().Str("topic", c.Topic).Int32("partition", c.Partition).Msg("the client stopped reading; joining again")
	return false
}

// Cleanup runs when every ConsumeClaim has returned: all positions are at rest, and Kafka's copy is brought up to date.
func (s *session) Cleanup(sess sarama.ConsumerGroupSession) error {
	if s.stop == nil {
		return nil // Setup failed
	}
	s.stop()
	s.watching.Wait()
	s.publish(sess)
	s.rebalanced = errors.Is(context.Cause(sess.Context()), sarama.ErrRebalanceInProgress)
	s.health.claims(0, 0)
	return nil
}

func (s *session) isHalted(c *claim) bool { return !s.dispatcher.position(c).running }

var _ sarama.ConsumerGroupHandler = (*session)(nil)
