package outbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onhand/internal/testenv"
)

// jump takes the ids to the beginning of the n-th range of a partition's width (after the first round), as millions of
// messages would.
func (w *scene) jump(n int64) {
	w.t.Helper()
	w.exec(`select setval('outbox_id', $1)`, (n+slots)*slotWidth+1-blockSize)
}

// leave notes that all messages so far are out.
func (w *scene) leave() {
	w.t.Helper()
	w.exec(`update outbox_relay set done = (select coalesce(max(id), 0) from outbox),
	  intent = (select coalesce(max(id), 0) from outbox)`)
}

func (w *scene) sweepOnce() {
	w.t.Helper()
	if err := sweepOnce(w.t.Context(), w.pool); err != nil {
		w.t.Fatal(err)
	}
}

// rows are how many messages each partition has.
func (w *scene) rows() (n [slots]int64) {
	w.t.Helper()
	for i, table := range partitions {
		n[i] = ask[int64](w, `select count(*) from `+table)
	}
	return n
}

func (w *scene) storage() int64 {
	w.t.Helper()
	const total = `select sum(pg_total_relation_size(t::regclass))::bigint from unnest($1::text[]) t`
	return ask[int64](w, total, partitions[:])
}

func TestStorageStaysBoundedWhileMessagesComeAndGo(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	page := messages("t", "k", slices.Repeat([]string{strings.Repeat("x", 1000)}, 200)...)
	var one, most int64
	for turn := range int64(30) {
		w.jump(turn)
		w.append(page...)
		if turn == 0 {
			one = w.storage()
		}
		w.leave()
		w.sweepOnce()
		most = max(most, w.storage())
	}
	if one == 0 || most > 3*one {
		t.Errorf("it came to %d bytes, one partition with its messages is %d", most, one)
	}
	if n := w.rows(); n != [slots]int64{0, 0, 200} {
		t.Errorf("the partitions have %v messages, want those of the latest turn alone", n)
	}
}

func TestARelayEmptiesThePartitionsBehindIt(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic := testenv.Topic(t, 1)
	w.start(w.config())
	var want []string
	for turn := range int64(5) {
		w.jump(turn)
		value := fmt.Sprint("turn ", turn)
		want = append(want, value)
		w.say(topic, "k", value)
		w.eventually("the partitions before this one are empty", func() bool {
			n := w.rows()
			return n[turn%slots] == 1 && n[(turn+1)%slots] == 0 && n[(turn+2)%slots] == 0
		})
	}
	w.waitFor(topic, want...)
}

func TestWhatIsNotOutIsNeverSwept(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	for turn := range int64(3) {
		w.jump(turn)
		w.say("t", "k", "a", "b")
		if turn == 0 {
			// All but the last one of the first partition.
			w.exec(`update outbox_relay set done = (select max(id) - 1 from outbox), intent = (select max(id) - 1 from outbox)`)
		}
		w.sweepOnce()
	}
	if n := w.rows(); n != [slots]int64{2, 2, 2} {
		t.Errorf("the partitions have %v messages, want 2 each", n)
	}
	w.leave()
	w.sweepOnce()
	if n := w.rows(); n != [slots]int64{0, 0, 2} {
		t.Errorf("the partitions have %v messages, want the newest alone", n)
	}
}

// A transaction that wrote to a partition and goes on for long keeps it, and is not waited for. What it commits is then
// not out, however old its ids are.
func TestAWriterThatIsNotDoneKeepsItsPartition(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	w.jump(2)
	w.say("t", "k", "out") // in the last partition
	w.jump(3)
	w.say("t", "k", "out")
	slow := newWriter(t, w.url)
	slow.begin()
	slow.draw(1)
	slow.insert("k", "slow")
	w.jump(4)
	w.say("t", "k", "out")
	w.exec(`update outbox_relay set done = (select max(id) from outbox), intent = (select max(id) from outbox)`)

	began := time.Now()
	w.sweepOnce()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it waited %v for the writer", took)
	}
	if n := w.rows(); n != [slots]int64{1, 1, 0} {
		t.Errorf("the partitions have %v messages, want the writer's, the newest and none", n)
	}
	// It keeps nobody else from writing.
	w.say("t", "k", "meanwhile")
	slow.exec(`commit`)
	w.exec(`update outbox_relay set done = $1, intent = $1`, slow.ids[0]-1)
	w.sweepOnce()
	if n := w.rows(); n[0] != 2 {
		t.Errorf("the partitions have %v messages: one that was not out is gone", n)
	}
	w.leave()
	w.sweepOnce()
	if n := w.rows(); n != [slots]int64{0, 2, 0} {
		t.Errorf("the partitions have %v messages, want those of the newest alone", n)
	}
}
