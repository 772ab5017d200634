package outbox

import (
	"testing"
	"time"

	"onhand/internal/testenv"
)

// Kafka forgets the offsets of a group without members. The broker of this test does after a minute; the default is a
// week.
func TestAnIdleRelaysPositionOutlivesKafkasMemory(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, "offsets.retention.minutes=1", "offsets.retention.check.interval.ms=5000")
	idle := func(recommit time.Duration) (w *world, at place, restart func()) {
		w = newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
		cfg := w.config("idle")
		cfg.RecommitEvery = recommit
		_, stop := w.start(cfg)
		w.append("a", "b")
		w.awaitAll()
		return w, w.row().done, func() { stop(); _, stop = w.start(cfg) }
	}
	kept, at, _ := idle(10 * time.Second)
	lost, was, restart := idle(time.Hour)
	remembered := func(w *world) bool { return w.position() != nil }
	for range 2 {
		if !remembered(kept) || !remembered(lost) {
			t.Fatal("a position was forgotten too early")
		}
		testenv.Eventually(t, 3*time.Minute, "the position that is not committed again is forgotten", func() bool {
			return !remembered(lost)
		})
		if p := kept.position(); p == nil || p.id != at.id || p.turn <= at.turn {
			t.Fatalf("the position that is committed again is %v, was %v", p, at)
		}
		// It recovers: nothing was under way.
		restart()
		testenv.Eventually(t, patience, "it is committed at the start", func() bool { return remembered(lost) })
	}
	if p := lost.position(); *p != was {
		t.Errorf("committed again as %v, was %v", *p, was)
	}
	for _, w := range []*world{kept, lost} {
		w.append("a", "c")
		w.awaitAll()
	}
}
