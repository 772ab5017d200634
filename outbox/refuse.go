package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// topicTrouble is a topic that Kafka lets us not write to.
type topicTrouble struct {
	err    error
	since  time.Time
	aside  bool      // its messages are set aside
	sample *outgoing // to find out whether it can be written again
	probed time.Time
}

const (
	// probeEvery is how often a topic is tried again whose messages are set aside.
	probeEvery = 15 * time.Second
	// carefulSpan is how long messages are sent one by one after Kafka has refused a batch of them, and carefulMessages
	// how many of them a turn takes: each costs a request and its answer, and the turn has to end in time.
	carefulSpan     = 10 * time.Second
	carefulMessages = 200
	// maxTopicPause bounds the pause between two attempts at a topic.
	maxTopicPause = 2 * time.Second
	// behindLimit bounds the search for messages of other topics behind the ones that wait.
	behindLimit = 100_000
)

// careful reports whether messages are to be sent one by one.
func (r *Relay) careful() bool { return time.Now().Before(r.carefulUntil) }

// lessCare has fewer messages in a turn after one that failed while they were sent one by one: a slow broker may not
// get through as many in the time that a transaction has.
func (r *Relay) lessCare() {
	if r.careful() {
		r.carefulMost = max(cmp.Or(r.carefulMost, carefulMessages)/2, 1)
	}
}

// errPace ends a session so that the next one sends messages one by one, or does so no more.
var errPace = errors.New("messages are to be sent at another pace")

// topicsExist finds out, before anything is sent, whether the topics of messages do.
func (s *session) topicsExist(ctx context.Context, messages []*outgoing) error {
	for _, m := range messages {
		if s.known[m.topic] {
			continue
		}
		err := s.producer.lookUp(ctx, m.topic)
		switch {
		case err == nil:
			s.known[m.topic] = true
		case blameOf(err) == blameTopic:
			return &refusedError{[]refusal{{m, err}}} // one is enough to decide about its topic
		default:
			return fmt.Errorf("look for topic %s: %w", m.topic, err)
		}
	}
	return nil
}

// refuse decides what becomes of the messages that Kafka refused, so that the turn can be tried again without them.
func (s *session) refuse(ctx context.Context, e *refusedError, attempt int) error {
	var suspects []*outgoing
	topics := make(map[string]refusal)
	inTurn, inBatch := false, false
	for _, r := range e.refusals {
		switch blame := blameOf(r.err); {
		case blame == blameTopic || blame == blameTurn:
			topics[r.message.topic] = r
			inTurn = inTurn || blame == blameTurn
		case blame == blameBatch && !s.oneByOne:
			inBatch = true
		default:
			suspects = append(suspects, r.message)
		}
	}
	switch {
	case len(suspects) > 0:
		return s.convict(ctx, suspects)
	case inBatch:
		// Which one of the batch it is, or whether only their sum was too much, comes out when each goes alone.
		s.carefulUntil = time.Now().Add(carefulSpan)
		return errPace
	}
	if len(topics) > 1 || inTurn {
		var err error
		if topics, err = s.probe(topics); err != nil {
			return err
		}
	}
	for _, r := range topics {
		if r.message.id <= s.at.id {
			// It was set aside before, and is again: nothing waits for it.
			if err := s.putBack(ctx, r); err != nil {
				return err
			}
			continue
		}
		if err := s.troubled(ctx, r); err != nil {
			return err
		}
	}
	pause(ctx, jitter(min(sessionPause<<min(attempt-1, 10), maxTopicPause)))
	return nil
}

// convict sets the one of suspects aside that Kafka refuses when it goes alone.
func (s *session) convict(ctx context.Context, suspects []*outgoing) error {
	for _, m := range suspects {
		switch err := s.try(m); {
		case err == nil:
		case blameOf(err) == blameMessage, blameOf(err) == blameBatch:
			return s.setAside(ctx, []asideRow{{m, AsideMessage, err.Error(), asideWaiting}})
		default:
			return fmt.Errorf("try message %d: %w", m.id, err)
		}
	}
	return nil
}

