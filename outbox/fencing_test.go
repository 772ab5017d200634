package outbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"onhand/internal/testenv"
)

func TestARelayThatWasFrozenWhileAnotherTookOverPublishesNothingTwice(t *testing.T) {
	t.Parallel()
	for _, at := range allSteps {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.orders("frozen")
			o.At, o.Times, o.Freeze = at, 2, true
			o.Transaction = 5 * time.Minute // it is the heir that ends its transaction, not the broker
			frozen := w.spawn(o)
			frozen.awaitStep()
			w.append("a", "b", "c")
			_, stop := w.start(w.config("heir"))
			w.awaitAll()
			stopFeed := w.feed(1, 20*time.Millisecond)
			pause(t.Context(), time.Second)
			frozen.thaw()
			w.eventually("it goes on", func() bool { return frozen.said("goes on") })
			// It notices that it is not the leader any more, and lets the other one work.
			w.stays("the heir leads", o.Lease, func() bool { return w.row().owner == "heir" })
			stopFeed()
			w.awaitAll()
			stop()
			w.append("a", "b", "d")
			w.awaitAll()
			if r := w.row(); r.owner != "frozen" || frozen.ended() {
				t.Errorf("%q leads, want the one that was frozen", r.owner)
			}
		})
	}
}

func TestARelayFrozenPastItsTransactionsTimeoutGoesOnByItself(t *testing.T) {
	t.Parallel()
	for _, at := range []step{stepSent, stepIntended} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.orders("frozen")
			o.At, o.Times, o.Freeze = at, 2, true
			o.Transaction = 2 * time.Second
			frozen := w.spawn(o)
			frozen.awaitStep()
			w.append("a", "b", "c")
			if open, err := w.outside.openTransaction(t.Context()); !open || err != nil {
				t.Fatalf("no transaction is open (%v)", err)
			}
			w.eventually("the broker has ended its transaction", func() bool {
				open, err := w.outside.openTransaction(context.Background())
				return !open && err == nil
			})
			frozen.thaw()
			w.awaitAll()
			if frozen.ended() {
				t.Error("it ended")
			}
		})
	}
}

// sessions counts in a relay's log how often it has begun to lead.
type sessions struct{ output *testenv.Buffer }

func (s sessions) count() int { return strings.Count(s.output.String(), "publishing messages") }

func watched(cfg Config) (Config, sessions) {
	s := sessions{&testenv.Buffer{}}
	cfg.Log = zerolog.New(s.output)
	return cfg, s
}

func TestRelaysThatStartAtOnceDoNotFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stopFeed := w.feed(2, 15*time.Millisecond)
	var all []sessions
	for _, member := range []string{"one", "two", "three"} {
		cfg, s := watched(w.config(member))
		all = append(all, s)
		w.start(cfg)
	}
	count := func() (n int) {
		for _, s := range all {
			n += s.count()
		}
		return n
	}
	w.eventually("one leads", func() bool { return count() > 0 })
	leader := w.row().owner
	w.stays("the same one leads, without a break", 6*time.Second, func() bool {
		return w.row().owner == leader && count() == 1
	})
	stopFeed()
	w.awaitAll()
	for i, s := range all {
		if said := s.output.String(); strings.Contains(said, "interrupted") {
			t.Errorf("relay %d was interrupted: %s", i, said)
		}
	}
}

func TestARelayThatEndsInOrderHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.config("first"), w.config("second")
	first.LeaseTime, second.LeaseTime = time.Minute, time.Minute
	_, stop := w.start(first)
	w.append("a", "b")
	w.awaitAll()
	w.start(second)
	stopFeed := w.feed(1, 10*time.Millisecond)
	stop()
	w.eventually("the second one leads", func() bool { return w.row().owner == "second" })
	stopFeed()
	w.awaitAll()
}

func TestATransactionThatAKilledRelayLeftOpenIsNeverSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.orders("victim")
	o.At, o.Times = stepSent, 2
	o.Transaction = time.Minute // the broker does not end it in time
	victim := w.spawn(o)
	victim.awaitStep()
	w.eventually("it is dead", victim.ended)
	if open, err := w.outside.openTransaction(t.Context()); !open || err != nil {
		t.Fatalf("no transaction is open (%v)", err)
	}
	before := w.visible()
	w.stays("nothing of it is visible", time.Second, func() bool { return w.visible() == before })
	w.expire()
	w.start(w.config("heir"))
	w.awaitAll()
	if open, err := w.outside.openTransaction(t.Context()); open || err != nil {
		t.Errorf("a transaction is open: %v (%v)", open, err)
	}
	if all, err := w.outside.uncommitted(t.Context()); err != nil || all <= len(w.outside.seen) {
		t.Errorf("%d records of any kind and %d visible ones: nothing was aborted (%v)", all, len(w.outside.seen), err)
	}
}
