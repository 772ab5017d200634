package inventory

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
	refs  refs
	moves int     // movements that the batch makes at most, but for lines that only the database knows
	ids   []int64 // for outgoing messages
	topic string  // of the first item: rows moved last from it need not repeat its name

	counted bool // some item says when goods were counted
}

var _ inbox.BatchHandler = (*Handler)(nil)

// NewHandler returns a Handler for one lane.
func NewHandler(cfg Config) *Handler {
	return &Handler{cfg: cfg}
}

var (
	errNotOurs = errors.New("event is not one of inventory's")
	errFewIDs  = errors.New("fewer ids were drawn than movements made") // a bug
)

// Load implements inbox.BatchHandler. It locks every row that the items may change (see the package comment for the
// order and its reasons), and draws an id for every message that they may cause.
func (h *Handler) Load(q *pgx.Batch, items []*inbox.Item, locks inbox.Locks) {
	h.collect(items)
	h.lockSKUs(q, locks)
	h.lockStock(q, locks)
	h.lockRefs(q, locks)
	if locks == inbox.SkipLocked {
		q.Queue("select").Exec(func(pgconn.CommandTag) error { // the answers above have come
			h.markBlocked(items)
			return nil
		})
	}
	switch {
	case !h.refs.none():
		outbox.DrawCounted(q, h.moves, countLines, h.refs.args, &h.ids)
	case h.moves > 0:
		outbox.Draw(q, h.moves, &h.ids)
	}
}

// Apply implements inbox.BatchHandler.
func (h *Handler) Apply(q *pgx.Batch, fresh []*inbox.Item) error {
	for _, item := range fresh {
		first := len(h.fold.movements)
		if err := h.decide(item); err != nil {
			return err
		}
		n := len(h.fold.movements)
		if n > len(h.ids) {
			return fmt.Errorf("%w: %d movements, %d ids", errFewIDs, n, len(h.ids))
		}
		if n > first {
			item.Effect = h.ids[first] // as insertMovements gives it
		}
	}
	h.write(q)
	return nil
}

func (h *Handler) decide(item *inbox.Item) error {
	e, ok := item.Body.(*Event)
	if !ok {
		return fmt.Errorf("%w: body is a %T", errNotOurs, item.Body)
	}
	to := Partition{item.Record.Topic, item.Record.Partition}
	reason, from, err := h.fold.apply(occurrence{
		Event: e, tenant: item.Tenant, id: item.ID, source: item.Source, trace: item.TraceParent, from: to,
		time: item.Time, logged: item.Record.Timestamp,
	})
	switch {
	case errors.Is(err, errNotLoaded) && e.Reservation+e.Transfer != "":
		// Its lines were others a moment ago, when their rows of stock were locked.
		return fmt.Errorf("%w: %w", inbox.ErrRunAgain, err)
	case err != nil:
		return err
	case reason != "":
		item.Reject(reason)
	}
	if from != nil && h.cfg.OnPartitionMove != nil {
		h.cfg.OnPartitionMove(h.fold.movements[len(h.fold.movements)-1].key.sku, *from, to)
	}
	return nil
}
