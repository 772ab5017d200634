package outbox

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"onhand/internal/testenv"
)

func TestADatabaseRestoredFromADumpPublishesNothingAgain(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	server.Database()
	w := newSceneAt(t, schemaURL(t, server), testenv.Brokers(t), testenv.Topic(t, 1))
	_, stop := w.start(w.config())
	w.say(w.position, "k", "dumped")
	w.waitFor(w.position, "dumped")
	w.waitDone()
	w.say(w.position, "k", "not out yet when it was dumped", "another")
	dump := filepath.Join(t.TempDir(), "dump")
	client(t, "pg_dump", "--format=custom", "--file="+dump, "--dbname="+server.URL())
	w.say(w.position, "k", "not in the dump")
	want := []string{"dumped", "not out yet when it was dumped", "another", "not in the dump"}
	w.waitFor(w.position, want...)
	w.waitDone()
	stop()

	w.exec(`create database restored`)
	client(t, "pg_restore", "--dbname="+inDatabase(t, server.URL(), "restored"), dump)
	restored := w.at(inDatabase(t, w.url, "restored"))
	restored.start(restored.config())
	restored.waitHalt(HaltDatabaseLost)
	if got := w.values(w.position); !slices.Equal(got, want) {
		t.Errorf("%q is out, want %q", got, want)
	}
}

// A clone, or a restore to a point in time, that runs with the configuration of its original, which is ahead by now.
func TestACopyThatIsBehindItsOriginalStopsAndLetsTheOriginalGoOn(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	server.Database()
	w := newSceneAt(t, schemaURL(t, server), testenv.Brokers(t), testenv.Topic(t, 1))
	original, _ := w.start(w.config())
	w.say(w.position, "k", "in both")
	w.waitFor(w.position, "in both")
	w.waitDone()
	clone := w.at(schemaURL(t, copyOf(server)))
	w.say(w.position, "k", "in the original")
	w.waitFor(w.position, "in both", "in the original")

	clone.start(clone.config())
	clone.waitHalt(HaltDatabaseLost)
	if s := original.State(); !s.Leading || s.Err != nil {
		t.Errorf("the original is disturbed: %+v", s)
	}
	clone.say(w.position, "k", "in the copy")
	w.say(w.position, "k", "in the original still")
	w.waitFor(w.position, "in both", "in the original", "in the original still")
}

// Nothing tells an idle copy from its original: Kafka's position is that of both. Whoever publishes first is it; the
// other one, which has given the same id to another message, stops.
func TestOfTwoCopiesThatAreEvenTheOneThatPublishesSecondStops(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]int{"the original": 0, "the clone": 1} {
		t.Run(name+" publishes first", func(t *testing.T) {
			t.Parallel()
			server := testenv.Postgres(t)
			server.Database()
			w := newSceneAt(t, schemaURL(t, server), testenv.Brokers(t), testenv.Topic(t, 1))
			w.start(w.config())
			w.say(w.position, "k", "in both")
			w.waitFor(w.position, "in both")
			w.waitDone()
			clone := w.at(schemaURL(t, copyOf(server)))
			relay, _ := clone.start(clone.config())
			clone.eventually("the clone's relay leads", func() bool { return relay.State().Leading })

			both := []*scene{w, clone}
			goesOn, stops := both[first], both[1-first]
			goesOn.say(w.position, "k", "of the first")
			goesOn.waitFor(w.position, "in both", "of the first")
			stops.say(w.position, "k", "of the second")
			stops.waitHalt(HaltDatabaseLost)
			goesOn.say(w.position, "k", "of the first again")
			goesOn.waitFor(w.position, "in both", "of the first", "of the first again")
			goesOn.waitDone()
		})
	}
}

// Both have an intent for the same id and the same turn, and only one of them was committed.
func TestARelayDoesNotTakeTheTransactionOfACopyForItsOwn(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	server.Database()
	w := newSceneAt(t, schemaURL(t, server), testenv.Brokers(t), testenv.Topic(t, 1))
	_, stop := w.start(w.config())
	w.say(w.position, "k", "in both")
	w.waitFor(w.position, "in both")
	w.waitDone()
	stop()
	clone := w.at(schemaURL(t, copyOf(server)))

	frozen, thaw := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(frozen); <-thaw })
	cfg := w.config()
	cfg.steps = func(at step) {
		if at == stepIntended {
			once()
		}
	}
	original := w.say(w.position, "k", "of the original")
	w.start(cfg)
	<-frozen
	copied := clone.say(w.position, "k", "of the copy")
	if !slices.Equal(original, copied) {
		t.Fatalf("the ids are %v and %v: this test is about the same one", original, copied)
	}
	clone.start(clone.config())
	w.waitFor(w.position, "in both", "of the copy")
	close(thaw)
	w.waitHalt(HaltDatabaseLost)
	clone.say(w.position, "k", "of the copy again")
	w.waitFor(w.position, "in both", "of the copy", "of the copy again")
}
