// Package broken is the service that everybody starts from. One lock around everything makes it look right; the row is
// read, changed in Go and written back without a transaction; nothing remembers what was applied; and the position is
// committed on its own. It is right as long as there is one member, nothing crashes and nothing comes twice.
package broken

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/bench/internal/peer"
	"onhand/inventory"
)

const connections = 4

// service is its state.
type service struct {
	mu      sync.Mutex // held for each message as a whole
	pool    *pgxpool.Pool
	decoder peer.Decoder
}

// Run is a peer.Peer. It consumes until ctx is cancelled.
func Run(ctx context.Context, job peer.Job, done *atomic.Int64) error {
	pool, err := job.Pool(ctx, connections)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := &service{pool: pool, decoder: peer.NewDecoder()}
	return peer.Consume(ctx, job, func(ctx context.Context, r *sarama.ConsumerMessage) error {
		if err := s.apply(ctx, r); err != nil {
			return err
		}
		done.Add(1)
		return nil
	})
}

const selectStock = `select on_hand, version from stock where tenant = $1 and sku = $2 and location = $3`

const insertStock = `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
values ($1, $2, $3, $4, $5, 'deny', $6, $7, now())`

const updateStock = `
update stock set on_hand = $4, version = $5, last_topic = $6, last_partition = $7, moved_at = now()
where tenant = $1 and sku = $2 and location = $3`

func (s *service) apply(ctx context.Context, r *sarama.ConsumerMessage) error {
	event, body, err := s.decoder.Decode(r.Value)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var stock inventory.Stock
	row := s.pool.QueryRow(ctx, selectStock, event.Tenant, body.Lines[0].SKU, body.Lines[0].Location)
	if err := row.Scan(&stock.OnHand, &stock.Version); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read stock: %w", err)
	}
	after, reason := inventory.Decide(stock, peer.Move(body))
	if reason != "" {
		return nil
	}
	sql := updateStock
	if stock.Version == 0 {
		sql = insertStock
	}
	_, err = s.pool.Exec(ctx, sql,
		event.Tenant, body.Lines[0].SKU, body.Lines[0].Location, after.OnHand, after.Version, r.Topic, r.Partition)
	if err != nil {
		return fmt.Errorf("write stock: %w", err)
	}
	return nil
}
