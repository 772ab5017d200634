package outbox

import (
	"testing"

	"onhand/internal/testenv"
)

// moved makes a world whose position was kept for another topic at first. before is the row at that time; the database
// has gone back to it when back is called.
func moved(t *testing.T) (w *world, first string, back func()) {
	t.Helper()
	w = newWorld(t)
	first = testenv.Topic(t, 1)
	cfg := w.config("first")
	cfg.PositionTopic = first
	_, stop := w.start(cfg)
	w.append("a", "b")
	w.awaitAll()
	stop()
	w.exec(`create table before as table outbox_relay`)
	_, stop = w.start(w.config("second"))
	for range 5 { // turns, more than an operator's next relay makes
		w.append("a", "c")
		w.awaitAll()
	}
	stop()
	return w, first, func() {
		w.t.Helper()
		w.exec(`delete from outbox_relay`)
		w.exec(`insert into outbox_relay table before`)
	}
}

func TestThePositionMovesToAnotherTopic(t *testing.T) {
	t.Parallel()
	w, first, _ := moved(t)
	cfg := w.config("third")
	cfg.PositionTopic = first // and back, where an old one is
	_, stop := w.start(cfg)
	w.append("a", "d")
	w.awaitAll()
	stop()
	w.goesOn()
}

func TestADatabaseThatWentBackToBeforeItsPositionMovedHaltsTheOutbox(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]func(w *world, first string) string{
		"the topic as it was then": func(_ *world, first string) string { return first },
		"the topic of now":         func(w *world, _ string) string { return w.topic },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, first, back := moved(t)
			at := w.row().done
			back()
			cfg := w.config("third")
			cfg.PositionTopic = to(w, first)
			_, stop := w.start(cfg)
			w.eventually("the outbox is halted", func() bool { return w.row().halt == HaltDatabaseLost })
			stop()
			w.check()
			// By an operator who has not asked Kafka, and so does not know of its turns: it must not halt again for them.
			w.resume(at.id)
			cfg.Member = "fourth"
			_, stop = w.start(cfg)
			w.append("a", "b")
			w.awaitAll()
			stop()
			w.goesOn()
		})
	}
}
