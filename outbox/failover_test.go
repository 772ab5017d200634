package outbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"onhand/internal/testenv"
)

// configApart is a relay with connections of its own: the test renews the others.
func (w *scene) configApart() Config {
	cfg := w.config()
	cfg.Pool = testenv.Pool(w.t, w.url)
	return cfg
}

func TestAFailoverThatLosesNothingGoesOnByItself(t *testing.T) {
	t.Parallel()
	w, primary, replica := newMovable(t)
	topic := w.position
	w.start(w.configApart())
	want := numbered("before", 200)
	for _, v := range want[:20] {
		w.say(topic, "k", v)
	}
	w.waitFor(topic, want[:20]...)
	w.say(topic, "k", want[20:]...) // some of these are on their way, and some are not
	primary.Stop()
	replica.Promote()
	w.pool.Reset()
	for i := range 20 {
		value := fmt.Sprint("after ", i)
		want = append(want, value)
		w.eventually("messages can be appended again", func() bool {
			_, err := appendTo(w.pool, messages(topic, "k", value)...)
			return err == nil
		})
	}
	w.waitFor(topic, want...)
	w.waitDone()
}

// lossy is a scene where a replica is about to take over without the messages of lost, which are out. They are so many
// that the ids of the last ones are given out again: the sequence as a replica has it is 32 numbers ahead.
type lossy struct {
	*scene
	kept, lost []string
	stop       func() // the relay
	failOver   func()
}

func newLossy(t *testing.T) *lossy {
	t.Helper()
	w, primary, replica := newMovable(t)
	kept, lost := numbered("kept", 10), numbered("lost", 40)
	_, stop := w.start(w.configApart())
	w.say(w.position, "k", kept...)
	w.waitFor(w.position, kept...)
	w.waitDone()
	w.waitReplica()
	replica.Stop()
	for _, v := range lost {
		w.say(w.position, "k", v)
	}
	w.waitFor(w.position, slices.Concat(kept, lost)...)
	return &lossy{w, kept, lost, stop, func() {
		primary.Crash()
		replica.Start()
		replica.Promote()
		w.pool.Reset()
	}}
}

func TestAFailoverThatLosesCommitsStopsTheOutboxUntilSomebodyDecidesForKafka(t *testing.T) {
	t.Parallel()
	w := newLossy(t)
	w.failOver()
	said := slices.Concat(w.kept, w.lost)
	detail := w.waitHalt(HaltDatabaseLost)
	at := w.kafkaPosition()
	for _, words := range []string{"lost commits", strconv.FormatInt(at.id, 10), "numbers of the sequence"} {
		if !strings.Contains(detail, words) {
			t.Errorf("it says %q, and not %q", detail, words)
		}
	}
	if ids := w.say(w.position, "k", "waits for the decision"); ids[0] <= at.id {
		t.Errorf("message %d was written after the halt, and Kafka has had messages up to %d", ids[0], at.id)
	}
	if got := w.values(w.position); !slices.Equal(got, said) {
		t.Errorf("%q is out while the outbox stands still", got)
	}
	w.resume(at.id)
	w.waitFor(w.position, append(said, "waits for the decision")...)
	w.say(w.position, "k", "as ever")
	w.waitFor(w.position, append(said, "waits for the decision", "as ever")...)
}

// Whoever halts an outbox once more finds the sequence where it has to be, and uses up no more of it.
func TestAnOutboxThatHaltsAgainUsesUpNoMoreNumbers(t *testing.T) {
	t.Parallel()
	w := newLossy(t)
	w.failOver()
	w.waitHalt(HaltDatabaseLost)
	drawn := ask[int64](w.scene, `select last_value from outbox_id`)
	w.exec(`update outbox_relay set halt_reason = null, halt_detail = null, halted_at = null`)
	if detail := w.waitHalt(HaltDatabaseLost); strings.Contains(detail, "numbers of the sequence") {
		t.Errorf("it says %q", detail)
	}
	if again := ask[int64](w.scene, `select last_value from outbox_id`); again != drawn {
		t.Errorf("the sequence went from %d to %d", drawn, again)
	}
}

// What the database has now counts, though its ids are ones that Kafka has passed.
func TestAfterAFailoverThatLosesCommitsSomebodyMayDecideForTheDatabase(t *testing.T) {
	t.Parallel()
	w := newLossy(t)
	w.stop()
	w.failOver()
	if ids := w.say(w.position, "k", "new 1"); ids[0] >= w.kafkaPosition().id {
		t.Errorf("the id is %v, beyond those that were lost: this test is about one that is not", ids)
	}
	w.start(w.configApart())
	w.waitHalt(HaltDatabaseLost)
	w.say(w.position, "k", "new 2")
	w.resume(ask[int64](w.scene, `select done from outbox_relay`))
	w.waitFor(w.position, slices.Concat(w.kept, w.lost, []string{"new 1", "new 2"})...)
	w.waitDone()
}
