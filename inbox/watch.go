package inbox

import (
	"context"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// How often a session looks at what can change behind its back.
const (
	rowPoll  = 2 * time.Second // the claims' rows: an operator resumed or moved one
	idlePoll = 2 * time.Second // the ends of logs that nothing comes from
)

// watch starts the session's watchers. They end with the session's context, and Cleanup waits for them.
func (s *session) watch(sess sarama.ConsumerGroupSession) {
	ctx, stop := context.WithCancel(sess.Context())
	s.stop = stop
	every := func(d time.Duration, do func(context.Context)) {
		s.watching.Go(func() {
			for sleep(ctx, d) {
				do(ctx)
			}
		})
	}
	every(s.cfg.CheckEvery, func(ctx context.Context) { s.check(ctx, s.running()) })
	every(rowPoll, s.pollRows)
	every(min(idlePoll, s.cfg.CheckEvery), func(ctx context.Context) {
		s.passInvisible(ctx)
		s.passTime(ctx)
	})
	s.watching.Go(func() { s.publishLoop(ctx, sess) })
}

func (s *session) running() []*claim {
	var cs []*claim
	for _, c := range s.claims {
		if !s.isHalted(c) {
			cs = append(cs, c)
		}
	}
	return cs
}

// pollRows ends the session when a row is not what its claim believes: resumed by an operator, moved, or claimed by
// another member. The next session reads everything anew.
func (s *session) pollRows(ctx context.Context) {
	claims := make([]*claim, 0, len(s.claims))
	es := make([]offsets.Expected, 0, len(s.claims))
	halted := make([]bool, 0, len(s.claims))
	for _, c := range s.claims {
		p := s.dispatcher.position(c)
		claims, es, halted = append(claims, c), append(es, p.Expected), append(halted, !p.running)
	}
	now, err := offsets.Read(ctx, s.cfg.Pool, es)
	if err != nil {
		if ctx.Err() == nil {
			s.health.polled(err)
		}
		return
	}
	s.health.polled(nil)
	for i, c := range claims {
		switch {
		case now[i].Ours && now[i].Next < es[i].Next:
			// The row was read after the position: only a failover, or a restore, takes it back.
			s.end("commits were lost: " + c.name() + " stands before what was applied")
		case !now[i].Ours:
			s.end("another claim, or an operator, took " + c.name())
		case halted[i] && !now[i].Halted:
			s.end(c.name() + " was resumed")
		}
	}
	s.countHalted()
}

// passInvisible advances idle partitions over what no reader can see: the transaction markers and aborted records at
// the end of a log. Once retention empties the log a position before them would be out of range, and until then the lag
// would never reach 0.
func (s *session) passInvisible(ctx context.Context) {
	var idle []*claim
	var tps []kafkalog.TopicPartition
	for _, c := range s.running() {
		if s.dispatcher.position(c).idle {
			idle, tps = append(idle, c), append(tps, kafkaName(c.TopicPartition))
		}
	}
	if len(idle) == 0 {
		return
	}
	ranges, err := s.kafka.Ranges(ctx, tps)
	if err != nil {
		return // the check of every minute says so
	}
	for i, c := range idle {
		r, ok := ranges[tps[i]]
		p := s.dispatcher.position(c)
		if !ok || !p.idle || p.Next >= r.LastStable || p.Next < r.Start {
			continue
		}
		until, err := s.kafka.InvisibleUntil(ctx, tps[i], p.Next)
		if err != nil || until <= p.Next {
			continue
		}
		s.apart(c, p.Next, func(p *part) { p.passTo = until })
	}
}

// apart runs a transaction without records for c, out of the lanes' reach, if c is idle at the offset at, and reports
// whether it stored anything.
func (s *session) apart(c *claim, at int64, prepare func(*part)) (stored bool) {
	p, ok := s.dispatcher.borrow(c)
	if !ok {
		return false
	}
	b, results := newBatch(p), make([]result, 1)
	if p.from == at {
		prepare(p)
		results = s.idle.apply(b)
	}
	s.dispatcher.finish(b, results)
	return results[0].moved
}
