package offsets

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// openTimeout is longer than resolve may take, while the lock is held.
const openTimeout = 30 * time.Second

const lockTopic = `select pg_advisory_xact_lock(hashtextextended('onhand topic ' || current_schema() || ' ' || $1, 0))`

const openPartitions = `select partition from offsets where topic = $1`

const insertPartitions = `
insert into offsets (topic, partition, topic_id, start, next)
select $1, p.partition, $2, p.start, p.start
from unnest($3::integer[], $4::bigint[]) as p (partition, start)
on conflict (topic, partition) do nothing`

// Open makes sure that each of a topic's partitions has a row. When the topic is new to this installation, resolve is
// asked where each partition starts, once for all of them, and what it says is stored for good. A partition that
// appears later starts at 0, or records written before the first rebalance would be lost.
//
// The first writer wins: members that open a topic at the same moment do it one after another, under an advisory lock,
// and all but the first find the rows there. resolve runs while that lock is held; its error ends Open and nothing is
// stored.
func Open(ctx context.Context, pool *pgxpool.Pool, topic string, id uuid.UUID, partitions []int32,
	resolve func(context.Context) (map[int32]int64, error),
) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := boundWaits(ctx, tx, openTimeout, openTimeout); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, lockTopic, topic); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, openPartitions, topic)
		if err != nil {
			return err
		}
		known, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		if err != nil {
			return err
		}
		missing := without(partitions, known)
		if len(missing) == 0 {
			return nil
		}
		starts := make([]int64, len(missing))
		if len(known) == 0 {
			if starts, err = resolved(ctx, missing, resolve); err != nil {
				return err
			}
		}
		var topicID *uuid.UUID
		if id != uuid.Nil {
			topicID = &id
		}
		_, err = tx.Exec(ctx, insertPartitions, topic, topicID, missing, starts)
		return err
	})
	if err != nil {
		return fmt.Errorf("open topic %s: %w", topic, err)
	}
	return nil
}

func resolved(ctx context.Context, partitions []int32, resolve func(context.Context) (map[int32]int64, error),
) ([]int64, error) {
	at, err := resolve(ctx)
	if err != nil {
		return nil, err
	}
	starts := make([]int64, len(partitions))
	for i, p := range partitions {
		start, ok := at[p]
		if !ok {
			return nil, fmt.Errorf("no start for partition %d", p)
		}
		starts[i] = start
	}
	return starts, nil
}

func without(all, known []int32) []int32 {
	has := make(map[int32]bool, len(known))
	for _, p := range known {
		has[p] = true
	}
	var missing []int32
	for _, p := range all {
		if !has[p] {
			missing = append(missing, p)
		}
	}
	return missing
}
