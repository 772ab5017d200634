package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// readableTopics are those of the configured topics that exist and whose partitions have rows. Subscribing to one that
// does not exist would fail the whole group, so it is waited for while the others go on; so is one whose start cannot
// be resolved yet. An error means that nothing can be read now.
func (m *member) readableTopics(ctx context.Context) ([]string, error) {
	topics, err := m.kafka.Topics(ctx, m.cfg.Topics)
	if topics == nil {
		m.health.broker(err)
		return nil, err
	}
	var readable []string
	for _, name := range m.cfg.Topics {
		topic, exists := topics[name]
		if !exists {
			m.show(name, "topic does not exist yet; waiting for it", err)
			m.missed[name] = true
			continue
		}
		err := m.open(ctx, topic)
		switch {
		case errors.Is(err, errNoStart):
			m.show(name, "topic cannot be started yet; waiting for it", err)
			continue
		case err != nil:
			return nil, err
		}
		delete(m.shown, name)
		readable = append(readable, name)
	}
	slices.Sort(readable)
	return readable, nil
}

// show logs why a topic is not read, once.
func (m *member) show(topic, why string, err error) {
	if m.shown[topic] != why {
		m.shown[topic] = why
		m.cfg.Log.Warn().Err(err).Str("topic", topic).Msg(why)
	}
}

// errNoStart: the cluster does not say where a topic's partitions begin.
var errNoStart = errors.New("start is not known")

// startPatience bounds how long a new topic's leaders are waited for before the others go on without it.
const startPatience = 5 * time.Second

// open makes sure that each of the topic's partitions has a row (offsets.Open). A topic that came into being while it
// was waited for starts at its oldest record, whatever newest says: all of them are newer than the start.
func (m *member) open(ctx context.Context, topic kafkalog.Topic) error {
	resolve := func(ctx context.Context) (map[int32]int64, error) {
		ctx, cancel := context.WithTimeout(ctx, startPatience)
		defer cancel()
		start := m.cfg.Start
		if start.newest && m.missed[topic.Name] {
			start = Start{}
		}
		starts, err := start.resolve(ctx, m.kafka, topic.Name, topic.Partitions)
		if err != nil {
			err = fmt.Errorf("%w: %w", errNoStart, err)
		}
		return starts, err
	}
	err := offsets.Open(ctx, m.cfg.Pool, topic.Name, topic.ID, topic.Partitions, resolve)
	if !errors.Is(err, errNoStart) {
		m.health.polled(err)
	}
	return err
}

// topicPoll is how often missing topics are looked for.
func (m *member) topicPoll() time.Duration { return min(m.cfg.CheckEvery, 5*time.Second) }

// watchTopics ends the session when the set of readable topics changes, so that the next one subscribes anew.
func (m *member) watchTopics(ctx context.Context, subscribed []string, end context.CancelFunc) {
	for {
		if !sleep(ctx, m.topicPoll()) {
			return
		}
		if now, err := m.readableTopics(ctx); err == nil && !slices.Equal(now, subscribed) {
			end()
			return
		}
	}
}
