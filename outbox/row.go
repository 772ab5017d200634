package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// row is the relay's row as a leader finds it.
type row struct {
	done, intent  place
	positionTopic string // empty = no position was ever committed
	overruled     bool
	ending        string // the state of the transaction that is being ended again; empty = none is
}

// errLease ends a session: another relay holds the lease now, an operator or another relay has halted the row, or the
// database is not the one that we wrote to before.
var errLease = errors.New("the lease on the outbox is lost")

// lease is one relay's right to publish, for as long as the row has its token.
type lease struct {
	pool  *pgxpool.Pool
	token uuid.UUID
	owner string
	time  time.Duration // how long it lasts without being renewed
}

const takeLease = `
update outbox_relay
set token = $1, owner = $2, lease_until = clock_timestamp() + $3, updated_at = clock_timestamp()
where halt_reason is null and (token is null or token = $1 or lease_until < clock_timestamp())
returning done, done_turn, coalesce(done_by, '00000000-0000-0000-0000-000000000000'), intent, intent_turn,
  coalesce(intent_by, '00000000-0000-0000-0000-000000000000'), coalesce(position_topic, ''), overruled,
  coalesce(ending, '')`

// take takes the lease if nobody has it, or the one who had it has let it run out; false = not now.
func (l *lease) take(ctx context.Context) (row, bool, error) {
	var r row
	err := l.pool.QueryRow(ctx, takeLease, l.token, l.owner, l.time).Scan(
		&r.done.id, &r.done.turn, &r.done.by, &r.intent.id, &r.intent.turn, &r.intent.by, &r.positionTopic, &r.overruled,
		&r.ending)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("take the lease on the outbox: %w", err)
	}
	return r, true, nil
}

// write runs an update of the row that must find the lease ours.
func (l *lease) write(ctx context.Context, what, sql string, args ...any) error {
	tag, err := l.pool.Exec(ctx, sql, append([]any{l.token}, args...)...)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case tag.RowsAffected() != 1:
		return fmt.Errorf("%s: %w", what, errLease)
	}
	return nil
}

const renewLease = `
update outbox_relay
set lease_until = clock_timestamp() + $2, waiting_for = nullif($3, ''),
    waiting_since = case when $3 = '' then null else coalesce(waiting_since, clock_timestamp()) end,
    updated_at = clock_timestamp()
where token = $1`

// renew keeps the lease, and says what the messages wait for; empty = nothing.
func (l *lease) renew(ctx context.Context, waitingFor string) error {
	return l.write(ctx, "renew the lease on the outbox", renewLease, l.time, waitingFor)
}

const releaseLease = `update outbox_relay set token = null, owner = null, lease_until = null where token = $1`

// release lets another relay begin at once. It is no error if the lease is not ours any more.
func (l *lease) release(ctx context.Context) error {
	if _, err := l.pool.Exec(ctx, releaseLease, l.token); err != nil {
		return fmt.Errorf("release the lease on the outbox: %w", err)
	}
	return nil
}

// The comparison with the last intent is what notices a database that went back under a running relay.
const setIntent = `
update outbox_relay
set done = $2, done_turn = $3, done_by = $4, intent = $5, intent_turn = $6, intent_by = $7,
    lease_until = clock_timestamp() + $8, updated_at = clock_timestamp()
where token = $1 and intent = $2 and intent_turn = $3 and intent_by = $4 and halt_reason is null`

// intend stores that a Kafka transaction will take the position from done, where the last one has taken it for sure, to
// intent.
func (l *lease) intend(ctx context.Context, done, intent place) error {
	return l.write(ctx, "store the outbox's intent", setIntent,
		done.id, done.turn, done.by, intent.id, intent.turn, intent.by, l.time)
}

const setDone = `
update outbox_relay
set done = $2, done_turn = $3, done_by = $4, lease_until = clock_timestamp() + $5, updated_at = clock_timestamp()
where token = $1 and intent = $2 and intent_turn = $3 and intent_by = $4`

// finish stores that the intended position is Kafka's.
func (l *lease) finish(ctx context.Context, done place) error {
	return l.write(ctx, "store the outbox's position", setDone, done.id, done.turn, done.by, l.time)
}

const settle = `
update outbox_relay
set done = $2, done_turn = $3, done_by = $4, intent = $2, intent_turn = $3, intent_by = $4, position_topic = $5,
    overruled = false, updated_at = clock_timestamp()
where token = $1 and halt_reason is null`

// settle stores where this session begins: what Kafka says was compared, and is Kafka's position at topic.
func (l *lease) settle(ctx context.Context, from place, topic string) error {
	return l.write(ctx, "settle the outbox's position", settle, from.id, from.turn, from.by, topic)
}

const setEnding = `
update outbox_relay set ending = nullif($2, ''), updated_at = clock_timestamp()
where token = $1 and halt_reason is null`

// ending stores that the last transaction is being ended again, and how Kafka said that it stood; empty = it is not.
func (l *lease) ending(ctx context.Context, state string) error {
	return l.write(ctx, "store how the last transaction ended", setEnding, state)
}

const haltRelay = `
update outbox_relay
set halt_reason = $2, halt_detail = $3, halted_at = clock_timestamp(), token = null, owner = null, lease_until = null,
    waiting_for = null, waiting_since = null, updated_at = clock_timestamp()
where token = $1`

// halt stops the outbox until an operator has decided, and gives the lease back.
func (l *lease) halt(ctx context.Context, f finding) error {
	return l.write(ctx, "halt the outbox", haltRelay, f.reason, f.detail)
}
