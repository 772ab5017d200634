package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// From says behind which position a halted outbox goes on.
type From string

// The positions that there are to choose from.
const (
	// FromDatabase: behind the row's done. What Kafka has beyond it is published again, as far as this database has it. A
	// transaction of unknown outcome is aborted, and with FromIntent committed.
	FromDatabase From = "database"
	// FromIntent: behind the row's intent. What was about to be published last is not published again, even if it never
	// was.
	FromIntent From = "intent"
	// FromKafka: behind Kafka's position. Nothing is published again; what this database has up to there and Kafka never
	// got is not published at all.
	FromKafka From = "kafka"
)

// What Resume refuses.
var (
	ErrNotHalted  = errors.New("the outbox is not halted")
	ErrNoPosition = errors.New("no position of this outbox is known to Kafka")
)

// Resumption is what Resume did.
type Resumption struct {
	Before Standing  `json:"before"`
	After  Standing  `json:"after"`
	Kafka  *Position `json:"kafka"` // nil = not asked, or it has none
	// Passed are messages of this database behind its done that will not be published; Again are those that will be,
	// though Kafka had passed them. MaxCounted at most, each.
	Passed int64 `json:"passed"`
	Again  int64 `json:"again"`
	// Drawn is how many numbers of the sequence were used up so that new messages have ids behind the position.
	Drawn int64 `json:"drawn"`
}

const lockStanding = selectStanding + ` for update`

// The relay takes done for granted this once, tells Kafka so, and begins behind it.
const resumeAt = `
update outbox_relay
set done = $1, intent = $1, done_turn = $2, intent_turn = $2, done_by = null, intent_by = null, overruled = true,
    ending = coalesce($3, ending),
    halt_reason = null, halt_detail = null, halted_at = null, token = null, owner = null, lease_until = null,
    waiting_for = null, waiting_since = null, updated_at = clock_timestamp()
returning ` + standing

// Resume lets a halted outbox go on. kafka is what Kafka says; nil = it has no position, or was not asked. It is
// ErrNotHalted if the outbox is not, and ErrNoPosition if from needs what is nil. A message of a transaction that is
// under way counts as the others do: by its id.
func Resume(ctx context.Context, tx pgx.Tx, from From, kafka *Position) (Resumption, error) {
	r := Resumption{Kafka: kafka}
	if err := r.Before.scan(tx.QueryRow(ctx, lockStanding)); err != nil {
		return r, err
	}
	if !r.Before.Halted() {
		return r, ErrNotHalted
	}
	at, err := r.choose(from)
	if err != nil {
		return r, err
	}
	if err := r.count(ctx, tx, at.id); err != nil {
		return r, err
	}
	if r.Drawn, err = drawPast(ctx, tx, r.highest(at.id)); err != nil {
		return r, err
	}
	if err := r.settleRetries(ctx, tx, from); err != nil {
		return r, err
	}
	err = r.After.scan(tx.QueryRow(ctx, resumeAt, at.id, at.turn, r.ending(from)))
	return r, err
}

// ending is how the next session ends a transaction whose outcome nobody knew: as the operator's word has it, what is
// open is out, or it is not and will be sent again. nil = that was not the question.
func (r *Resumption) ending(from From) *string {
	if *r.Before.HaltReason != HaltOutcomeUnknown {
		return nil
	}
	state := stateAborted
	if from == FromIntent {
		state = stateCommitted
	}
	return &state
}

// choose is where to go on. The turn is the highest of all that were seen, so that the next one is new to everybody.
func (r *Resumption) choose(from From) (place, error) {
	at := place{id: r.Before.Done, turn: max(r.Before.DoneTurn, r.Before.IntentTurn)}
	if r.Kafka != nil && r.Kafka.Turn != nil {
		at.turn = max(at.turn, *r.Kafka.Turn)
	}
	switch {
	case from == FromIntent:
		at.id = r.Before.Intent
	case from == FromKafka && r.Kafka == nil:
		return at, ErrNoPosition
	case from == FromKafka:
		at.id = r.Kafka.ID
	}
	return at, nil
}

// highest is the highest id that messages had, as far as is known: readers shall meet no other one under the same id.
func (r *Resumption) highest(at int64) int64 {
	if r.Kafka == nil || r.Kafka.Turn == nil {
		return at
	}
	return max(at, r.Kafka.ID)
}

const countBetween = `
select count(*) from (select id from outbox where id > $1 and id <= $2 order by id limit $3) o`

// count says what it means to go on behind the message at.
func (r *Resumption) count(ctx context.Context, tx pgx.Tx, at int64) error {
	reached := r.Before.Done
	if r.Kafka != nil {
		reached = max(reached, r.Kafka.ID)
	}
	into := func(n *int64) func(pgx.Row) error {
		return func(row pgx.Row) error { return row.Scan(n) }
	}
	batch := &pgx.Batch{}
	batch.Queue(countBetween, r.Before.Done, at, MaxCounted).QueryRow(into(&r.Passed))
	batch.Queue(countBetween, at, reached, MaxCounted).QueryRow(into(&r.Again))
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("count the messages between the positions: %w", err)
	}
	return nil
}

// maxDrawn bounds how many numbers are drawn to get past a position; that many take about ten seconds.
const maxDrawn = 20_000_000

// See lastDrawn for the function; the row counts only where nothing was drawn yet.
const (
	nextBlock  = `select coalesce(pg_sequence_last_value('outbox_id'::regclass) + $1, last_value) from outbox_id`
	drawNumber = `select count(nextval('outbox_id')) from generate_series(1, $1::bigint)`
)

// drawPast uses up the sequence's numbers up to the position id, if it stands before it: a database that went back
// would give new messages ids which the relay takes for passed. Drawing is what the service does at the same time, and
// moves the sequence forward only; setting it could take back what others have drawn meanwhile.
func drawPast(ctx context.Context, q querier, id int64) (drawn int64, err error) {
	var next int64
	if err := q.QueryRow(ctx, nextBlock, blockSize).Scan(&next); err != nil {
		return 0, fmt.Errorf("read the last id that was drawn: %w", err)
	}
	if next > id {
		return 0, nil
	}
	n := (id-next)/blockSize + 1
	if n > maxDrawn {
		return 0, fmt.Errorf("the position %d is %d numbers of the sequence outbox_id ahead of this database: if that is "+
			"meant, stop every member and whatever else writes messages, `select setval('outbox_id', %d, false)`, and resume "+
			"again", id, n, next+n*blockSize)
	}
	if err := q.QueryRow(ctx, drawNumber, n).Scan(&drawn); err != nil {
		return 0, fmt.Errorf("draw ids up to the position: %w", err)
	}
	return drawn, nil
}

const reviveRetries = `
update outbox_aside set turn = null, state = case when $2 then 'waiting' else state end where turn > $1`

// settleRetries decides about messages that were being sent again: those whose turn is not out by the chosen word are
// sent once more, those whose turn is are removed by the relay. Where nobody can know an operator decides.
func (r *Resumption) settleRetries(ctx context.Context, tx pgx.Tx, from From) error {
	out, unknown := r.Before.DoneTurn, false
	switch {
	case from == FromIntent:
		out = r.Before.IntentTurn
	case from == FromKafka && r.Kafka.Turn == nil:
		unknown = true
	case from == FromKafka:
		out = *r.Kafka.Turn
	}
	if _, err := tx.Exec(ctx, reviveRetries, out, unknown); err != nil {
		return fmt.Errorf("decide about messages that were being sent again: %w", err)
	}
	return nil
}
