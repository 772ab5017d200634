package outbox

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// desk is where an operator decides: a schema with an outbox that nobody publishes.
type desk struct {
	t    *testing.T
	conn *pgx.Conn
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return &desk{t, connect(t)}
}

func (d *desk) do(sql string, args ...any) {
	d.t.Helper()
	if _, err := d.conn.Exec(d.t.Context(), sql, args...); err != nil {
		d.t.Fatal(err)
	}
}

// within runs decide in a transaction of its own.
func (d *desk) within(decide func(tx pgx.Tx) error) {
	d.t.Helper()
	if err := pgx.BeginFunc(d.t.Context(), d.conn, decide); err != nil {
		d.t.Fatal(err)
	}
}

// expect compares the text that a query returns.
func (d *desk) expect(want, sql string) {
	d.t.Helper()
	var got string
	if err := d.conn.QueryRow(d.t.Context(), sql).Scan(&got); err != nil {
		d.t.Fatal(err)
	}
	if got != want {
		d.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// message stores a message under an id of the test's choice.
func (d *desk) message(ids ...int64) {
	d.t.Helper()
	for _, id := range ids {
		d.do(`insert into outbox_messages (id, slot, topic, event_id) values ($1, 0, 't', '')`, id)
	}
}

// movement stores a movement that is the message id, and was recorded so many seconds ago.
func (d *desk) movement(table string, id int64, secondsAgo int) {
	d.t.Helper()
	d.do(`insert into `+table+` (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id,
		recorded_at, traceparent)
		values ('', 'A', 'main', $1::bigint, 1, 1, 'stock.received', 'e', '', $1, now() - $2::integer * interval '1 s', '')`,
		id, secondsAgo)
}
