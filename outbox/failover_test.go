package outbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// configApart is a relay with connections of its own: the test renews the others.
func (w *scene) configApart() Config {
	cfg := w.config()
	cfg.Pool = openPool(w.t, w.url)
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

// loseCommits has the replica take over without the messages of lost, which are out. They are so many that the ids of
// the last ones are given out again: the sequence as a replica has it is 32 numbers ahead.
func loseCommits(t *testing.T) (w *scene, kept, lost []string) {
	t.Helper()
	w, primary, replica := newMovable(t)
	kept, lost = numbered("kept", 10), numbered("lost", 40)
	w.start(w.configApart())
	w.say(w.position, "k", kept...)
	w.waitFor(w.position, kept...)
	w.waitDone()
	w.waitReplica()
	replica.Stop()
	for _, v := range lost {
		w.say(w.position, "k", v)
	}
	w.waitFor(w.position, slices.Concat(kept, lost)...)
	primary.Crash()
	replica.Start()
	replica.Promote()
	w.pool.Reset()
	return w, kept, lost
}

func TestAFailoverThatLosesCommitsStopsTheOutboxUntilSomebodyDecidesForKafka(t *testing.T) {
	t.Parallel()
	w, kept, lost := loseCommits(t)
	said := slices.Concat(kept, lost)
	detail := w.waitHalt(HaltDatabaseLost)
	number := strconv.FormatInt(w.kafkaPosition().id, 10)
	if !strings.Contains(detail, "lost commits") || !strings.Contains(detail, number) {
		t.Errorf("it says %q", detail)
	}
	at := w.kafkaPosition()
	w.exec(`select setval('outbox_id', greatest($1, (select last_value from outbox_id)))`, at.id)
	w.say(w.position, "k", "waits for the decision")
	if got := w.values(w.position); !slices.Equal(got, said) {
		t.Errorf("%q is out while the outbox stands still", got)
	}
	w.resume(at.id)
	w.waitFor(w.position, append(said, "waits for the decision")...)
	w.say(w.position, "k", "as ever")
	w.waitFor(w.position, append(said, "waits for the decision", "as ever")...)
}

// What the database has now counts, though its ids are ones that Kafka has passed.
func TestAfterAFailoverThatLosesCommitsSomebodyMayDecideForTheDatabase(t *testing.T) {
	t.Parallel()
	w, kept, lost := loseCommits(t)
	w.waitHalt(HaltDatabaseLost)
	if ids := w.say(w.position, "k", "new 1"); ids[0] >= w.kafkaPosition().id {
		t.Errorf("the id is %v, beyond those that were lost: this test is about one that is not", ids)
	}
	w.say(w.position, "k", "new 2")
	w.resume(ask[int64](w, `select done from outbox_relay`))
	w.waitFor(w.position, slices.Concat(kept, lost, []string{"new 1", "new 2"})...)
	w.waitDone()
}
