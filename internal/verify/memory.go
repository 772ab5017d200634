package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/offsets"
)

// memory is what the inbox has dropped: rows that proved what became of a record, and that nobody can ask for any more.
// What is left to prove there: the counters still add up, as many rows are there as were written and not dropped, and
// only events that are old enough, or have no time, may lack theirs.
type memory struct {
	*inbox.Memory
	forgotten map[offsets.TopicPartition]forgotten
}

// forgotten is up to where a partition had been read when a generation was dropped last.
type forgotten struct {
	Topic       string `db:"topic"`
	Partition   int32  `db:"partition"`
	Incarnation int32  `db:"incarnation"`
	Before      int64  `db:"before"`
}

const selectForgotten = `select topic, partition, incarnation, before from inbox_forgotten`

func readMemory(ctx context.Context, tx pgx.Tx) (*memory, error) {
	m := &memory{forgotten: make(map[offsets.TopicPartition]forgotten)}
	var err error
	if m.Memory, err = inbox.ReadMemory(ctx, tx); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, selectForgotten)
	if err != nil {
		return nil, fmt.Errorf("read what was dropped: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[forgotten])
	if err != nil {
		return nil, fmt.Errorf("read what was dropped: %w", err)
	}
	for _, f := range all {
		m.forgotten[offsets.TopicPartition{Topic: f.Topic, Partition: f.Partition}] = f
	}
	return m, nil
}

// before is the offset of row's incarnation below which a record may have lost its inbox row, or the one of which it is
// a copy; 0 = none has.
func (m *memory) before(row offsets.Row) int64 {
	f, ok := m.forgotten[row.Name()]
	if !ok || f.Incarnation != row.Incarnation {
		return 0
	}
	return f.Before
}

// old reports whether the event of a record is not later than what was dropped.
func (m *memory) old(e *inbox.Event, r *inbox.Record) bool {
	t, timed := inbox.MemoryTime(e, r)
	return timed && m.Horizon != nil && !t.After(*m.Horizon)
}

// mayBeForgotten reports whether nothing need be known of the event of a record.
func (j *judge) mayBeForgotten(e *inbox.Event, r *inbox.Record) bool {
	_, timed := inbox.MemoryTime(e, r)
	return r.Offset < j.forgotten && (!timed || j.v.memory.old(e, r))
}
