package outbox

import (
	"context"
	"errors"
	"time"
)

// The publisher's clocks.
const (
	// doneAfter is how long a position stays stored as an intent when no further page comes: the next turn stores it
	// on the way.
	doneAfter = 5 * time.Millisecond
	// lookEvery is how often operators' decisions about messages that are set aside are looked for.
	lookEvery = time.Second
)

// publish takes one page after another out to Kafka.
func (s *session) publish(ctx context.Context, from handover) error {
	from.wanted <- struct{}{}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if s.oneByOne && !s.careful() {
			return errors.Join(errPace, s.store(ctx))
		}
		var unstored <-chan time.Time
		if s.stored != s.at {
			unstored = time.After(doneAfter)
		}
		var err error
		select {
		case p := <-from.pages:
			err = s.turn(ctx, p)
			from.wanted <- struct{}{}
		case <-unstored:
			err = s.store(ctx)
		case <-look.C:
			err = s.lookAround(ctx)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), s.storeLast(ctx))
		}
		if err != nil {
			return err
		}
	}
}

// store stores that Kafka has committed what was intended.
func (s *session) store(ctx context.Context) error {
	if s.stored == s.at {
		return nil
	}
	if err := s.lease.finish(ctx, s.at); err != nil {
		return err
	}
	s.stored = s.at
	s.cfg.steps.step(stepDone)
	return nil
}

// storeLast is store at the end. A database that does not answer must not hold it up: the next session finds out.
func (s *session) storeLast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	return s.store(ctx)
}

// lookAround does what is due without a new message.
func (s *session) lookAround(ctx context.Context) error {
	if err := s.probeTopics(ctx); err != nil {
		return err
	}
	var err error
	if s.decided, err = asidesDecided(ctx, s.cfg.Pool, s.at.id, !s.cfg.FollowRefused); err != nil {
		return err
	}
	if s.decided || time.Since(s.last) > s.cfg.RecommitEvery {
		return s.turn(ctx, &page{upTo: s.at.id})
	}
	return nil
}

// slowTurn is how long a transaction takes in which the broker may have stood still for so long that it was given up,
// and errSlow ends the session after one, committed or aborted: the producer must not begin another one before readers
// have heard of the end of this one, or they take the next one's end for that of both.
const slowTurn = 2 * time.Second

var errSlow = errors.New("a turn took long, so that Kafka may not have told readers of its end")

// noteSlow is called when a transaction that began at that time has ended.
func (s *session) noteSlow(began time.Time) { s.slow = s.slow || time.Since(began) > slowTurn }

// turn takes one page out in one Kafka transaction, with the messages in front of it that are to be sent again. A
// message that Kafka refuses is set aside, and the rest is tried again, until it is out. A shutdown lets the
// transaction that is under way finish.
func (s *session) turn(ctx context.Context, p *page) error {
	next := place{id: p.upTo, turn: s.at.turn + 1, by: s.lease.token}
	intended := false
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.slow { // the attempt before, or a probe of a topic
			return errors.Join(errSlow, s.store(ctx))
		}
		messages, err := s.choose(ctx, p, next.turn)
		if err != nil {
			return err
		}
		err = s.transact(ctx, messages, next, &intended)
		var refused *refusedError
		switch {
		case err == nil:
			s.at, s.last = next, time.Now()
			if s.oneByOne {
				s.carefulMost = min(2*s.mostMessages(), carefulMessages)
			}
			s.wait.set(waitTopic, "")
			err = s.settleTurn(ctx)
			if err == nil && s.slow {
				err = errors.Join(errSlow, s.store(ctx))
			}
			return err
		case !errors.As(err, &refused) || fenced(err):
			return err
		}
		if err := s.refuse(ctx, refused, attempt); err != nil {
			return err
		}
	}
}

// transact is one attempt. The intent is stored while Kafka takes the messages in, and before the commit is sent.
func (s *session) transact(ctx context.Context, messages []*outgoing, next place, intended *bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.TransactionTimeout)
	defer cancel()
	s.asking.Store(time.Now().UnixNano())
	defer s.asking.Store(0)
	if err := s.topicsExist(ctx, messages); err != nil {
		return err
	}
	intent := make(chan error, 1)
	if *intended {
		intent <- nil
	} else {
		from := s.at
		go func() { intent <- s.intend(ctx, from, next, intended) }()
	}
	began := time.Now()
	err := s.producer.transact(ctx, messages, next, intent, s.cfg.steps)
	s.noteSlow(began)
	if *intended {
		s.stored = s.at // it was stored along with the intent
	}
	return err
}

func (s *session) intend(ctx context.Context, from, next place, intended *bool) error {
	if err := s.lease.intend(ctx, from, next); err != nil {
		return err
	}
	*intended = true
	return nil
}

// choose is what a turn sends: what is to be sent again, in front, then p without what is set aside. What has to be set
// aside before it is tried is, now.
func (s *session) choose(ctx context.Context, p *page, turn int64) (messages []*outgoing, err error) {
	if s.decided {
		if messages, err = s.chooseRetries(ctx, turn); err != nil {
			return nil, err
		}
	}
	var aside []asideRow
	for _, m := range p.messages {
		row, ok := s.holdBack(m)
		switch {
		case s.asides.ids[m.id]:
		case ok:
			aside = append(aside, row)
		default:
			messages = append(messages, m)
		}
	}
	if len(aside) > 0 {
		err = s.setAside(ctx, aside)
	}
	return messages, err
}

// chooseRetries is what is to be sent again, and notes that this turn does.
func (s *session) chooseRetries(ctx context.Context, turn int64) ([]*outgoing, error) {
	messages, err := retries(ctx, s.cfg.Pool, s.at.id, !s.cfg.FollowRefused, s.mostMessages())
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(messages))
	for i, m := range messages {
		ids[i] = m.id
	}
	return messages, markRetried(ctx, s.cfg.Pool, turn, ids)
}

// holdBack says whether m is to be set aside untried.
func (s *session) holdBack(m *outgoing) (asideRow, bool) {
	row := asideRow{message: m, state: asideWaiting}
	if t := s.topics[m.topic]; t != nil && t.aside {
		row.reason, row.detail = AsideTopic, t.err.Error()
	} else if state, ok := s.asides.holds(m); ok {
		row.reason, row.detail, row.state = AsideBehind, "an earlier message of its key is set aside", state
	} else {
		return row, false
	}
	return row, true
}

// setAside sets rows aside, each before anything passes it.
func (s *session) setAside(ctx context.Context, rows []asideRow) error {
	if err := setAside(ctx, s.cfg.Pool, rows); err != nil {
		return err
	}
	s.log.Warn().Int("messages", len(rows)).Str("topic", rows[0].message.topic).Str("reason", rows[0].reason).
		Str("detail", rows[0].detail).Msg("messages are set aside; look at `onhand outbox show`")
	return s.reloadAsides(ctx)
}

func (s *session) reloadAsides(ctx context.Context) (err error) {
	s.asides, err = loadAsides(ctx, s.cfg.Pool, s.at.id, !s.cfg.FollowRefused)
	return err
}

// settleTurn removes what is out now, or passed and dropped.
func (s *session) settleTurn(ctx context.Context) error {
	if !s.decided && len(s.asides.ids) == 0 {
		return nil
	}
	s.decided = false
	if err := s.store(ctx); err != nil {
		return err
	}
	if err := settleAsides(ctx, s.cfg.Pool, false); err != nil {
		return err
	}
	return s.reloadAsides(ctx)
}
