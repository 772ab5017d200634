package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sweepEvery is how often messages that have left are looked for.
const sweepEvery = 2 * time.Second

// partitions are the tables of outbox_messages, by slot.
var partitions = [slots]string{"outbox_messages_0", "outbox_messages_1", "outbox_messages_2"}

// sweep empties the partitions of outbox_messages whose messages have all left, but for the one that is being written.
func (s *session) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := sweepOnce(ctx, s.cfg.Pool); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beginner is a pool, or a connection.
type beginner interface {
	querier
	Begin(ctx context.Context) (pgx.Tx, error)
}

func sweepOnce(ctx context.Context, db beginner) error {
	last, err := drawn(ctx, db)
	if err != nil {
		return err
	}
	for slot, table := range partitions {
		if int16(slot) == slotOf(last) {
			continue
		}
		left, err := allLeft(ctx, db, table)
		if err != nil {
			return err
		}
		if !left {
			continue
		}
		if err := empty(ctx, db, table); err != nil {
			return err
		}
	}
	return nil
}

// allLeft reports whether table has messages, and Kafka has them all.
func allLeft(ctx context.Context, db querier, table string) (left bool, err error) {
	err = db.QueryRow(ctx, `select coalesce((select max(id) from `+table+`) <= (select done from outbox_relay), false)`).
		Scan(&left)
	if err != nil {
		return false, fmt.Errorf("look for messages that have left in %s: %w", table, err)
	}
	return left, nil
}

// empty truncates table. Whoever has written to it and not committed keeps it from that, and is not waited for long;
// whoever wants to write meanwhile waits for as long. Under the lock nobody does either, so what is seen then is all.
func empty(ctx context.Context, db beginner, table string) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set local lock_timeout = '50ms'`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `lock table `+table+` in access exclusive mode`); err != nil {
			return err
		}
		left, err := allLeft(ctx, tx, table)
		if err != nil || !left {
			return err
		}
		_, err = tx.Exec(ctx, `truncate table `+table)
		return err
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "40P01") {
		return nil // next time
	}
	if err != nil {
		return fmt.Errorf("empty %s: %w", table, err)
	}
	return nil
}
