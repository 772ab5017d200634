package inventory

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
)

// The times of these tests.
var (
	made    = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	expires = made.Add(time.Minute)
	late    = made.Add(time.Hour)
)

func reserves(id, sku string, quantity int64, at time.Time) occurrence {
	return occurrence{
		Event: &Event{
			Kind: Reserved, Reservation: id, Deadline: Deadline{At: at}, Lines: []Line{{sku, "main", quantity, AnyVersion}},
		},
		id: "reserve " + id + at.String(), from: Partition{"inventory.events", 1},
	}
}

// lapses is a batch without items that lets time pass in partition 1, of a handler that expects something to be due.
func (b *batch) lapses(t *testing.T, until time.Time) (c *inbox.Clock, load func() error) {
	t.Helper()
	c = &inbox.Clock{TopicPartition: inbox.TopicPartition{Topic: "inventory.events", Partition: 1}, Until: until}
	c.Now = until
	b.h.hints.sawDue()
	return c, func() error {
		q := &pgx.Batch{}
		b.h.LoadDue(q, []*inbox.Clock{c})
		b.h.Load(q, nil, inbox.WaitForLocks)
		return b.tx.SendBatch(t.Context(), q).Close()
	}
}

func stateOf(t *testing.T, conn *pgx.Conn) (state string, reserved int64) {
	t.Helper()
	must(t, conn.QueryRow(t.Context(), `
select r.state, s.reserved from reservations r cross join stock s`).Scan(&state, &reserved))
	return state, reserved
}

func TestOfALapseAndAnExtensionTheFirstToLockCounts(t *testing.T) {
	t.Parallel()
	another := reserves("r", "S", 2, late.Add(time.Hour))
	another.from.ID = 2
	t.Run("the extension", func(t *testing.T) {
		t.Parallel()
		c := newClients(t)
		commitHistory(t, c.eye, moves(Received, "S", "main", 5), reserves("r", "S", 2, expires))
		extends := mustBegin(t, c.one)
		is := items([]occurrence{another})
		must(t, extends.load(t.Context(), is, inbox.WaitForLocks))

		b := mustBegin(t, c.other)
		clock, load := b.lapses(t, late)
		loaded := c.blocked(t, b, load)
		must(t, extends.applyAndCommit(t.Context(), is))
		must(t, loaded())
		must(t, b.applyAndCommit(t.Context(), nil))
		if state, reserved := stateOf(t, c.eye); state != stateOpen || reserved != 2 || len(clock.Made) != 0 {
			t.Errorf("it is %s with %d reserved and %d lapses: want open with 2 and none", state, reserved, len(clock.Made))
		}
	})
	t.Run("the lapse", func(t *testing.T) {
		t.Parallel()
		c := newClients(t)
		commitHistory(t, c.eye, moves(Received, "S", "main", 5), reserves("r", "S", 2, expires))
		b := mustBegin(t, c.other)
		clock, load := b.lapses(t, late)
		must(t, load())

		extends := mustBegin(t, c.one)
		is := items([]occurrence{another})
		loaded := c.loadBlocked(t, extends, is)
		must(t, b.applyAndCommit(t.Context(), nil))
		must(t, loaded())
		must(t, extends.applyAndCommit(t.Context(), is))
		if is[0].Rejected() != reservationClosed {
			t.Errorf("the extension is %q, want it rejected as reservation_closed", is[0].Rejected())
		}
		if state, reserved := stateOf(t, c.eye); state != stateExpired || reserved != 0 || len(clock.Made) != 1 {
			t.Errorf("it is %s with %d reserved and %d lapses: want expired, 0 and 1", state, reserved, len(clock.Made))
		}
	})
}

// Without a hint nothing that is stored and due is locked: the batch must not go past it.
func TestWithoutAHintABatchEndsBeforeWhatIsDue(t *testing.T) {
	t.Parallel()
	c := newClients(t)
	commitHistory(t, c.eye, moves(Received, "S", "main", 5), reserves("r", "S", 2, expires))
	b := mustBegin(t, c.one)
	clock, load := b.lapses(t, late)
	b.h.hints.dueUntil.Store(0)
	must(t, load())
	if !clock.Enough.Equal(expires) || clock.Blocked {
		t.Errorf("records up to %s are let in, blocked %t; want those up to %s", clock.Enough, clock.Blocked, expires)
	}
	must(t, b.apply(t.Context(), nil))
	if len(clock.Made) != 0 {
		t.Error("what was not locked has lapsed")
	}
	if !b.h.hints.lapsing() {
		t.Error("the next batch does not know of it")
	}
}

