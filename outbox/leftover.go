package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/internal/kafkalog"
)

// A broker may take a transaction for ended without a word to some of its partitions: Apache Kafka passes over those
// that have no leader when it writes the markers (KAFKA-20734), as all of them have for a moment after the only broker
// stood still. What lies there is then ended along with the next transaction of the same producer, whatever becomes of
// that: an aborted message is seen after all, beside the one that was sent in its place. A position that was left open
// like that can never be read again. So a session that begins ends the last transaction once more where it seems open.

// leftover is where the last transaction may be open, though it has ended.
type leftover struct {
	partitions []kafkalog.TopicPartition
	position   bool
	silent     []kafkalog.TopicPartition // that do not say
	unsure     int                       // how many of partitions do not say whose transaction is open
}

func (l leftover) nowhere() bool { return !l.position && len(l.partitions) == 0 }

// maxEndings bounds how often a transaction is ended again: where nobody says whose is open, others' may be.
const maxEndings = 2

// Kafka's names for what became of a transaction, as far as they are told apart here. A producer that has begun and
// written nothing has stateEmpty, whatever the one before it left.
const (
	stateEmpty     = "Empty"
	stateOngoing   = "Ongoing"
	stateCommitted = "CompleteCommit"
	stateAborted   = "CompleteAbort"
	stateDead      = "Dead" // about to be forgotten
)

// endLast makes sure that readers know the end of the last transaction, wherever this outbox may have written. halted
// means that an operator has to say what that end is.
func (s *session) endLast(ctx context.Context, found row) (halted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*s.cfg.TransactionTimeout)
	defer cancel()
	client, err := s.openClient(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = client.Close() }()
	// Mostly nothing is open, and nobody has to be fenced to see that.
	l, _, err := s.look(ctx, client, found)
	if err != nil {
		return false, err
	}
	if l.nowhere() {
		return false, s.ended(ctx, found)
	}
	c := &coordinator{client, s.cfg.id(), s.cfg.TransactionTimeout}
	state, p, err := s.lastState(ctx, c, found)
	if err != nil {
		return false, err
	}
	if l, err = s.own(ctx, client, l, p); err != nil {
		return false, err
	}
	if l.nowhere() {
		return false, s.ended(ctx, found)
	}
	if _, known := outcome(state, found, nil); !known {
		if !l.position {
			return false, nil // in partitions it may be another producer's
		}
		return s.haltIfOpen(ctx, client, found, state, p)
	}
	if err := s.endAgain(ctx, c, found, state, p); err != nil || p != nil || !l.position {
		return false, err
	}
	// Whoever has begun now is another producer to Kafka than the one whose it was, and may not have ended anything.
	return s.haltIfOpen(ctx, client, found, state, p)
}

// lastState is how the last transaction stood before anybody began to end it again. A session that was to do that and
// died has left it in the row, and Kafka's own answer is about what that session did: nothing yet, half, or all of it.
// p is the producer whose it was, nil if Kafka has forgotten.
func (s *session) lastState(ctx context.Context, c *coordinator, found row) (state string, p *producerID, err error) {
	state, of, err := c.state(ctx)
	if err != nil {
		return "", nil, err
	}
	if state != "" {
		p = &of
	}
	switch {
	case found.ending == "":
	case state == "", state == stateEmpty, state == stateDead:
		return found.ending, p, nil
	case state == stateOngoing && found.ending != stateOngoing:
		// It died before it said how to end. Whoever begins now aborts what may have been committed.
		commit, _ := outcome(found.ending, found, nil)
		return found.ending, p, c.end(ctx, of, commit)
	}
	return state, p, nil
}

// endAgain begins, which takes the last transaction's state away, and ends it as state says wherever it is open.
func (s *session) endAgain(ctx context.Context, c *coordinator, found row, state string, of *producerID) error {
	// Stored first: whoever comes after a crash in between finds that another transaction was the last one.
	if err := s.lease.ending(ctx, state); err != nil {
		return err
	}
	for range maxEndings {
		p, err := c.begin(ctx)
		if err != nil {
			return err
		}
		s.cfg.steps.step(stepBegunAgain)
		// What was only under way has ended now.
		l, kafka, err := s.look(ctx, c.client, found)
		if err == nil {
			l, err = s.own(ctx, c.client, l, of)
		}
		if err != nil {
			return err
		}
		if l.nowhere() {
			return s.lease.ending(ctx, "")
		}
		commit, _ := outcome(state, found, kafka)
		state = stateAborted
		if commit {
			state = stateCommitted
		}
		if err := s.lease.ending(ctx, state); err != nil {
			return err
		}
		s.tellEnding(l, commit)
		if err := s.end(ctx, c, p, l, commit); err != nil {
			return err
		}
		s.cfg.steps.step(stepEndedAgain)
	}
	if _, err := c.begin(ctx); err != nil {
		return err
	}
	return s.lease.ending(ctx, "")
}

// ended notes that nothing is open any more.
func (s *session) ended(ctx context.Context, found row) error {
	if found.ending == "" {
		return nil
	}
	return s.lease.ending(ctx, "")
}

