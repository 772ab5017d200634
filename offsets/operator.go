package offsets

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What operators do to a position. Everything here runs in the caller's transaction, beside the record of who did it
// and why. LockRow comes first: it waits for the batch that is under way, and no other can start before the transaction
// ends. What replaces the position takes the token away as well, so a member that still believes in the old one is
// fenced and claims the partition anew.

// ErrUnknownPartition says that no position is stored for a partition: no member has ever claimed it.
var ErrUnknownPartition = errors.New("no position is stored")

const lockRow = selectRows + `
where topic = $1 and partition = $2
for update`

// LockRow returns tp's row as it stands and locks it until tx ends.
func LockRow(ctx context.Context, tx pgx.Tx, tp TopicPartition) (Row, error) {
	rows, err := tx.Query(ctx, lockRow, tp.Topic, tp.Partition)
	if err != nil {
		return Row{}, fmt.Errorf("lock %s/%d: %w", tp.Topic, tp.Partition, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Row])
	if errors.Is(err, pgx.ErrNoRows) {
		return Row{}, fmt.Errorf("%w for %s/%d", ErrUnknownPartition, tp.Topic, tp.Partition)
	}
	if err != nil {
		return Row{}, fmt.Errorf("lock %s/%d: %w", tp.Topic, tp.Partition, err)
	}
	return row, nil
}

const resume = `
update offsets
set halt_reason = null, halt_detail = null, halted_at = null, recent = '', updated_at = clock_timestamp()
where topic = $1 and partition = $2`

// Resume lets tp go on where it stopped, with an empty storm window. The claim stays: whoever holds it goes on.
func Resume(ctx context.Context, tx pgx.Tx, tp TopicPartition) (Row, error) {
	return change(ctx, tx, tp, "resume", resume)
}

const jump = `
update offsets
set jumped = jumped + ($3 - next), next = $3, last_hash = null,
    token = null, owner = null, claimed_at = null,
    halt_reason = null, halt_detail = null, halted_at = null, recent = '', updated_at = clock_timestamp()
where topic = $1 and partition = $2 and next <= $3`

// Jump moves tp forward to next, past records that are then never read; they count as jumped (I5). Backward it fails:
// that is Reopen.
func Jump(ctx context.Context, tx pgx.Tx, tp TopicPartition, next int64) (Row, error) {
	return change(ctx, tx, tp, "jump", jump, next)
}

const reopen = `
update offsets
set incarnation = incarnation + 1, topic_id = $3, start = $4, next = $4, last_hash = null,
    applied = 0, rejected = 0, duplicate = 0, parked = 0, ignored = 0, skipped = 0, jumped = 0,
    token = null, owner = null, claimed_at = null,
    halt_reason = null, halt_detail = null, halted_at = null, recent = '', updated_at = clock_timestamp()
where topic = $1 and partition = $2`

// Reopen begins a new incarnation of tp at start: counters from zero, and the log that topicID names (nil = unknown).
// It is how a position goes back, and how a topic that was created again is read. Events that were applied before stay
// known in the inbox, so they count as duplicates now.
func Reopen(ctx context.Context, tx pgx.Tx, tp TopicPartition, topicID *uuid.UUID, start int64) (Row, error) {
	return change(ctx, tx, tp, "reopen", reopen, topicID, start)
}

func change(ctx context.Context, tx pgx.Tx, tp TopicPartition, verb, sql string, args ...any) (Row, error) {
	tag, err := tx.Exec(ctx, sql, append([]any{tp.Topic, tp.Partition}, args...)...)
	if err == nil && tag.RowsAffected() != 1 {
		err = errors.New("the row does not allow it")
	}
	if err != nil {
		return Row{}, fmt.Errorf("%s %s/%d: %w", verb, tp.Topic, tp.Partition, err)
	}
	return LockRow(ctx, tx, tp)
}

// A member names its connections after itself. Other users' connections show their names only to those who may see
// them; then nobody seems alive, and it is the token that keeps such a member from writing.
const ownerAlive = `
select exists (
    select from pg_stat_activity
    where datname = current_database() and application_name = $1)`

// OwnerAlive says whether a member that owns r is connected to the database now. ApplicationName is how its connections
// are named.
func (r Row) OwnerAlive(ctx context.Context, tx pgx.Tx) (bool, error) {
	if r.Owner == nil {
		return false, nil
	}
	var alive bool
	if err := tx.QueryRow(ctx, ownerAlive, ApplicationName(*r.Owner)).Scan(&alive); err != nil {
		return false, fmt.Errorf("look for member %s: %w", *r.Owner, err)
	}
	return alive, nil
}

// maxNameBytes is Postgres's limit for an application_name.
const maxNameBytes = 63

// ApplicationName is the application_name of the connections of member: onhand/ and its name, as far as it fits.
func ApplicationName(member string) string {
	name := "onhand/" + member
	return name[:min(len(name), maxNameBytes)]
}
