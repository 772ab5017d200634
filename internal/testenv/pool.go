package testenv

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool opens connections to a database, to put things there and look at them. It is closed at the test's end.
func Pool(t testing.TB, databaseURL string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), databaseURL)
	if err != nil {
		t.Fatalf("open a pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// failing is what Execute and Scan need of a test, or of one run of a property.
type failing interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Execute runs one statement, also when the test is about to end, and returns how many rows it changed.
func Execute(t failing, pool *pgxpool.Pool, sql string, args ...any) (changed int64) {
	t.Helper()
	tag, err := pool.Exec(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return tag.RowsAffected()
}

// Scan reads the first row of an answer into dst.
func Scan(t failing, pool *pgxpool.Pool, dst []any, sql string, args ...any) {
	t.Helper()
	if err := pool.QueryRow(context.Background(), sql, args...).Scan(dst...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Ask reads one value.
func Ask[T any](t failing, pool *pgxpool.Pool, sql string, args ...any) (v T) {
	t.Helper()
	Scan(t, pool, []any{&v}, sql, args...)
	return v
}

// EmptyArchive removes the movements that a condition is true of from the archive, also those whose messages have not
// left, which the schema's own triggers would keep.
func EmptyArchive(t failing, pool *pgxpool.Pool, condition string) {
	t.Helper()
	Execute(t, pool, `
alter table movements_archive disable trigger user;
delete from movements_archive where `+condition+`;
alter table movements_archive enable trigger user`)
}