// troubled notes that a topic is refused. When that has lasted, and messages of other topics wait behind it, its own
// are set aside from now on; as long as nobody waits it is only tried again.
func (s *session) troubled(ctx context.Context, r refusal) error {
	topic := r.message.topic
	t := s.topics[topic]
	if t == nil {
		t = &topicTrouble{since: time.Now()}
		s.topics[topic] = t
		s.log.Warn().Err(r.err).Str("topic", topic).Msg("Kafka refuses a topic: create it, or grant the right to write it")
	}
	t.err, t.sample, t.probed = r.err, r.message, time.Now()
	s.wait.set(waitTopic, fmt.Sprintf("topic %s: %v", topic, r.err))
	if t.aside || time.Since(t.since) < s.cfg.RefuseAfter {
		return nil
	}
	blocked, err := s.othersWait(ctx)
	t.aside = blocked
	return err
}

// putBack sets aside again what was to be sent again to r's topic.
func (s *session) putBack(ctx context.Context, r refusal) error {
	topic := r.message.topic
	s.topics[topic] = &topicTrouble{err: r.err, since: time.Now(), aside: true, sample: r.message, probed: time.Now()}
	if err := stopRetries(ctx, s.cfg.Pool, topic, r.err.Error()); err != nil {
		return err
	}
	return s.reloadAsides(ctx)
}

const othersBehind = `
select exists (
  select from (select topic from outbox where id > $1 order by id limit $2) o where o.topic <> all($3))`

// othersWait reports whether messages wait whose topic is not in trouble.
func (s *session) othersWait(ctx context.Context) (yes bool, err error) {
	var troubled []string
	for topic := range s.topics {
		troubled = append(troubled, topic)
	}
	err = s.cfg.Pool.QueryRow(ctx, othersBehind, s.at.id, behindLimit, troubled).Scan(&yes)
	if err != nil {
		return false, fmt.Errorf("look for messages of other topics: %w", err)
	}
	return yes, nil
}

// probe tries the topics one by one, each in a transaction that is aborted, and returns those that are refused: when
// one is, Kafka has not attempted the others.
func (s *session) probe(topics map[string]refusal) (refused map[string]refusal, err error) {
	refused = make(map[string]refusal)
	for topic, r := range topics {
		if err := s.try(r.message); err != nil {
			switch blameOf(err) {
			case blameKafka:
				return nil, tryError(topic, err)
			case blameTopic:
				refused[topic] = refusal{r.message, err}
			}
		}
	}
	return refused, nil
}

func tryError(topic string, err error) error { return fmt.Errorf("try topic %s: %w", topic, err) }

// try sends m in a transaction that is aborted.
func (s *session) try(m *outgoing) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.TransactionTimeout)
	defer cancel()
	if err := s.producer.lookAgain(ctx, m.topic); err != nil {
		return err
	}
	defer s.noteSlow(time.Now())
	return s.producer.try(ctx, m)
}

// recallTopics takes up which topics were refused when the last session ended, whoever held it.
func (s *session) recallTopics(ctx context.Context) error {
	samples, err := refusedTopics(ctx, s.cfg.Pool)
	if err != nil {
		return err
	}
	for _, m := range samples {
		if s.topics[m.topic] == nil {
			s.topics[m.topic] = &topicTrouble{
				err: sarama.ErrUnknownTopicOrPartition, since: time.Now(), aside: true, sample: m,
			}
		}
	}
	return nil
}

// probeTopics finds out whether topics that were refused can be written now. What was set aside because of them is then
// sent again by itself.
func (s *session) probeTopics(ctx context.Context) error {
	for topic, t := range s.topics {
		if !t.aside {
			delete(s.topics, topic) // it was written since, or it is found out again
			continue
		}
		if time.Since(t.probed) < probeEvery {
			continue
		}
		t.probed = time.Now()
		if err := s.try(t.sample); err != nil {
			switch blameOf(err) {
			case blameKafka:
				return tryError(topic, err)
			case blameTopic:
				t.err = err
				continue
			}
			// It is the message that is refused now; another one will do.
		}
		s.log.Info().Str("topic", topic).Msg("a topic can be written again; what was set aside for it is sent now")
		delete(s.topics, topic)
		if err := retryAll(ctx, s.cfg.Pool, topic); err != nil {
			return err
		}
		if err := s.reloadAsides(ctx); err != nil {
			return err
		}
	}
	return nil
}
