package inbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// hashChecks bounds how many partitions' last records are fetched at the same time.
const hashChecks = 8

func (c *claim) name() string { return fmt.Sprintf("%s/%d", c.Topic, c.Partition) }

func (c *claim) logHalt(log zerolog.Logger, next int64, h offsets.Halt) {
	log.Error().Str("topic", c.Topic).Int32("partition", c.Partition).Int64("next", next).
		Str("reason", h.Reason).Str("detail", h.Detail).
		Msgf("partition is halted; see `onhand offsets show`, then `onhand offsets resume %s %d --because ...`",
			c.Topic, c.Partition)
}

func kafkaName(tp offsets.TopicPartition) kafkalog.TopicPartition { return kafkalog.TopicPartition(tp) }

// checkClaimed compares each claimed partition with its topic before anything is read (I9). What cannot be asked now is
// asked again before the partition's first read.
func (s *session) checkClaimed(ctx context.Context, topics map[string]kafkalog.Topic) {
	claims := slices.Collect(maps.Values(s.claims))
	s.checkTopics(ctx, topics, claims)
	s.inRange = make(map[offsets.TopicPartition]bool, len(claims))
	for tp := range s.checkRanges(ctx, claims) {
		s.inRange[tp] = true
	}
}

// check compares claims with their topics, all of it.
func (s *session) check(ctx context.Context, claims []*claim) {
	s.checking.Lock()
	defer s.checking.Unlock()
	names := make(map[string]bool)
	for _, c := range claims {
		names[c.Topic] = true
	}
	topics, err := s.kafka.Topics(ctx, slices.Collect(maps.Keys(names)))
	if err != nil {
		s.cfg.Log.Warn().Err(err).Msg("cannot check topics now")
	}
	s.checkTopics(ctx, topics, claims)
	s.checkRanges(ctx, claims)
	s.checkHashes(ctx, claims)
}

// checkTopics halts partitions of topics that were recreated or are compacted.
func (s *session) checkTopics(ctx context.Context, topics map[string]kafkalog.Topic, claims []*claim) {
	compaction, err := s.kafka.Compaction(ctx, slices.Collect(maps.Keys(topics)))
	if err != nil {
		s.cfg.Log.Warn().Err(err).Msg("cannot tell whether topics are compacted")
	}
	unknown := make(map[string][]uuid.UUID)
	for _, c := range claims {
		topic, exists := topics[c.Topic]
		if !exists {
			continue // gone, or not to be asked about: joining again deals with it
		}
		stored := s.found[c.TopicPartition].TopicID
		switch {
		case topic.ID == uuid.Nil:
		case stored == uuid.Nil:
			unknown[c.Topic] = append(unknown[c.Topic], c.token)
		case stored != topic.ID:
			s.halt(ctx, c, offsets.HaltTopicRecreated, fmt.Sprintf(
				"the topic was deleted and created again: its id was %s and is %s now", stored, topic.ID))
		}
		if compaction[c.Topic] == kafkalog.CompactionYes && !s.cfg.AllowCompacted {
			s.halt(ctx, c, offsets.HaltTopicCompacted,
				"the topic's cleanup.policy removes records by key, so events that were never read can vanish; "+
					"set it to delete, or run with --allow-compacted")
		}
	}
	for name, tokens := range unknown {
		if err := offsets.LearnTopicID(ctx, s.cfg.Pool, name, tokens, topics[name].ID); err != nil {
			s.cfg.Log.Warn().Err(err).Msg("topic id is not stored yet")
			continue
		}
		for _, c := range claims {
			if found := s.found[c.TopicPartition]; c.Topic == name {
				found.TopicID = topics[name].ID
				s.found[c.TopicPartition] = found
			}
		}
	}
}

