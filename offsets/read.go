package offsets

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Standing is where a claimed partition's row stands now.
type Standing struct {
	Ours   bool // the token is still the claim's
	Halted bool
	Next   int64
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const readStanding = `
select c.ord, o.token is not distinct from c.token, o.halt_reason is not null, o.next
from unnest($1::text[], $2::integer[], $3::uuid[]) with ordinality as c (topic, partition, token, ord)
join offsets o on o.topic = c.topic and o.partition = c.partition
order by o.topic, o.partition`

// Read looks at the rows of es without locking them; a row that is gone is not ours. The result has es' order.
func Read(ctx context.Context, db querier, es []Expected) ([]Standing, error) {
	return standing(ctx, db, readStanding, es)
}

func standing(ctx context.Context, db querier, sql string, es []Expected) ([]Standing, error) {
	topics, partitions, tokens := make([]string, len(es)), make([]int32, len(es)), make([]uuid.UUID, len(es))
	for i, e := range es {
		topics[i], partitions[i], tokens[i] = e.Topic, e.Partition, e.Token
	}
	rows, err := db.Query(ctx, sql, topics, partitions, tokens)
	if err != nil {
		return nil, fmt.Errorf("read offsets: %w", err)
	}
	out := make([]Standing, len(es))
	var (
		ord int64
		s   Standing
	)
	if _, err := pgx.ForEachRow(rows, []any{&ord, &s.Ours, &s.Halted, &s.Next}, func() error {
		out[ord-1] = s
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read offsets: %w", err)
	}
	return out, nil
}

// settleTimeout bounds each wait for a row's lock.
const settleTimeout = 2 * time.Second

// Settle looks at the rows of es under lock: it waits for whoever still holds one, so that what it says is final. It is
// how the fate of a commit is known whose answer was lost. pool must not hand out the connection that lost it.
func Settle(ctx context.Context, pool *pgxpool.Pool, es []Expected) (out []Standing, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := boundWaits(ctx, tx, settleTimeout, settleTimeout); err != nil {
			return err
		}
		out, err = standing(ctx, tx, readStanding+" for update of o", es)
		return err
	})
	return out, err
}
