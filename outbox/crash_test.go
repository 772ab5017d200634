package outbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"onhand/internal/testenv"
)

var allSteps = []step{stepRead, stepSent, stepIntended, stepCommitted, stepDone}

func TestARelayKilledAtAnyStepHasPublishedEachMessageOnce(t *testing.T) {
	t.Parallel()
	for _, at := range allSteps {
		for _, times := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s %d", at, times), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				o := w.orders("victim")
				o.At, o.Times = at, times
				victim := w.spawn(o)
				victim.awaitStep()
				w.eventually("it is dead", victim.ended)
				if r := w.row(); r.owner != "victim" {
					t.Errorf("%q has the lease, want the dead relay", r.owner)
				}
				w.append("a", "b")
				// The lease runs out by itself.
				_, stop := w.start(w.config("heir"))
				w.awaitAll()
				w.append("a", "a", "c")
				w.awaitAll()
				stop()
				w.awaitAll()
			})
		}
	}
}

func TestAfterACrashTheRowAndKafkaSayWhatBecameOfTheLastTransaction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at        step
		committed bool
	}{{stepIntended, false}, {stepCommitted, true}} {
		t.Run(string(c.at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.orders("victim")
			o.At, o.Times = c.at, 2
			victim := w.spawn(o)
			victim.awaitStep()
			w.eventually("it is dead", victim.ended)
			found, kafka := w.row(), w.position()
			want := found.done
			if c.committed {
				want = found.intent
			}
			if found.done == found.intent || kafka == nil || *kafka != want {
				t.Fatalf("done %v, intent %v, Kafka has %v, want %v", found.done, found.intent, kafka, want)
			}
			w.expire()
			w.start(w.config("heir"))
			w.awaitAll()
		})
	}
}

func TestRelaysKilledUnderLoadHavePublishedEachMessageOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.killUnderLoad(5, nil)
}

func TestRelaysKilledThirtyTimesUnderLoadHavePublishedEachMessageOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.killUnderLoad(30, nil)
}

func TestRelaysAndServersKilledUnderLoadHavePublishedEachMessageOnce(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]struct{ broker, database bool }{
		"broker": {broker: true}, "database": {database: true}, "both": {broker: true, database: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults []func()
			var url, topic string
			var brokers []string
			if which.broker {
				kafka := testenv.Kafka(t)
				brokers, topic = kafka.Brokers(), kafka.Topic(3, nil)
				faults = append(faults, func() { kafka.Kill(); kafka.Start() })
			} else {
				brokers, topic = testenv.Brokers(t), testenv.Topic(t, 3)
			}
			if which.database {
				postgres := testenv.Postgres(t)
				url = postgres.Database()
				faults = append(faults, func() { postgres.Crash(); postgres.Start() })
			} else {
				url = testenv.Database(t)
			}
			newWorldOn(t, url, brokers, topic).killUnderLoad(8, slices.Repeat(faults, 2))
		})
	}
}

// killUnderLoad kills one relay after another, each some time after it has started, while messages are appended. The
// faults happen in between, in a random order, sometimes while a relay runs and sometimes while none does.
func (w *world) killUnderLoad(kills int, faults []func()) {
	w.t.Helper()
	stop := w.feed(3, 15*time.Millisecond)
	rand.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	left, led := faults, 0
	for n := range kills {
		victim := w.spawn(w.orders(fmt.Sprintf("victim %d", n)))
		pause(w.t.Context(), 50*time.Millisecond+rand.N(1450*time.Millisecond))
		fault := func() {}
		if len(left) > 0 && n >= kills-2*len(left) {
			fault, left = left[0], left[1:]
		}
		if rand.N(2) == 0 {
			fault()
			victim.kill()
		} else {
			victim.kill()
			fault()
		}
		if victim.said("publishing messages") {
			led++
		}
		w.pool.Reset() // its connections may have died with the server
		w.expire()
		w.visible()
		w.checkSoFar()
	}
	survivor := w.spawn(w.orders("survivor"))
	w.eventually("the survivor publishes", func() bool { return survivor.said("publishing messages") })
	pause(w.t.Context(), time.Second)
	stop()
	w.awaitAll()
	w.t.Logf("%d messages; %d kills, %d of them of a leader; %d other faults",
		len(w.outside.seen), kills, led, len(faults))
}

// checkSoFar makes sure that nothing was read twice or out of order, whatever is still to come.
func (w *world) checkSoFar() {
	w.t.Helper()
	last := make(map[string]int64)
	for _, s := range w.outside.seen {
		last[s.key] = s.number
	}
	if found := w.outside.differences(last); len(found) > 0 {
		w.t.Fatalf("twice, or out of order: %v", found)
	}
}
