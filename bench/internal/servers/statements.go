package servers

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// observed are the settings that make the server able to count statements. It does so only in databases that ask for
// it: counting has a price, which those who send many small statements would pay more of.
var observed = []string{
	"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=none", "compute_query_id=off",
}

// Observe lets the server count what is done in a database from the next connection on.
func (s *Servers) Observe(ctx context.Context, databaseURL string) error {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	database := "alter database " + pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	for _, sql := range []string{
		"create extension pg_stat_statements schema public",
		database + " set pg_stat_statements.track = 'top'", database + " set compute_query_id = 'on'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// Statement is one that was sent, constants aside, and what it has cost in all.
type Statement struct {
	Text    string  `json:"text"`
	Calls   int64   `json:"calls"`
	Rows    int64   `json:"rows"`
	Seconds float64 `json:"seconds"` // of the server's time, waits included
}

const countedStatements = `
select query, calls, rows, total_exec_time / 1000
from public.pg_stat_statements
where dbid = (select oid from pg_database where datname = current_database())
order by total_exec_time desc`

// Statements returns those of a database that is observed, the dearest first.
func (s *Servers) Statements(ctx context.Context, databaseURL string) ([]Statement, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, countedStatements)
	if err != nil {
		return nil, fmt.Errorf("read statements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Statement])
}
