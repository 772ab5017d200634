package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Selection names messages that are set aside and wait for an operator: by their ids, by their topic, or all of them.
type Selection struct {
	IDs   []int64
	Topic string // empty = by the ids, or all
	All   bool
}

// Decided is what became of messages that were set aside.
type Decided struct {
	Messages int64   // as many as were selected
	IDs      []int64 // all of them, ascending
	Behind   int64   // others, behind them, that no earlier message of their key holds up any more: they are sent again
	Held     int64   // of Messages, those that are to be sent again behind an earlier one of their key that still waits
	Examples []Aside // the first MaxExamples that were selected, as they were
}

// MaxExamples is of how many messages more than the id is told.
const MaxExamples = 100

// ErrNotAside names messages that are not set aside, or were decided about before.
var ErrNotAside = errors.New("not set aside and waiting")

// Retry has messages sent again: the selected ones, and those behind them that wait for nothing else. A relay that
// keeps order sends none before an earlier one of its topic and key that waits.
func Retry(ctx context.Context, tx pgx.Tx, which Selection) (Decided, error) {
	ids, err := which.lock(ctx, tx)
	if err != nil {
		return Decided{}, err
	}
	d, err := decideAll(ctx, tx, ids, asideRetry)
	if err != nil {
		return d, err
	}
	if err := tx.QueryRow(ctx, countHeld, ids).Scan(&d.Held); err != nil {
		return d, fmt.Errorf("look for earlier messages: %w", err)
	}
	return d, nil
}

// Drop gives the selected messages up: they will never leave. Those behind them that wait for nothing else are sent.
func Drop(ctx context.Context, tx pgx.Tx, which Selection) (Decided, error) {
	ids, err := which.lock(ctx, tx)
	if err != nil {
		return Decided{}, err
	}
	return decideAll(ctx, tx, ids, asideDropped)
}

const lockWaiting = `
select id from outbox_aside
where state = 'waiting' and (id = any($1::bigint[]) or topic = $2 or $3)
order by id for update`

// lock locks the selected messages and returns their ids, ascending.
func (s *Selection) lock(ctx context.Context, tx pgx.Tx) ([]int64, error) {
	rows, err := tx.Query(ctx, lockWaiting, s.IDs, s.Topic, s.All)
	if err != nil {
		return nil, fmt.Errorf("select messages that are set aside: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("select messages that are set aside: %w", err)
	}
	return ids, s.nameMissing(ctx, tx, ids)
}

const statesOf = `
select n.id, coalesce(a.state, 'not set aside') from unnest($1::bigint[]) n (id) left join outbox_aside a on a.id = n.id
where n.id <> all($2::bigint[]) order by n.id`

// maxMissing bounds how many ids an error names.
const maxMissing = 20

// nameMissing is an error that names the ids which were not found waiting.
func (s *Selection) nameMissing(ctx context.Context, tx pgx.Tx, found []int64) error {
	if len(s.IDs) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, statesOf, s.IDs, found)
	if err != nil {
		return fmt.Errorf("look for messages that are set aside: %w", err)
	}
	var id int64
	var state string
	var missing []string
	if _, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error {
		missing = append(missing, fmt.Sprintf("%d (%s)", id, state))
		return nil
	}); err != nil {
		return fmt.Errorf("look for messages that are set aside: %w", err)
	}
	if n := len(missing) - maxMissing; n > 0 {
		missing = append(missing[:maxMissing], fmt.Sprintf("and %d more", n))
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s", ErrNotAside, strings.Join(missing, ", "))
	}
	return nil
}

const countHeld = `
select count(*) from outbox_aside b
where b.id = any($1::bigint[]) and exists (
  select from outbox_aside h where h.topic = b.topic and h.key = b.key and h.id < b.id and h.state = 'waiting')`

const (
	selectExamples = `select ` + asideColumns + ` from outbox_aside where id = any($1::bigint[]) order by id limit $2`

	setState = `update outbox_aside set state = $2, turn = null where id = any($1::bigint[])`
)

// decideAll gives the messages a new state. The relay looks for decisions every second.
func decideAll(ctx context.Context, tx pgx.Tx, ids []int64, state string) (Decided, error) {
	d := Decided{IDs: ids}
	if len(ids) == 0 {
		return d, nil
	}
	rows, err := tx.Query(ctx, selectExamples, ids, MaxExamples)
	if err != nil {
		return d, fmt.Errorf("list the messages that are set aside: %w", err)
	}
	if d.Examples, err = collectAsides(rows); err != nil {
		return d, err
	}
	tag, err := tx.Exec(ctx, setState, ids, state)
	if err != nil {
		return d, fmt.Errorf("decide about messages that are set aside: %w", err)
	}
	d.Messages = tag.RowsAffected()
	if tag, err = tx.Exec(ctx, freeFollowers); err != nil {
		return d, fmt.Errorf("send the messages behind them again: %w", err)
	}
	d.Behind = tag.RowsAffected()
	return d, nil
}