// What is listed is read without a lock; if it has other rows of stock by the time it is locked, they are not locked.
func TestALapseWhoseRowsWereNotLockedRunsAgain(t *testing.T) {
	t.Parallel()
	r := &reservationRow{
		key: refKey{"", "r"}, state: stateOpen, stored: true, deadline: expires, from: Partition{"t", 0},
		lines: []Line{{"S", "main", 2, AnyVersion}},
	}
	h := NewHandler(Config{})
	h.fold.reset()
	h.fold.reservations[r.key] = r
	if _, err := h.lapse(r); !errors.Is(err, inbox.ErrRunAgain) {
		t.Errorf("got %v, want the batch to be run again", err)
	}
	if r.state != stateOpen {
		t.Errorf("it is %s", r.state)
	}
}

func TestDeadlinesPassInTheOrderOfTimeTenantAndId(t *testing.T) {
	t.Parallel()
	f := &fold{}
	f.reset()
	p, q := Partition{"t", 0}, Partition{"t", 1}
	row := func(tenant, id string, at time.Time, from Partition) *reservationRow {
		r := &reservationRow{key: refKey{tenant, id}, state: stateOpen, deadline: at, from: from}
		f.reservations[r.key] = r
		f.watch(r)
		return r
	}
	row("b", "a", expires, p)
	row("a", "b", expires, p)
	row("a", "a", expires, p)
	row("z", "first", expires.Add(-time.Microsecond), p)
	row("a", "elsewhere", expires, q)
	row("a", "never", time.Time{}, p)
	row("a", "closed", expires, p).state = stateReleased
	row("a", "later", late, p)
	extended := row("a", "extended", expires, p)
	extended.deadline = late.Add(time.Second)
	f.watch(extended)
	order := func(now time.Time, first *deadline) string {
		var s strings.Builder
		for r := f.lapses(p, now, first); r != nil; r = f.lapses(p, now, first) {
			s.WriteString(r.key.tenant + "/" + r.key.id + " ")
			r.state = stateExpired
		}
		return s.String()
	}
	if got := order(expires, nil); got != "z/first " {
		t.Errorf("at the deadline itself: %s", got)
	}
	if got := order(late, &deadline{expires, refKey{"b", "a"}}); got != "a/a a/b " {
		t.Errorf("up to the first that is left: %s", got)
	}
	if got := order(late.Add(time.Minute), nil); got != "b/a a/later a/extended " {
		t.Errorf("in the end: %s", got)
	}
}

// Nanoseconds for milliseconds: what is believed of such a record's date must be the same for the deadline that it sets
// and for the time that passes with it.
func TestWhereABatchIsCutChangesNothingOfAbsurdDates(t *testing.T) {
	t.Parallel()
	absurd := time.UnixMilli(made.UnixNano())
	for _, cut := range []int{1, 2} {
		conn := newClients(t).one
		commitHistory(t, conn, moves(Received, "S", "main", 5))
		reserved := reserves("r", "S", 2, time.Time{})
		reserved.Deadline.After = 60
		sold := moves(Sold, "S", "main", 1)
		is := items([]occurrence{reserved, sold})
		is[0].Record.Timestamp, is[1].Record.Timestamp = absurd, absurd.Add(time.Hour)
		h := NewHandler(Config{})
		for first := 0; first < len(is); first += len(is) / cut {
			part := is[first : first+len(is)/cut]
			for _, item := range part {
				item.Now = item.Record.Timestamp
			}
			b, err := begin(t.Context(), conn, h)
			must(t, err)
			c, _ := b.lapses(t, part[len(part)-1].Now)
			c.Now = time.Time{}
			q := &pgx.Batch{}
			h.LoadDue(q, []*inbox.Clock{c})
			h.Load(q, part, inbox.WaitForLocks)
			must(t, b.tx.SendBatch(t.Context(), q).Close())
			must(t, b.applyAndCommit(t.Context(), part))
		}
		if state, reserved := stateOf(t, conn); state != stateOpen || reserved != 2 {
			t.Errorf("in %d batches it is %s, with %d reserved; want open, 2", cut, state, reserved)
		}
	}
}
