package outbox

import (
	"testing"
	"time"
)

func TestARelayWhoseLeaseAnotherHoldsPublishesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.config("first"))
	w.append("a", "b")
	w.awaitAll()
	// The other one has not begun, so Kafka fences nobody yet.
	w.exec(`
update outbox_relay
set token = gen_random_uuid(), owner = 'other', lease_until = clock_timestamp() + interval '4 s'`)
	before := w.visible()
	w.append("a", "c")
	w.stays("nothing is published, and the lease stays the other's", 2*time.Second, func() bool {
		return w.visible() == before && w.row().owner == "other"
	})
	w.awaitAll()
	if r := w.row(); r.owner != "first" {
		t.Errorf("%q leads, after the other's lease has run out", r.owner)
	}
}

func TestARelayNoticesADatabaseThatGoesBackUnderIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.config("first"))
	w.append("a", "b")
	w.awaitAll()
	known := w.row()
	w.append("a", "c")
	w.awaitAll()
	before := w.visible()
	w.exec(`update outbox_relay set done = $1, done_turn = $2, intent = $1, intent_turn = $2`,
		known.done.id, known.done.turn)
	w.append("a", "d")
	w.eventually("the outbox is halted", func() bool { return w.row().halt != "" })
	if r := w.row(); r.halt != HaltDatabaseLost || w.visible() != before {
		t.Errorf("halted for %s, with %d messages published", r.halt, w.visible()-before)
	}
}

func TestAnIdleRelayDoesNotKeepTheLeaseOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.config("first"))
	w.append("a")
	w.awaitAll()
	w.exec(`
update outbox_relay
set token = gen_random_uuid(), owner = 'other', lease_until = clock_timestamp() + interval '2 s'`)
	w.eventually("it has run out, and the first one leads again", func() bool { return w.row().owner == "first" })
	w.append("a")
	w.awaitAll()
}
