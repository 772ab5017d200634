package outbox

import "testing"

// aside sets a message aside that a relay has passed already, and lets an operator decide that it is sent again.
func (w *world) aside(key string) {
	w.t.Helper()
	w.exec(`insert into numbers (key, n) values ($1, 1)`, key)
	w.exec(`
insert into outbox_aside (id, topic, key, event_id, payload, reason, detail, state, attempts)
values ((select done - 1 from outbox_relay), $1, $2, $3, '1', 'message_refused', 'too large', 'retry', 1)`,
		w.topic, []byte(key), key)
}

func TestAMessageThatIsSentAgainIsSentOnceThroughACrash(t *testing.T) {
	t.Parallel()
	for _, at := range []step{stepSent, stepIntended, stepCommitted, stepDone} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			w, before := published(t)
			w.aside("late")
			o := w.orders("victim")
			o.At, o.Times = at, 1
			victim := w.spawn(o)
			w.eventually("it is dead", victim.ended)
			if r := w.row(); r.intent.id != before.id {
				t.Errorf("the turn goes from %v to %v: it sends more than what is sent again", before, r.intent)
			}
			w.expire()
			w.start(w.config("heir"))
			w.awaitAll()
			w.eventually("nothing is set aside", func() bool {
				var n int
				w.scan([]any{&n}, `select count(*) from outbox_aside`)
				return n == 0
			})
			w.append("a", "late")
			w.awaitAll()
		})
	}
}
