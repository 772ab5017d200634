package offsets

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

const halt = `
update offsets
set halt_reason = $4, halt_detail = $5, halted_at = clock_timestamp(), updated_at = clock_timestamp()
where topic = $1 and partition = $2 and token = $3 and halt_reason is null and next = $6`

// StopPartition halts a partition that e describes, and reports whether it did: false means that e is not, or no
// longer, how the row stands, and nothing was written.
func StopPartition(ctx context.Context, pool *pgxpool.Pool, e Expected, h Halt) (bool, error) {
	tag, err := pool.Exec(ctx, halt, e.Topic, e.Partition, e.Token, h.Reason, h.Detail, e.Next)
	if err != nil {
		return false, fmt.Errorf("halt %s/%d: %w", e.Topic, e.Partition, err)
	}
	return tag.RowsAffected() == 1, nil
}

const learnTopicID = `update offsets set topic_id = $3 where topic = $1 and token = any($2) and topic_id is null`

// LearnTopicID stores a topic's id in the rows claimed under tokens that had none: the broker did not know it before.
func LearnTopicID(ctx context.Context, pool *pgxpool.Pool, topic string, tokens []uuid.UUID, id uuid.UUID) error {
	if _, err := pool.Exec(ctx, learnTopicID, topic, tokens, id); err != nil {
		return fmt.Errorf("store id of topic %s: %w", topic, err)
	}
	return nil
}
