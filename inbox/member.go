package inbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// member is one membership of the group, over all its sessions.
type member struct {
	*Consumer
	dispatcher *dispatcher
	client     sarama.Client
	kafka      *kafkalog.Reader
	idle       *lane // moves positions without records

	shown  map[string]string // topics that cannot be read yet, and what was logged about them
	missed map[string]bool   // topics that did not exist when this member looked for them
}

func (m *member) run(ctx context.Context) error {
	group, err := sarama.NewConsumerGroupFromClient(m.cfg.Group, m.client)
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	var errs sync.WaitGroup
	errs.Go(func() { m.logErrors(group.Errors()) })
	for failures := 0; ctx.Err() == nil; {
		started := time.Now()
		if m.join(ctx, group) || time.Since(started) > m.timeouts.Session {
			failures = 0
		}
		failures++
		// Jitter, so that members that were all fenced by the same event do not all rejoin at once.
		sleep(ctx, backoff(infrastructurePause, failures)+rand.N(infrastructurePause))
	}
	if err := group.Close(); err != nil {
		m.cfg.Log.Warn().Err(err).Msg("left the group with an error")
	}
	errs.Wait()
	return nil
}

// join runs one session of the group, to its end. False means that there was none, or that it ended for a reason that
// may come back at once: the next one is to wait a little longer.
func (m *member) join(ctx context.Context, group sarama.ConsumerGroup) bool {
	existing, err := m.readableTopics(ctx)
	if err != nil {
		m.cfg.Log.Warn().Err(err).Msg("cannot ask for topics; trying again")
		return false
	}
	if len(existing) == 0 {
		m.health.broker(nil)
		sleep(ctx, m.topicPoll())
		return true
	}
	joined, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newSession(m, group, cancel)
	var watch sync.WaitGroup
	watch.Go(func() { m.watchTopics(joined, existing, cancel) })
	err = group.Consume(joined, existing, s)
	cancel()
	watch.Wait()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		m.health.broker(fmt.Errorf("consumer group %s: %w", m.cfg.Group, err))
		m.cfg.Log.Warn().Err(err).Str("group", m.cfg.Group).Msg("session of the group ended with an error; joining again")
		return false
	default:
		m.cfg.Log.Info().Str("group", m.cfg.Group).Msg("session of the group ended; joining again")
		return s.rebalanced
	}
	return true
}

func (m *member) logErrors(errs <-chan error) {
	for err := range errs {
		m.cfg.Log.Warn().Err(err).Msg("kafka")
	}
}

// sleep waits for d; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