// haltIfOpen halts the outbox if its position cannot be read for as long as a transaction may last: nothing can be
// published before somebody says how to end what is open there. Else it was only slow.
func (s *session) haltIfOpen(
	ctx context.Context, client sarama.Client, found row, state string, p *producerID,
) (halted bool, err error) {
	_, err = s.kafkaPosition(ctx, client, found, s.cfg.TransactionTimeout)
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return false, err
	}
	id := s.cfg.id()
	detail := fmt.Sprintf("the position of group %s cannot be read: a transaction of %s is open there, and nobody knows "+
		"whether it was to be committed (Kafka's state of the last one: %q), so nobody knows if the messages after %d up to "+
		"%d were published", id, id, state, found.done.id, found.intent.id)
	if p == nil {
		detail += "; Kafka has forgotten whose it was, so only Kafka's own tool can end it"
	}
	return true, s.haltFor(ctx, finding{verdict: stop, reason: HaltOutcomeUnknown, detail: detail})
}

// outcome is whether the last transaction was committed. Kafka's word was asked before it ended what was open; it may
// have got the commit in between.
func outcome(state string, found row, kafka *place) (commit, known bool) {
	switch state {
	case "PrepareCommit", stateCommitted:
		return true, true
	case stateOngoing:
		return kafka != nil && found.intent != found.done && found.intent.same(*kafka), true
	case "PrepareAbort", stateAborted, "PrepareEpochFence":
		return false, true
	}
	return false, false
}

// silentPause is between two questions to partitions that do not answer.
const silentPause = 250 * time.Millisecond

// look is leftOpen, but waits for partitions that do not answer: those without a leader are the very ones that Kafka
// passes over. What has not answered for twice the time of a transaction is gone on without, by this session and later
// ones: a broker that is lost for good must not hold up what goes to others.
func (s *session) look(ctx context.Context, client sarama.Client, found row) (l leftover, kafka *place, err error) {
	defer s.wait.set(waitLeader, "")
	for began := time.Now(); ; pause(ctx, silentPause) {
		s.asking.Store(time.Now().UnixNano()) // waiting is not being stuck
		l, kafka, err = s.leftOpen(ctx, client, found)
		if err != nil {
			return l, nil, err
		}
		waitFor := slices.DeleteFunc(slices.Clone(l.silent), func(tp kafkalog.TopicPartition) bool { return s.silent[tp] })
		switch {
		case len(waitFor) == 0:
			return l, kafka, nil
		case time.Since(began) > 2*s.cfg.TransactionTimeout:
			for _, tp := range waitFor {
				s.silent[tp] = true
			}
			s.log.Warn().Int("partitions", len(waitFor)).Stringer("first", waitFor[0]).
				Msg("partitions do not answer; if the last transaction is open there, it is not ended")
			return l, kafka, nil
		}
		s.wait.set(waitLeader, fmt.Sprintf("partition %s does not answer, and may have the end of the last transaction to "+
			"hear of", waitFor[0]))
	}
}

// leftOpen is where a reader of committed records does not get to the end, of all that the last turns may have written
// to. kafka is the position, if it can be read.
func (s *session) leftOpen(ctx context.Context, client sarama.Client, found row) (l leftover, kafka *place, err error) {
	kafka, err = s.kafkaPosition(ctx, client, found, peekWithin)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		l.position = true
	case err != nil:
		return l, nil, err
	}
	topics, err := recentTopics(ctx, s.cfg.Pool, found.done.id)
	if err != nil {
		return l, nil, err
	}
	var tps []kafkalog.TopicPartition
	for _, topic := range topics {
		partitions, err := client.Partitions(topic)
		switch {
		case err == nil:
		case blameOf(err) == blameTopic:
			continue // nothing is open where nothing is
		default:
			return l, nil, fmt.Errorf("look for topic %s: %w", topic, err)
		}
		for _, p := range partitions {
			tps = append(tps, kafkalog.TopicPartition{Topic: topic, Partition: p})
		}
	}
	if len(tps) == 0 {
		return l, kafka, nil
	}
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		return l, nil, err
	}
	ranges, err := reader.Ranges(ctx, tps)
	if err != nil {
		return l, nil, err
	}
	for _, tp := range tps {
		switch r, answered := ranges[tp]; {
		case !answered:
			l.silent = append(l.silent, tp)
			continue
		case r.LastStable < r.HighWatermark:
			l.partitions = append(l.partitions, tp)
		}
		delete(s.silent, tp)
	}
	return l, kafka, nil
}

// end ends the transaction p in all that l has.
func (s *session) end(ctx context.Context, c *coordinator, p producerID, l leftover, commit bool) error {
	added, err := c.add(ctx, p, l.partitions)
	if err != nil {
		return err
	}
	if l.position {
		if err := c.addOffsets(ctx, p, s.cfg.id()); err != nil {
			return err
		}
	}
	if added == 0 && !l.position {
		return nil
	}
	s.cfg.steps.step(stepAddedAgain)
	return c.end(ctx, p, commit)
}

// The turn that was under way begins behind the position, and the one before it ends there.
const topicsNear = `
select distinct topic from (
  (select topic from outbox where id > $1 order by id limit $2)
  union all (select topic from outbox where id <= $1 order by id desc limit $2)
  union all select topic from outbox_aside) t`

// recentTopics are those of the messages that the last turns may have sent.
func recentTopics(ctx context.Context, db querier, done int64) ([]string, error) {
	rows, err := db.Query(ctx, topicsNear, done, 2*maxPageMessages)
	if err != nil {
		return nil, fmt.Errorf("read the topics of the last messages: %w", err)
	}
	topics, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the topics of the last messages: %w", err)
	}
	slices.Sort(topics)
	return topics, nil
}
