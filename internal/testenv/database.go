package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/migrations"
)

const cleanupTimeout = 30 * time.Second

// Database returns the URL of a fresh, migrated schema on the shared Postgres. The URL's search_path parameter names
// the schema, so that whoever connects with it is in there; Schema tells its name. It is dropped at the test's end.
func Database(t testing.TB) string {
	t.Helper()
	return migrated(t, EmptyDatabase(t))
}

// EmptyDatabase is Database before the migrations: the schema exists and has nothing in it.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	server, err := shared.postgres.address()
	if err != nil {
		t.Fatalf("start shared Postgres: %v", err)
	}
	schema := "t_" + strings.ToLower(rand.Text()[:12])
	execute(t, server, "create schema "+schema)
	t.Cleanup(func() { dropSchema(t, server, schema) })
	return withSearchPath(t, server, schema)
}

// Schema is the schema that a URL of Database or EmptyDatabase leads into.
func Schema(t testing.TB, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatalf("parse database URL: %v", err)
	}
	return u.Query().Get("search_path")
}

func migrated(t testing.TB, databaseURL string) string {
	t.Helper()
	if err := migrations.Up(t.Context(), databaseURL, Schema(t, databaseURL)); err != nil {
		t.Fatalf("migrate test schema: %v", err)
	}
	return databaseURL
}

// dropSchema gives up on a lock that the test still holds, so that it shows instead of hanging the run.
func dropSchema(t testing.TB, server, schema string) {
	t.Helper()
	execute(t, server, "set lock_timeout = '10s'; drop schema if exists "+schema+" cascade")
}

// execute runs statements on a connection of its own. It fails the test, and lets a cleanup go on.
func execute(t testing.TB, databaseURL, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		t.Fatalf("connect to test database: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.PgConn().Exec(ctx, statements).ReadAll(); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}

func withSearchPath(t testing.TB, databaseURL, schema string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		t.Fatal(fmt.Errorf("the test database must be given as a postgres:// URL: %w", err))
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}
