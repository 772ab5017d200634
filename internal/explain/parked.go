package explain

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Parked is a dead letter that is about an event.
type Parked struct {
	Position
	Reason   string    `db:"reason" json:"reason"`
	Detail   string    `db:"detail" json:"detail"`
	ParkedAt time.Time `db:"parked_at" json:"parked_at"`

	// Certain is false where the value cannot be read up to its identity, and only has the id's text somewhere.
	Certain bool `db:"-" json:"certain"`
}

// Search is what a look through dead letters came to.
type Search struct {
	Parked []Parked `json:"parked"` // newest first
	// Letters were looked at, the newest; Whole says that there are no others, and that all that match are listed.
	Letters int64 `json:"letters"`
	Whole   bool  `json:"whole"`
}

// maxParked bounds what a search lists: one id in thousands of wrong records.
const maxParked = 100

// A value that has the id holds its bytes, or an escape sequence that hides them: all others stay on the server.
const selectParked = `
select d.topic, d.partition, d.incarnation, d."offset", d.reason, d.detail, d.parked_at, d.value
from (
  select topic, partition, incarnation, "offset"
  from dead_letters
  order by parked_at desc, topic, partition, incarnation desc, "offset" desc
  limit $1
) newest
join dead_letters d using (topic, partition, incarnation, "offset")
where position($2::bytea in d.value) > 0 or position('\x5c'::bytea in d.value) > 0
order by d.parked_at desc, d.topic, d.partition, d.incarnation desc, d."offset" desc`

const countLetters = `select count(*) from (select from dead_letters limit $1) d`

// SearchParked looks for an event among the newest dead letters, at most limit of them; a nil source is any. Values are
// read one after another: however large they are, one is held at a time.
func SearchParked(ctx context.Context, tx pgx.Tx, tenant, id string, source *string, limit int) (s Search, err error) {
	if err := tx.QueryRow(ctx, countLetters, limit+1).Scan(&s.Letters); err != nil {
		return s, fmt.Errorf("count dead letters: %w", err)
	}
	s.Whole = s.Letters <= int64(limit)
	s.Letters = min(s.Letters, int64(limit))
	rows, err := tx.Query(ctx, selectParked, limit, []byte(id))
	if err != nil {
		return s, fmt.Errorf("search dead letters: %w", err)
	}
	var p Parked
	var value []byte
	_, err = pgx.ForEachRow(rows, []any{
		&p.Topic, &p.Partition, &p.Incarnation, &p.Offset, &p.Reason, &p.Detail, &p.ParkedAt, &value,
	}, func() error {
		is, certain := identify(value).about(value, tenant, id, source)
		switch {
		case !is:
		case len(s.Parked) == maxParked:
			s.Whole = false
		default:
			p.Certain = certain
			s.Parked = append(s.Parked, p)
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("search dead letters: %w", err)
	}
	return s, nil
}
