package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"time"

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

	// Grace is how far the wall clock must be past the deadline of a reservation before that lapses without a later
	// record of its partition: clocks differ, and so do the ways that records take. 0 or more.
	Grace time.Duration

	// Hints are those of all handlers of the process; nil = the handler's own.
	Hints *Hints
}

// Partition is one partition of a topic.
type Partition struct {
	Topic string
	ID    int32
}

// Handler applies inventory events: the inbox.BatchHandler of one lane.
type Handler struct {
	cfg Config

	// What one batch loads; each Want, or Load without one, starts it anew.
	fold  fold
	ahead *promise // of the batch that is followed; nil = none is
	keys  []stockKey
	defs  []skuKey
	refs  refs
	due   dues
	hints *Hints
	moves int     // movements that the batch makes at most, but for lines that only the database knows
	ids   []int64 // for outgoing messages
	taken int     // of ids: these are used, or passed over
	topic string  // of the first item: rows moved last from it need not repeat its name

	collected bool // for the Load to come

	counted bool // some item says when goods were counted
	skips   bool // it locks only what is free

	bundles bundleMemory
}

var _ inbox.Timekeeper = (*Handler)(nil)

// NewHandler returns a Handler for one lane.
func NewHandler(cfg Config) *Handler {
	return &Handler{cfg: cfg, hints: cmp.Or(cfg.Hints, &Hints{}), bundles: bundleMemory{
		read: make(map[skuKey][]string), before: make(map[skuKey][]string), wanted: make(map[stockKey]bool),
	}}
}

var (
	errNotOurs = errors.New("event is not one of inventory's")
	errFewIDs  = errors.New("fewer ids were drawn than messages made") // a bug
)

// Load implements inbox.BatchHandler. It locks every row that the items may change (see the package comment for the
// order and its reasons), and draws an id for every message that they may cause.
func (h *Handler) Load(q *pgx.Batch, items []*inbox.Item, locks inbox.Locks) {
	if !h.collected {
		h.collect(items)
	}
	h.collected, h.skips = false, locks == inbox.SkipLocked
	h.lockSKUs(q, locks)
	h.lockStock(q, locks)
	h.lockRefs(q, locks)
	if h.skips {
		q.Queue("select").Exec(func(pgconn.CommandTag) error { // the answers above have come
			h.markBlocked(items)
			h.markHeld()
			return nil
		})
	}
	// A rejection is a message too, and at the end of a block, of which there is one in each 1,000 ids, take may pass over
	// less than a movement's messages.
	n := maxMessages*h.moves + len(items)
	n += maxMessages*(n/1000) + maxMessages
	switch {
	case h.due.lock:
		outbox.DrawCounted(q, n, countDueLines, h.refArgs(), &h.ids)
	case !h.refs.none():
		outbox.DrawCounted(q, n, countLines, h.refs.args, &h.ids)
	case len(items) > 0:
		outbox.Draw(q, n, &h.ids)
	}
}

// Apply implements inbox.BatchHandler.
func (h *Handler) Apply(q *pgx.Batch, fresh []*inbox.Item) error {
	h.due.watch(&h.fold)
	left := h.due.of
	for _, item := range fresh {
		for len(left) > 0 && !left[0].holds(item) {
			if err := h.passTo(&left[0], left[0].clock.Now); err != nil {
				return err
			}
			left = left[1:]
		}
		if len(left) > 0 {
			if err := h.passTo(&left[0], item.Now); err != nil {
				return err
			}
		}
		movements, rejections := len(h.fold.movements), len(h.fold.rejections)
		if err := h.decide(item); err != nil {
			h.learn(false)
			return err
		}
		var err error
		if item.Effect, err = h.number(h.fold.movements[movements:], h.fold.rejections[rejections:]); err != nil {
			return err
		}
	}
	for i := range left {
		if err := h.passTo(&left[i], left[i].clock.Now); err != nil {
			return err
		}
	}
	h.write(q)
	h.learn(true)
	return nil
}

// number gives the messages of one event their ids, and returns the first; 0 = there is none. An event has movements,
// or is rejected, or neither.
func (h *Handler) number(movements []movement, rejections []rejection) (first int64, err error) {
	for i := range rejections {
		if rejections[i].message, err = h.take(1); err != nil {
			return 0, err
		}
		first = rejections[i].message
	}
	for i := range movements {
		m := &movements[i]
		if m.message, err = h.take(1 + m.crossed.count()); err != nil {
			return 0, err
		}
		first = cmp.Or(first, m.message)
	}
	return first, nil
}

// take returns the first of n ids that follow one another without a gap: what a movement crosses is found again by the
// movement's own message. Where blocks of ids meet, some are passed over.
func (h *Handler) take(n int) (first int64, err error) {
	for ; h.taken+n <= len(h.ids); h.taken++ {
		if first, last := h.ids[h.taken], h.ids[h.taken+n-1]; last-first == int64(n-1) {
			h.taken += n
			return first, nil
		}
	}
	return 0, fmt.Errorf("%w: %d", errFewIDs, len(h.ids))
}

func (h *Handler) decide(item *inbox.Item) error {
	e, ok := item.Body.(*Event)
	if !ok {
		return fmt.Errorf("%w: body is a %T", errNotOurs, item.Body)
	}
	to := Partition{item.Record.Topic, item.Record.Partition}
	reason, from, err := h.fold.apply(occurrence{
		Event: e, tenant: item.Tenant, id: item.ID, source: item.Source, trace: item.TraceParent, from: to,
		time: item.Time, logged: noLater(item.Record.Timestamp),
	})
	switch {
	case errors.Is(err, errUnforeseen):
		return fmt.Errorf("%w: %w", inbox.ErrRunAgain, err)
	case err != nil && e.Reservation+e.Transfer != "":
		return runAgain(err)
	case err != nil:
		return err
	case reason != "":
		item.Reject(reason)
	}
	h.tellOfMove(from, to)
	return nil
}

// runAgain is err, or what has the batch run again if a row is missing that a reservation or transfer led to: its lines
// were others a moment ago, when their rows of stock were locked.
func runAgain(err error) error {
	if errors.Is(err, errNotLoaded) {
		return fmt.Errorf("%w: %w", inbox.ErrRunAgain, err)
	}
	return err
}

// tellOfMove tells of the latest movement if another partition moved its row before.
func (h *Handler) tellOfMove(from *Partition, to Partition) {
	if from != nil && h.cfg.OnPartitionMove != nil {
		h.cfg.OnPartitionMove(h.fold.movements[len(h.fold.movements)-1].key.sku, *from, to)
	}
}