// checkRanges halts partitions whose position lies outside their log.
func (s *session) checkRanges(ctx context.Context, claims []*claim) map[offsets.TopicPartition]kafkalog.Range {
	// Positions first, ranges after: a log that grows in between is further on, never behind.
	positions := make([]position, len(claims))
	tps := make([]kafkalog.TopicPartition, len(claims))
	for i, c := range claims {
		positions[i], tps[i] = s.dispatcher.position(c), kafkaName(c.TopicPartition)
	}
	ranges, err := s.kafka.Ranges(ctx, tps)
	if err != nil {
		s.cfg.Log.Warn().Err(err).Msg("cannot ask for the logs' ranges now")
	}
	checked := make(map[offsets.TopicPartition]kafkalog.Range, len(ranges))
	for i, c := range claims {
		r, ok := ranges[tps[i]]
		if !ok {
			continue
		}
		checked[c.TopicPartition] = r
		p := positions[i]
		switch {
		case !p.running:
		case p.Next > r.HighWatermark:
			s.haltAt(ctx, c, p, offsets.HaltBeyondLogEnd, fmt.Sprintf(
				"the position is %d, but the log ends at %d: it was cut back", p.Next, r.HighWatermark))
		case p.Next < r.Start && p.idle:
			s.haltAt(ctx, c, p, offsets.HaltBelowLogStart, fmt.Sprintf(
				"the position is %d, but the log starts at %d: retention removed %d offsets that were never read",
				p.Next, r.Start, r.Start-p.Next))
		}
	}
	return checked
}

// checkHashes halts partitions whose record before the position is not the one that was read: the log was cut back and
// has grown past the position since.
func (s *session) checkHashes(ctx context.Context, claims []*claim) {
	var g errgroup.Group
	for _, c := range claims {
		g.Go(func() error {
			if err := s.checkHash(ctx, c); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn().Err(err).Str("topic", c.Topic).Int32("partition", c.Partition).
					Msg("cannot compare the record before the position now")
			}
			return nil
		})
	}
	_ = g.Wait()
}

func (s *session) checkHash(ctx context.Context, c *claim) error {
	p := s.dispatcher.position(c)
	if !p.running || p.hash == nil || p.Next == 0 {
		return nil
	}
	// Each answer is a whole batch of records.
	s.hashing <- struct{}{}
	defer func() { <-s.hashing }()
	hash, found, err := s.kafka.RecordHash(ctx, kafkaName(c.TopicPartition), p.Next-1)
	if err != nil {
		return err
	}
	if found && hash != *p.hash {
		s.haltAt(ctx, c, p, offsets.HaltLogRegrown, fmt.Sprintf(
			"the record at %d is not the one that was read: the log was cut back and has grown again", p.Next-1))
	}
	return nil
}

// verifyEvery is how often a partition is tried that cannot be checked yet.
const verifyEvery = time.Second

// verified makes sure that c is checked before its first record is read; false when it was halted or ctx ended.
func (s *session) verified(ctx context.Context, c *claim) bool {
	for ctx.Err() == nil {
		ok := s.inRange[c.TopicPartition]
		if !ok {
			_, ok = s.checkRanges(ctx, []*claim{c})[c.TopicPartition]
		}
		if s.isHalted(c) {
			return false
		}
		if ok {
			err := s.checkHash(ctx, c)
			if err == nil {
				return !s.isHalted(c) && !s.isOver()
			}
			s.cfg.Log.Warn().Err(err).Str("topic", c.Topic).Int32("partition", c.Partition).
				Msg("partition cannot be checked yet; not reading it")
		}
		if s.isOver() {
			return false
		}
		// Until then nobody takes its records, and the others of its broker must not wait for that; see handOver.
		s.group.Pause(c.only())
		sleep(ctx, verifyEvery)
	}
	return false
}

// halt stops c at its present position.
func (s *session) halt(ctx context.Context, c *claim, reason, detail string) {
	s.haltAt(ctx, c, s.dispatcher.position(c), reason, detail)
}

// haltAt stops c where it was judged, or ends the session if that cannot be stored.
func (s *session) haltAt(ctx context.Context, c *claim, p position, reason, detail string) {
	if !p.running {
		return
	}
	h := offsets.Halt{Reason: reason, Detail: detail}
	stopped, err := offsets.StopPartition(ctx, s.cfg.Pool, p.Expected, h)
	if err != nil || !stopped {
		// Reading on would take records of another log for ours. Joining again checks everything anew.
		s.cfg.Log.Warn().Err(err).Str("reason", reason).Str("detail", detail).Msg("halt is not stored yet")
		s.end("the halt of " + c.name() + " cannot be stored")
		return
	}
	c.logHalt(s.cfg.Log, p.Next, h)
	s.dispatcher.halt(c)
	s.countHalted()
}

func (s *session) countHalted() {
	halted := 0
	for _, c := range s.claims {
		if s.isHalted(c) {
			halted++
		}
	}
	s.health.claims(len(s.claims), halted)
}
