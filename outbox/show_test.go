package outbox

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestTheBacklogIsCountedUpToABoundAndKnowsItsOldestMovement(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	read := func(after, most int64) Backlog {
		b, err := readBacklog(t.Context(), d.conn, after, most)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if b := read(0, 10); b != (Backlog{}) {
		t.Errorf("of an empty outbox: %+v", b)
	}
	d.message(1, 2, 5)
	d.movement("movements", 3, 60)
	d.movement("movements_archive", 4, 90)
	b := read(1, 10)
	if b.Messages != 4 || b.More || *b.Oldest != 2 {
		t.Errorf("behind 1: %+v", b)
	}
	if age := *b.AgeSeconds; age < 90 || age > 150 || time.Since(*b.OldestMovement) < 80*time.Second {
		t.Errorf("the oldest movement is of %v, %g seconds old", b.OldestMovement, age)
	}
	if b := read(0, 3); b.Messages != 3 || !b.More || *b.Oldest != 1 {
		t.Errorf("bounded: %+v", b)
	}
	if b := read(4, 1); b.Messages != 1 || b.More || b.OldestMovement != nil {
		t.Errorf("at the bound, without a movement: %+v", b)
	}
}

func TestTheStandingSaysWhoLeadsByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		until   string
		leading bool
	}{{"null", false}, {"clock_timestamp() - interval '1 s'", false}, {"clock_timestamp() + interval '1 h'", true}} {
		d.do(`update outbox_relay set owner = 'm', done = 5, intent = 7, lease_until = ` + c.until)
		s, err := ReadStanding(t.Context(), d.conn)
		if err != nil {
			t.Fatal(err)
		}
		if s.Leading != c.leading || *s.Owner != "m" || s.Done != 5 || s.Intent != 7 || s.Halted() {
			t.Errorf("lease until %s: %+v", c.until, s)
		}
	}
	d.do(`delete from outbox_relay`)
	if _, err := ReadStanding(t.Context(), d.conn); err == nil {
		t.Error("a row that is lost is not missed")
	}
}

func TestTransactionsThatWriteAreNamedPreparedOnesToo(t *testing.T) {
	t.Parallel()
	d, writer, reader := newDesk(t), connect(t), connect(t)
	gid := "desk-" + uuid.NewString()
	d.do(`begin`)
	d.do(`select pg_current_xact_id()`)
	d.do(`prepare transaction '` + gid + `'`)
	defer d.do(`rollback prepared '` + gid + `'`)
	for _, sql := range []string{`begin`, `select 'a text that names it'  ,  pg_current_xact_id()`} {
		if _, err := writer.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := reader.Exec(t.Context(), `begin; select 1`); err != nil { // it writes nothing, and holds nothing up
		t.Fatal(err)
	}

	pid := func(h Holdup) uint32 {
		if h.PID == nil {
			return 0
		}
		return uint32(*h.PID)
	}
	var process, prepared *Holdup
	found, err := Holdups(t.Context(), d.conn, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range found {
		switch {
		case pid(h) == writer.PgConn().PID():
			process = &found[i]
		case pid(h) == reader.PgConn().PID():
			t.Errorf("a reader is named: %+v", h)
		case h.Prepared != nil && *h.Prepared == gid:
			prepared = &found[i]
		}
	}
	if process == nil || *process.Database != "postgres" || *process.State != "idle in transaction" ||
		*process.Query != `select 'a text that names it' , pg_current_xact_id()` || process.Since == nil {
		t.Errorf("the process is %+v", process)
	}
	if prepared == nil || *prepared.Database != "postgres" || prepared.Since == nil {
		t.Errorf("the prepared one is %+v", prepared)
	}
	found, err = Holdups(t.Context(), d.conn, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range found {
		if pid(h) == writer.PgConn().PID() || h.Prepared != nil && *h.Prepared == gid {
			t.Errorf("named before its hour: %+v", h)
		}
	}
}

func TestAllTransactionsThatWriteAreNamedHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	missing := make(map[uint32]bool)
	for range 25 {
		writer := connect(t)
		if _, err := writer.Exec(t.Context(), `begin; select pg_current_xact_id()`); err != nil {
			t.Fatal(err)
		}
		missing[writer.PgConn().PID()] = true
	}
	found, err := Holdups(t.Context(), d.conn, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range found {
		if h.PID != nil {
			delete(missing, uint32(*h.PID))
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of 25 are not named", len(missing))
	}
}

func TestMessagesThatAreSetAsideAreCountedAndListed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.do(`insert into outbox_aside (id, topic, key, event_id, payload, reason, detail, state) values
		(7, 'a', '\xff', 'e7', '\x010203', 'message_refused', 'too large', 'waiting'),
		(8, 'a', '\xff', 'e8', null, 'behind_another', '', 'waiting'),
		(9, 'a', null, 'e9', null, 'behind_another', '', 'waiting'), (3, 'b', null, '', null, 'topic_refused', '', 'retry')`)
	counts, err := CountAsides(t.Context(), d.conn)
	if err != nil {
		t.Fatal(err)
	}
	want := []AsideCount{
		{Topic: "a", Reason: "behind_another", State: "waiting", Messages: 2},
		{Topic: "a", Reason: "message_refused", State: "waiting", Messages: 1},
		{Topic: "b", Reason: "topic_refused", State: "retry", Messages: 1},
	}
	for i := range counts {
		counts[i].Since = time.Time{}
		if len(counts) != len(want) || counts[i] != want[i] {
			t.Errorf("counted %+v", counts)
		}
	}
	list, err := ListAsides(t.Context(), d.conn, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ID != 3 || list[1].ID != 7 || list[1].Bytes != 4 || string(list[1].Key) != "\xff" ||
		list[1].EventID != "e7" || list[1].Detail != "too large" {
		t.Errorf("listed %+v", list)
	}
}
