package inbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Memory is how far the inbox can tell a copy from something new, as people look at it.
type Memory struct {
	Generations []Generation `json:"generations"` // oldest first; the last one is open
	// An unknown event that is not later than this is parked; nil = nothing was dropped yet.
	Horizon *time.Time `json:"horizon"`
	// DroppedRows were in generations that are gone, the last of which was closed at DroppedUntil.
	DroppedRows  int64      `json:"dropped_rows"`
	DroppedUntil *time.Time `json:"dropped_until"`
	// Timeless counts the events without a time that were ever decided: their copies are known within memory only.
	Timeless int64 `json:"timeless"`
	// WaitingFor says what keeps the next generation from being opened; nil = nothing does.
	WaitingSince *time.Time `json:"waiting_since"`
	WaitingFor   *string    `json:"waiting_for"`
}

// Generation is a part of the inbox that will be dropped as a whole.
type Generation struct {
	Generation int64      `db:"generation" json:"generation"`
	Slot       int16      `db:"slot" json:"slot"` // its table is inbox_ and this number
	OpenedAt   time.Time  `db:"opened_at" json:"opened_at"`
	ClosedAt   *time.Time `db:"closed_at" json:"closed_at"`
	Rows       int64      `db:"rows" json:"rows"`   // by the counters of offsets
	Bytes      int64      `db:"bytes" json:"bytes"` // on disk, with its index
	Horizon    *time.Time `db:"horizon" json:"horizon"`
}

const listGenerations = `
select g.generation, g.slot, g.opened_at, g.closed_at, g.horizon,
       coalesce(g.rows, (select coalesce(sum(remembered), 0) from offsets) - g.rows_before)::bigint as rows,
       case g.slot when 0 then pg_total_relation_size('inbox') when 1 then pg_total_relation_size('inbox_1')
                   else pg_total_relation_size('inbox_2') end as bytes
from inbox_generations g
order by g.generation`

const readWhatWasDropped = `
select horizon, dropped_rows, dropped_until, waiting_since, waiting_for,
       (select coalesce(sum(timeless), 0)::bigint from offsets)
from inbox_memory`

// ReadMemory asks the database that db leads to. It locks nothing.
func ReadMemory(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (*Memory, error) {
	m := &Memory{}
	rows, err := db.Query(ctx, listGenerations)
	if err == nil {
		m.Generations, err = pgx.CollectRows(rows, pgx.RowToStructByName[Generation])
	}
	if err == nil {
		err = db.QueryRow(ctx, readWhatWasDropped).
			Scan(&m.Horizon, &m.DroppedRows, &m.DroppedUntil, &m.WaitingSince, &m.WaitingFor, &m.Timeless)
	}
	if err != nil {
		return nil, fmt.Errorf("read the inbox's memory: %w", err)
	}
	return m, nil
}
