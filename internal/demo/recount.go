package demo

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Recount is what comes out when the topic is read again and folded in the plainest way, beside what is in the
// database.
type Recount struct {
	Lost    int64 `json:"lost"`    // events in the topic whose effect or refusal is not in the database
	Doubled int64 `json:"doubled"` // movements beyond the one that an event may have
	Wrong   int64 `json:"wrong"`   // SKUs whose stock differs
}

// ledger is the plain model: what a single-threaded program without crashes would hold in memory.
type ledger struct {
	onHand  map[string]int64 // by SKU
	outcome map[identity]string
}

type identity struct{ id, source string }

// The outcomes, as the inbox calls them.
const (
	applied  = "applied"
	rejected = "rejected"
)

// recount shares nothing with the service: it has its own reader, its own decoder and its own arithmetic.
func recount(ctx context.Context, broker string, p *place) (Recount, error) {
	l := ledger{onHand: map[string]int64{}, outcome: map[identity]string{}}
	if err := eachValue(ctx, broker, l.fold); err != nil {
		return Recount{}, fmt.Errorf("read the topic again: %w", err)
	}
	r, err := l.compare(ctx, p)
	if err != nil {
		return Recount{}, fmt.Errorf("compare with the database: %w", err)
	}
	return r, nil
}

// line is one event, as far as it matters here.
type line struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Source   string `json:"source"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// change is what the event does to stock; good is false for a record that has to be parked.
func (e line) change() (change int64, good bool) {
	switch {
	case e.ID == "" || e.SKU == "":
		return 0, false
	case e.Kind == "stock.received" && e.Quantity > 0, e.Kind == "stock.adjusted" && e.Quantity != 0:
		return e.Quantity, true
	case e.Kind == "stock.sold" && e.Quantity > 0:
		return -e.Quantity, true
	}
	return 0, false
}

func (l *ledger) fold(value []byte) {
	var e line
	if json.Unmarshal(value, &e) != nil { // strict: names twice, broken UTF-8 and trailing garbage fail
		return
	}
	change, good := e.change()
	id := identity{e.ID, e.Source}
	if _, known := l.outcome[id]; known || !good {
		return
	}
	if l.onHand[e.SKU]+change < 0 {
		l.outcome[id] = rejected
		return
	}
	l.outcome[id] = applied
	l.onHand[e.SKU] += change
}
