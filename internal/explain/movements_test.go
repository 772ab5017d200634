package explain

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// books is a schema to put movements into.
type books struct {
	t    *testing.T
	conn *pgx.Conn
}

func newBooks(t *testing.T) *books {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &books{t, conn}
}

func (b *books) exec(sql string, args ...any) {
	b.t.Helper()
	if _, err := b.conn.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatal(err)
	}
}

// move writes movements of one event with the messages from first to last into a table.
func (b *books) move(table, event string, first, last int64) {
	b.t.Helper()
	b.exec(`
insert into `+table+` (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id,
                         recorded_at, traceparent)
select '', 'S-' || id, 'main', 1, 1, 1, 'stock.received', $1, '', id, now(), ''
from generate_series($2::bigint, $3::bigint) id`,
		event, first, last)
}

// of returns the messages of an event's movements, as far as they are found, as ranges.
func (b *books) of(event string, first int64) (ranges string) {
	b.t.Helper()
	var found []Movement
	err := Read(b.t.Context(), b.conn, func(tx pgx.Tx) (err error) {
		found, err = movementsOf(b.t.Context(), tx, Identity{EventID: event}, first)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for i, m := range found {
		id := *m.MessageID
		switch {
		case i == 0:
			ranges = strconv.FormatInt(id, 10)
		case id != *found[i-1].MessageID+1:
			ranges += fmt.Sprintf("-%d %d", *found[i-1].MessageID, id)
		}
		if i == len(found)-1 {
			ranges += fmt.Sprintf("-%d", id)
		}
	}
	return ranges
}

func TestTheMovementsOfAnEventAreFoundAcrossBlocks(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.exec(`select setval('outbox_id', 90001)`)
	b.move("movements", "small", 1, 3)
	b.move("movements", "next", 4, 4)
	b.move("movements", "large", 5, 1000) // its block is full
	b.move("movements", "others", 1001, 2000)
	b.move("movements", "large", 2001, 2400) // and goes on behind another transaction's
	b.move("movements", "behind", 2401, 2401)
	b.move("movements_archive", "huge", 5990, 6000) // three blocks, moved to the archive
	b.move("movements_archive", "huge", 9001, 10000)
	b.move("movements_archive", "huge", 12001, 12989)
	b.move("movements", "exact", 20001, 21000) // to the end of a block, and no further
	b.move("movements", "stranger", 21001, 21001)
	b.move("movements", "split", 30001, 30002) // one half in the ledger, the other in the archive
	b.move("movements_archive", "split", 30003, 30004)
	b.move("movements", "idle", 40001, 40001) // a batch of one: the rest of its block is unused
	b.move("movements", "idler", 41001, 41001)
	b.move("movements", "near", 50990, 50994) // the rest of the block is what the last one crossed, and too small
	b.move("movements", "near", 52001, 52002)
	b.move("movements", "short", 60990, 60993) // the next one would have fitted in: this is another event of that name
	b.move("movements", "short", 61001, 61001)
	for _, c := range []struct {
		event string
		first int64
		want  string
	}{
		{"small", 1, "1-3"},
		{"next", 4, "4-4"},
		{"large", 5, "5-1000 2001-2400"},
		{"huge", 5990, "5990-6000 9001-10000 12001-12989"},
		{"exact", 20001, "20001-21000"},
		{"split", 30001, "30001-30004"},
		{"idle", 40001, "40001-40001"},
		{"near", 50990, "50990-50994 52001-52002"},
		{"short", 60990, "60990-60993"},
		{"gone", 50001, ""},
		{"gone", 40001, ""},
	} {
		if got := b.of(c.event, c.first); got != c.want {
			t.Errorf("%s has %s, want %s", c.event, got, c.want)
		}
	}
}

func TestWhatIsLeftOfAnEventsMovementsIsFound(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.move("movements_archive", "e", 10, 200)
	b.exec(`update outbox_relay set done = 200, intent = 200`)
	b.exec(`delete from movements_archive where message_id < 15 or message_id between 80 and 150`)
	if got := b.of("e", 10); got != "15-79 151-200" {
		t.Errorf("found %s", got)
	}
}

func TestBlocksMayBeginAnywhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ block, id, want int64 }{
		{1, 1, 1001}, {1, 1000, 1001}, {1, 1001, 2001}, {90001, 5, 1001}, {90007, 6, 7}, {90007, 7, 1007}, {1, 90007, 91001},
	} {
		if got := nextBlock(c.block, c.id); got != c.want {
			t.Errorf("with a block at %d, the one behind %d begins at %d, want %d", c.block, c.id, got, c.want)
		}
	}
}
