package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standing is the relay's row: how far messages have left, who leads, and what stopped them.
type Standing struct {
	Done          int64      `json:"done"`   // Kafka has everything up to here
	Intent        int64      `json:"intent"` // and perhaps up to here
	DoneTurn      int64      `json:"done_turn"`
	IntentTurn    int64      `json:"intent_turn"`
	PositionTopic *string    `json:"position_topic"` // nil = Kafka was told of no position yet
	Overruled     bool       `json:"overruled"`      // an operator has decided, and no relay has taken it up yet
	Owner         *string    `json:"owner"`
	LeaseUntil    *time.Time `json:"lease_until"`
	Leading       bool       `json:"leading"` // the owner's lease has not run out
	WaitingFor    *string    `json:"waiting_for"`
	WaitingSince  *time.Time `json:"waiting_since"`
	HaltReason    *string    `json:"halt_reason"` // nil = running
	HaltDetail    *string    `json:"halt_detail"`
	HaltedAt      *time.Time `json:"halted_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
}

// Halted reports whether an operator has to decide where to go on.
func (s *Standing) Halted() bool { return s.HaltReason != nil }

// standing are the columns of a Standing.
const standing = `
done, intent, done_turn, intent_turn, position_topic, overruled, owner, lease_until,
coalesce(lease_until > clock_timestamp(), false), waiting_for, waiting_since, halt_reason, halt_detail, halted_at,
updated_at`

const selectStanding = `select ` + standing + ` from outbox_relay`

func (s *Standing) scan(row pgx.Row) error {
	err := row.Scan(&s.Done, &s.Intent, &s.DoneTurn, &s.IntentTurn, &s.PositionTopic, &s.Overruled, &s.Owner,
		&s.LeaseUntil, &s.Leading, &s.WaitingFor, &s.WaitingSince, &s.HaltReason, &s.HaltDetail, &s.HaltedAt, &s.UpdatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return errors.New("read the outbox's position: the table outbox_relay has lost its row")
	}
	if err != nil {
		return fmt.Errorf("read the outbox's position: %w", err)
	}
	return nil
}

// ReadStanding reads the relay's row.
func ReadStanding(ctx context.Context, q querier) (Standing, error) {
	var s Standing
	err := s.scan(q.QueryRow(ctx, selectStanding))
	return s, err
}

// MaxCounted bounds how many messages are counted: a backlog may be larger than anybody wants to wait for.
const MaxCounted = 1_000_000

// Backlog is what has not left yet.
type Backlog struct {
	Messages int64  `json:"waiting"`        // committed, and behind the position; MaxCounted at most
	More     bool   `json:"more_waiting"`   // there are more than Messages
	Oldest   *int64 `json:"oldest_waiting"` // the first one's id
	// When the oldest movement among them was written, and how long ago by the database's clock; other messages do not
	// know when they were.
	OldestMovement *time.Time `json:"oldest_movement_at"`
	AgeSeconds     *float64   `json:"oldest_movement_age_seconds"`
}

// In the order of the ids, so that the index is read and no table.
const countBehind = `select count(*), min(id) from (select id from outbox where id > $1 order by id limit $2) o`

const oldestBehind = `
select min(recorded_at), extract(epoch from clock_timestamp() - min(recorded_at))::float8 from (
  (select recorded_at from movements where message_id > $1 order by message_id limit 1)
  union all
  (select recorded_at from movements_archive where message_id > $1 order by message_id limit 1)
) o`

// ReadBacklog counts the messages behind the position after.
func ReadBacklog(ctx context.Context, q querier, after int64) (Backlog, error) {
	return readBacklog(ctx, q, after, MaxCounted)
}

func readBacklog(ctx context.Context, q querier, after, most int64) (Backlog, error) {
	var b Backlog
	batch := &pgx.Batch{}
	batch.Queue(countBehind, after, most+1).QueryRow(func(row pgx.Row) error { return row.Scan(&b.Messages, &b.Oldest) })
	batch.Queue(oldestBehind, after).QueryRow(func(row pgx.Row) error {
		return row.Scan(&b.OldestMovement, &b.AgeSeconds)
	})
	if err := q.SendBatch(ctx, batch).Close(); err != nil {
		return Backlog{}, fmt.Errorf("count the messages that wait: %w", err)
	}
	if b.Messages > most {
		b.Messages, b.More = most, true
	}
	return b, nil
}
