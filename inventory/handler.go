package inventory

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/outbox"
)

// Config is what a Handler needs to know.
type Config struct {
	// OnPartitionMove, if set, is told when a stock row is moved by another partition than the one before: order
	// across partitions is not defined, so a SKU's events should share one. It is called before the commit, from every
	// lane, and again if a batch has to be run again; it must not block.
	OnPartitionMove func(sku string, from, to Partition)
}

// Partition is one partition of a topic.
type Partition struct {
	Topic string
	ID    int32
}

// Handler applies inventory events: the inbox.BatchHandler of one lane.
type Handler struct {
	cfg Config

	// What one batch loads; each Load starts it anew.
	fold  fold
	keys  []stockKey
	defs  []skuKey
	ids   []int64 // for outgoing messages
	topic string  // of the first item: rows moved last from it need not repeat its name
}

var _ inbox.BatchHandler = (*Handler)(nil)

// NewHandler returns a Handler for one lane.
func NewHandler(cfg Config) *Handler {
	return &Handler{cfg: cfg}
}

var errNotOurs = errors.New("event is not one of inventory's")

// Load implements inbox.BatchHandler. It locks every row that the items may change (see the package comment for the
// order and its reasons), and draws an id for every message that they may cause.
func (h *Handler) Load(q *pgx.Batch, items []*inbox.Item, locks inbox.Locks) {
	moving := h.collect(items)
	h.lockSKUs(q, locks)
	h.lockStock(q, locks, items)
	if moving > 0 {
		outbox.Draw(q, moving, &h.ids)
	}
}

// Apply implements inbox.BatchHandler.
func (h *Handler) Apply(q *pgx.Batch, fresh []*inbox.Item) error {
	for _, item := range fresh {
		e, ok := item.Body.(*Event)
		if !ok {
			return fmt.Errorf("%w: body is a %T", errNotOurs, item.Body)
		}
		to, first := Partition{item.Record.Topic, item.Record.Partition}, len(h.fold.movements)
		reason, from, err := h.fold.apply(occurrence{
			Event: e, tenant: item.Tenant, id: item.ID, source: item.Source, trace: item.TraceParent, from: to,
		})
		if err != nil {
			return err
		}
		if reason != "" {
			item.Reject(reason)
		}
		if len(h.fold.movements) > first {
			item.Effect = h.ids[first] // as insertMovements gives it
		}
		if from != nil && h.cfg.OnPartitionMove != nil {
			h.cfg.OnPartitionMove(e.SKU, *from, to)
		}
	}
	h.write(q)
	return nil
}
