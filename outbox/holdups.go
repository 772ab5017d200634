package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Holdup is a transaction that writes, and is still open. A message whose id was drawn after it had begun to write has
// to wait for its end: it may have drawn an earlier id.
type Holdup struct {
	PID         *int32     `json:"pid"`      // nil = it is prepared, and belongs to no process
	Prepared    *string    `json:"prepared"` // its name, if it is
	Database    *string    `json:"database"`
	Application *string    `json:"application"`
	State       *string    `json:"state"`
	Since       *time.Time `json:"since"` // nil = this role may not see it (pg_read_all_stats)
	Query       *string    `json:"query"`
}

// All databases of the server: Postgres does not tell them apart when it says what runs.
const openTransactions = `
select pid, prepared, database, application, state, since, query from (
  select pid, null::text as prepared, datname as database, nullif(application_name, '') as application, state,
         xact_start as since, left(regexp_replace(query, '\s+', ' ', 'g'), 200) as query, backend_xid as xid
  from pg_stat_activity
  where backend_xid is not null and pid <> pg_backend_pid()
  union all
  select null, gid, database, null, 'prepared', prepared, null, transaction
  from pg_prepared_xacts
) t`

const openForLong = openTransactions + `
where coalesce(since < clock_timestamp() - $1::interval, true) order by since`

// Holdups are the transactions that write, anywhere on the server, and have been open for longer than patience; the
// oldest first, and last those that this role may not see. There are no more than the server takes connections and
// prepared transactions.
func Holdups(ctx context.Context, q querier, patience time.Duration) ([]Holdup, error) {
	return holdups(ctx, q, openForLong, patience)
}

const oldestBelow = openTransactions + `
where age(xid) >= age(($1::bigint & 4294967295)::text::xid) order by age(xid) desc limit 1`

// blocker says which transaction holds s up: the oldest one below its transaction id.
func (s sample) blocker(ctx context.Context, q querier) (string, error) {
	found, err := holdups(ctx, q, oldestBelow, int64(s.xid))
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "a transaction that this role may not see (grant pg_read_all_stats), or that has just ended", nil
	}
	return found[0].String(), nil
}

func holdups(ctx context.Context, q querier, sql string, args ...any) ([]Holdup, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("ask which transactions are open: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Holdup])
	if err != nil {
		return nil, fmt.Errorf("ask which transactions are open: %w", err)
	}
	return found, nil
}

func (h *Holdup) String() string {
	since := ""
	if h.Since != nil {
		since = h.Since.UTC().Format(time.RFC3339)
	}
	if h.Prepared != nil {
		return fmt.Sprintf("prepared transaction %s in database %s, since %s: commit or roll it back", *h.Prepared,
			or(h.Database, ""), since)
	}
	return fmt.Sprintf("transaction of process %d (%s) in database %s, open since %s, %s: %s", *h.PID,
		or(h.Application, "no name"), or(h.Database, "-"), since, or(h.State, "unknown"), or(h.Query, ""))
}

func or(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}
