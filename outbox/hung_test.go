package outbox

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"onhand/internal/testenv"
)

// unfenced lets a broker that was frozen go on as if nothing had happened. By the tests' settings its own controller
// takes it for dead, and it would begin with an election of all its leaders.
const unfenced = "broker.session.timeout.ms=60000"

// A broker that hangs keeps its connections and answers nothing. The client would wait for minutes; an orderly end must
// not, and whatever it leaves behind the next session finds out.
func TestAnOrderlyEndDoesNotWaitForABrokerThatHangs(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, unfenced)
	for name, c := range map[string]struct {
		at     step // where the broker hangs; empty = when nothing is under way
		begins bool // ... or already when the relay starts
		within time.Duration
	}{
		"as a session begins":           {begins: true, within: 3 * time.Second},
		"when nothing is under way":     {within: 5 * time.Second},
		"while messages are being sent": {at: stepRead, within: 10 * time.Second},
		"in the commit":                 {at: stepIntended, within: 10 * time.Second},
		"after the commit":              {at: stepCommitted, within: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
			cfg := w.config("first")
			var hung atStep
			hung.when, hung.do = c.at, kafka.Freeze
			cfg.steps = hung.step
			if c.begins {
				kafka.Freeze()
			}
			defer kafka.Thaw()
			_, stop := w.start(cfg)
			w.eventually("it leads", func() bool { return w.row().owner == "first" })
			if !c.begins {
				w.append("a", "b")
				w.awaitAll()
				hung.arm()
				w.append("a", "c")
				if c.at == "" {
					w.awaitAll()
					kafka.Freeze()
				} else {
					w.eventually("the broker hangs", hung.done)
				}
			}
			began := time.Now()
			stop()
			if took := time.Since(began); took > c.within {
				t.Errorf("it took %v, want %v at most", took, c.within)
			}
			if owner := w.row().owner; owner != "" {
				t.Errorf("%s has not given the lease back", owner)
			}
			kafka.Thaw()
			w.start(w.config("second"))
			w.append("a", "d")
			w.awaitAll()
		})
	}
}

// atStep does something once, the first time that a relay comes to a step after it was armed.
type atStep struct {
	when step
	do   func()

	mu           sync.Mutex
	armed, ended bool
}

func (a *atStep) arm() { a.mu.Lock(); a.armed = true; a.mu.Unlock() }

func (a *atStep) done() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.ended }

func (a *atStep) step(at step) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.armed && !a.ended && at == a.when {
		a.do()
		a.ended = true
	}
}

// It is not stopped, and goes on by itself when the broker does.
func TestARelayWhoseBrokerHangsInACommitGoesOnAfterwards(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, unfenced)
	w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
	cfg := w.config("one")
	var log testenv.Buffer // the relay's state has an error only until the next session is tried
	cfg.Log = zerolog.New(&log)
	hung := atStep{when: stepIntended, do: kafka.Freeze}
	cfg.steps = hung.step
	w.start(cfg)
	w.append("a", "b")
	w.awaitAll()
	hung.arm()
	defer kafka.Thaw()
	w.append("a", "c")
	w.eventually("the session ends", func() bool { return strings.Contains(log.String(), "was interrupted") })
	if said := log.String(); !hung.done() || !strings.Contains(said, errUnanswered.Error()) {
		t.Errorf("it ended for another reason:\n%s", said)
	}
	kafka.Thaw()
	w.append("a", "d")
	w.awaitAll()
}

// The session that asks goes on waiting for a long time, and says so.
func TestABrokerThatHangsIsNamedBeforeTheSessionEnds(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, unfenced)
	w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
	cfg := w.config("one")
	cfg.TransactionTimeout = 2 * patience
	relay, _ := w.start(cfg)
	w.append("a", "b")
	w.awaitAll()
	kafka.Freeze()
	defer kafka.Thaw()
	w.append("a", "c")
	waiting := func() (text string) {
		w.scan([]any{&text}, `select coalesce(waiting_for, '') from outbox_relay`)
		return text
	}
	w.eventually("Kafka is waited for", func() bool { return strings.Contains(waiting(), "an answer of Kafka's, since") })
	if s := relay.State(); !s.Leading || s.Err != nil {
		t.Errorf("the session has ended: %+v", s)
	}
	kafka.Thaw()
	w.awaitAll()
	w.eventually("nothing is waited for", func() bool { return waiting() == "" })
}
