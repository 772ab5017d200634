package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
}

func (l leftover) nowhere() bool { return !l.position && len(l.partitions) == 0 }

// maxEndings bounds how often a transaction is ended again: other producers' may be open in the same partitions.
const maxEndings = 2

// endLast makes sure that readers know the end of the last transaction, wherever this outbox may have written.
func (s *session) endLast(ctx context.Context, found row) error {
	client, err := sarama.NewClient(s.cfg.Brokers, kafkalog.Config(s.cfg.Member, s.cfg.TransactionTimeout))
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.TransactionTimeout)
	defer cancel()
	// Mostly nothing is open, and nobody has to be fenced to see that.
	if l, _, err := s.leftOpen(ctx, client, found); err != nil || l.nowhere() {
		return err
	}
	c := &coordinator{client, s.cfg.id(), s.cfg.TransactionTimeout}
	state, err := c.state(ctx) // beginning takes it away
	if err != nil || state == "" {
		return err
	}
	for range maxEndings {
		p, err := c.begin(ctx)
		if err != nil {
			return err
		}
		// What was only under way has ended now.
		l, kafka, err := s.leftOpen(ctx, client, found)
		if err != nil || l.nowhere() {
			return err
		}
		commit, known := outcome(state, found, kafka)
		if !known {
			return nil
		}
		s.log.Warn().Int("partitions", len(l.partitions)).Bool("position", l.position).Bool("committed", commit).
			Msg("readers have not heard of the end of the last transaction; it is ended again")
		if err := s.end(ctx, c, p, l, commit); err != nil {
			return err
		}
	}
	_, err = c.begin(ctx)
	return err
}

// outcome is whether the last transaction was committed. Kafka's word was asked before it ended what was open; it may
// have got the commit in between.
func outcome(state string, found row, kafka *place) (commit, known bool) {
	switch state {
	case "PrepareCommit", "CompleteCommit":
		return true, true
	case "Ongoing":
		return kafka != nil && found.intent != found.done && found.intent.same(*kafka), true
	case "PrepareAbort", "CompleteAbort", "PrepareEpochFence":
		return false, true
	}
	return false, false // another session has begun since, and has seen to it
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
		if err != nil {
			continue // nothing is open where nothing is
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
	for tp, r := range ranges {
		if r.LastStable < r.HighWatermark {
			l.partitions = append(l.partitions, tp)
		}
	}
	return l, kafka, err
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
