package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A reservation lapses before the first record of its partition that is later than its deadline is decided. The last
// record that was decided is enough to ask: a deadline that it, or one before it, set was after the record that did.
const selectOverdue = `
select format('%L of tenant %L', reservation, tenant) as place,
       format('lapsed: it was due at %s', expires_at) as expected,
       format('open, and %s/%s was read up to %s', topic, partition, $3::timestamptz) as found,
       count(*) over () as total
from reservations
where state = 'open' and topic = $1 and partition = $2 and expires_at < $3
order by expires_at
limit $4`

// lookUpOverdue finds reservations that should have lapsed by the record that was walked last.
func (j *judge) lookUpOverdue(ctx context.Context) error {
	if j.latest.IsZero() || j.latest.Year() > 9999 {
		return nil
	}
	rows, err := j.v.snapshot.tx.Query(ctx, selectOverdue, j.row.Topic, j.row.Partition, j.latest,
		max(j.v.cfg.Differences, 1))
	if err != nil {
		return fmt.Errorf("look for reservations that are due: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[wrong])
	if err != nil {
		return fmt.Errorf("look for reservations that are due: %w", err)
	}
	j.found.differAll("I4", "reservations", found)
	return nil
}

// walked notes the time of a record that was decided, and not jumped over.
func (j *judge) walked(offset int64, at time.Time) {
	if j.jumpedIn(offset, offset+1) == 0 {
		j.latest = at
	}
}
