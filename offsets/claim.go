package offsets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// claimPatience is how long a claim waits for a row before it looks at who holds it.
const claimPatience = time.Second

const lockClaimed = `
select 1
from offsets o
join unnest($1::text[], $2::integer[]) as c (topic, partition) on o.topic = c.topic and o.partition = c.partition
order by o.topic, o.partition
for update of o`

const writeTokens = `
update offsets o
set token = c.token, owner = $4, claimed_at = clock_timestamp()
from unnest($1::text[], $2::integer[], $3::uuid[]) as c (topic, partition, token)
where o.topic = c.topic and o.partition = c.partition
returning o.topic, o.partition, o.token, o.incarnation, o.topic_id, o.start, o.next, o.last_hash,
          o.halt_reason, o.halt_detail, o.halted_at`

// Claim makes owner the holder of the partitions tps: a fresh token in each row, in one transaction. Their rows must
// exist (Open); the result is sorted. From the moment it commits no earlier holder can advance any of them.
//
// A batch of an earlier holder that is under way is waited for. If it takes more than a second, its backend is
// terminated: a client that is frozen with an answer unread keeps its locks past every timeout. That client's
// transaction rolls back, which is what fencing would have done to it a moment later.
func Claim(ctx context.Context, pool *pgxpool.Pool, tps []TopicPartition, owner string) ([]Claimed, error) {
	for {
		claimed, err := tryClaim(ctx, pool, tps, owner)
		if err == nil || !lockNotAvailable(err) {
			return claimed, err
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("claim partitions: %w", err)
		}
	}
}

func tryClaim(ctx context.Context, pool *pgxpool.Pool, tps []TopicPartition, owner string) ([]Claimed, error) {
	topics, partitions, tokens := make([]string, len(tps)), make([]int32, len(tps)), make([]uuid.UUID, len(tps))
	for i, tp := range tps {
		topics[i], partitions[i], tokens[i] = tp.Topic, tp.Partition, uuid.New()
	}
	var claimed []Claimed
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Terminating takes effect within this wait; if the row is still held after it, Claim starts over.
		if err := boundWaits(ctx, tx, 5*time.Second, 5*time.Second); err != nil {
			return err
		}
		if err := lockRows(ctx, pool, tx, topics, partitions); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, writeTokens, topics, partitions, tokens, owner)
		if err != nil {
			return err
		}
		claimed, err = pgx.CollectRows(rows, scanClaimed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim partitions: %w", err)
	}
	if len(claimed) != len(tps) {
		return nil, fmt.Errorf("claim partitions: %d of %d rows exist", len(claimed), len(tps))
	}
	slices.SortFunc(claimed, func(a, b Claimed) int { return Compare(a.TopicPartition, b.TopicPartition) })
	return claimed, nil
}

func scanClaimed(row pgx.CollectableRow) (Claimed, error) {
	var (
		c              Claimed
		topicID        *uuid.UUID
		reason, detail *string
		at             *time.Time
	)
	err := row.Scan(&c.Topic, &c.Partition, &c.Token, &c.Incarnation, &topicID, &c.Start, &c.Next, &c.LastHash,
		&reason, &detail, &at)
	if topicID != nil {
		c.TopicID = *topicID
	}
	if reason != nil {
		c.Halt = &Halt{Reason: *reason, Detail: *cmp.Or(detail, new(string)), At: *cmp.Or(at, new(time.Time))}
	}
	return c, err
}

// lockRows locks the rows in order. While it waits, a second connection watches: only from outside can one see who
// blocks this backend.
func lockRows(ctx context.Context, pool *pgxpool.Pool, tx pgx.Tx, topics []string, partitions []int32) error {
	watch, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	pid := tx.Conn().PgConn().PID()
	go func() {
		defer close(done)
		terminateStaleHolders(watch, pool, pid)
	}()
	_, err := tx.Exec(ctx, lockClaimed, topics, partitions)
	cancel()
	<-done
	return err
}

// A backend holds the shared generation lock exactly while it is inside a batch of this installation.
const terminateHolders = `
select pg_terminate_backend(l.pid)
from unnest(pg_blocking_pids($1)) as b (pid)
join pg_locks l on l.pid = b.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.classid::bigint << 32 | l.objid::bigint) = ` + generationKey

func terminateStaleHolders(ctx context.Context, pool *pgxpool.Pool, blocked uint32) {
	tick := time.NewTicker(claimPatience)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// An error here is the claim's to report: it runs into its own timeout.
			_, _ = pool.Exec(ctx, terminateHolders, int32(blocked))
		}
	}
}

// boundWaits ends tx when it waits for one lock longer than lock, or when this client falls silent inside it for longer
// than idle: one that is frozen or cut off must not hold its rows until somebody looks.
func boundWaits(ctx context.Context, tx pgx.Tx, lock, idle time.Duration) error {
	const sql = `select set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)`
	_, err := tx.Exec(ctx, sql, fmt.Sprintf("%dms", lock.Milliseconds()), fmt.Sprintf("%dms", idle.Milliseconds()))
	return err
}

func lockNotAvailable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03"
}
