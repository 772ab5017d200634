package servers

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func open(t *testing.T, databaseURL string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// number is the answer to a question whose answer is one.
func number(t *testing.T, conn *pgx.Conn, sql string, args ...any) (n int64) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestAPreparedOutboxHoldsMessagesAsBatchesLeaveThem(t *testing.T) {
	t.Parallel()
	const messages = 2*batchMessages + 500
	url := testenv.Database(t)
	if err := Fill(t.Context(), url, Prefill{Messages: messages}); err != nil {
		t.Fatal(err)
	}
	conn := open(t, url)
	for sql, want := range map[string]int64{
		`select count(*) from outbox`:                                        messages,
		`select max(id) from outbox`:                                         2*batchIDs + 500,
		`select count(*) from movements where version = 1 and sku like 'S%'`: messages,
		`select nextval('outbox_id')`:                                        2*batchIDs + 1001,
	} {
		if got := number(t, conn, sql); got != want {
			t.Errorf("%s is %d, want %d", sql, got, want)
		}
	}
	const upTo = `select count(*) from outbox where id <= $1`
	for _, id := range []int64{0, 1, 1000, 1899, 1900, 1901, 2000, 2001, 3900, 4000, 4500} {
		if got, want := MessagesUpTo(id), number(t, conn, upTo, id); got != want {
			t.Errorf("%d messages up to id %d, want %d", got, id, want)
		}
	}
}

func TestAnInstallationNamesTheTopicOfTheMessages(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	if err := Fill(t.Context(), url, Prefill{Messages: 10}); err != nil {
		t.Fatal(err)
	}
	if err := new(Servers).Install(t.Context(), url, "g", "somewhere"); err != nil {
		t.Fatal(err)
	}
	const known = `
select count(*) from outbox, installation
where topic = 'somewhere' and consumer_group = 'g' and database = current_database()
  and array_position(headers, null::bytea) is null`
	if got := number(t, open(t, url), known); got != 10 {
		t.Errorf("%d messages, want 10", got)
	}
}

func TestAMuteLedgerTakesTheProductsRowsWithoutTheirMessages(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	if err := new(Servers).Mute(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	conn := open(t, url)
	const insert = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id, reserved)
select unnest($1::text[]), unnest($2::text[]), 'main', unnest($3::bigint[]), 5, 5, 'stock.received', 'e', 's',
       unnest($3::bigint[]), 2`
	tag, err := conn.Exec(t.Context(), insert, []string{"", ""}, []string{"A", "B"}, []int64{1, 2})
	if err != nil || tag.RowsAffected() != 2 {
		t.Fatalf("%s, %v", tag, err)
	}
	const rows = `
select count(*) from movements
where message_id is null and on_hand = 5 and reserved = 2 and traceparent = '' and recorded_at <= now()`
	if got := number(t, conn, rows); got != 2 {
		t.Errorf("%d rows, want 2", got)
	}
	if _, err := conn.Exec(t.Context(), insert, []string{""}, []string{"A"}, []int64{1}); err == nil {
		t.Error("a version can be there twice")
	}
}
