package reference

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
)

// The kinds of events, as they stand on the wire; the last one only in the ledger.
const (
	Received         = "stock.received"
	Sold             = "stock.sold"
	Returned         = "stock.returned"
	Adjusted         = "stock.adjusted"
	Counted          = "stock.counted"
	Reserved         = "stock.reserved"
	Released         = "stock.released"
	Fulfilled        = "stock.fulfilled"
	Transferred      = "stock.transferred"
	TransferReceived = "stock.transfer_received"
	Defined          = "sku.defined"
	Expired          = "stock.expired"
)

const mainLocation = "main"

// wire is an event as it is sent. What is not there is nil or empty.
type wire struct {
	ID          string      `json:"id"`
	Kind        string      `json:"kind"`
	Source      string      `json:"source"`
	Tenant      string      `json:"tenant"`
	Time        *time.Time  `json:"time"`
	SKU         string      `json:"sku"`
	Location    string      `json:"location"`
	Quantity    *int64      `json:"quantity"`
	IfVersion   *int64      `json:"if_version"`
	Lines       []wireLine  `json:"lines"`
	Condition   string      `json:"condition"`
	CountedAt   *time.Time  `json:"counted_at"`
	Reservation string      `json:"reservation"`
	ExpiresAt   *time.Time  `json:"expires_at"`
	TTL         *int64      `json:"ttl"`
	To          string      `json:"to"`
	Transfer    string      `json:"transfer"`
	Name        string      `json:"name"`
	Unit        string      `json:"unit"`
	Backorder   string      `json:"backorder"`
	Limit       int64       `json:"backorder_limit"`
	LowStock    *int64      `json:"low_stock"`
	Bundle      []wireParts `json:"bundle"`
}

type wireLine struct {
	SKU       string `json:"sku"`
	Location  string `json:"location"`
	Quantity  int64  `json:"quantity"`
	IfVersion *int64 `json:"if_version"`
}

type wireParts struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// event is what a record asks for.
type event struct {
	Identity
	wire
	lines []line // in order, each SKU and location once
}

type line struct {
	item
	quantity  *big.Int
	ifVersion *int64
}

// item is a SKU at a location.
type item struct{ sku, location string }

func (i item) compare(other item) int {
	return cmp.Or(strings.Compare(i.sku, other.sku), strings.Compare(i.location, other.location))
}

// read reads a record's value. Of what is wrong with the form of an event it knows only what depends on several of its
// fields or lines; the rest is an error, and the business of the decoder's own tests.
func read(value []byte) (e event, park string, err error) {
	if err := json.Unmarshal(value, &e.wire); err != nil {
		return event{}, "", fmt.Errorf("read event: %w", err)
	}
	e.Identity = Identity{e.wire.Tenant, e.wire.ID, e.wire.Source}
	if e.ExpiresAt != nil && e.TTL != nil {
		return e, "expires_twice", nil
	}
	if park := e.checkBundle(); park != "" {
		return e, park, nil
	}
	e.lines, park = e.added()
	if park != "" {
		return e, park, nil
	}
	if e.Kind == Transferred && slices.ContainsFunc(e.lines, func(l line) bool { return l.location == e.To }) {
		return e, "same_location", nil
	}
	return e, "", nil
}

func (e *event) checkBundle() (park string) {
	seen := map[string]bool{e.SKU: true}
	for _, p := range e.Bundle {
		if seen[p.SKU] {
			return "bad_bundle"
		}
		seen[p.SKU] = true
	}
	return ""
}

// added are the event's lines, those of one SKU and location added.
func (e *event) added() (lines []line, park string) {
	sent := e.Lines
	if e.Quantity != nil {
		sent = []wireLine{{e.SKU, e.Location, *e.Quantity, e.IfVersion}}
	}
	sums := make(map[item]line)
	for _, l := range sent {
		at := item{l.SKU, cmp.Or(l.Location, e.Location, mainLocation)}
		if e.Kind == TransferReceived {
			at.location = "" // the transfer says it
		}
		sum, ok := sums[at]
		if !ok {
			sum = line{item: at, quantity: new(big.Int)}
		}
		if sum.ifVersion != nil && l.IfVersion != nil && *sum.ifVersion != *l.IfVersion {
			return nil, "if_version_conflict"
		}
		sum.ifVersion = cmp.Or(sum.ifVersion, l.IfVersion)
		sum.quantity = plus(sum.quantity, big.NewInt(l.Quantity))
		sums[at] = sum
	}
	for _, l := range sums {
		if !l.quantity.IsInt64() {
			return nil, "quantity_out_of_range"
		}
	}
	return inOrder(sums), ""
}

func inOrder(sums map[item]line) []line {
	return slices.SortedFunc(maps.Values(sums), func(a, b line) int { return a.compare(b.item) })
}

// content is what two events of one identity must have in common to be the same one, in words.
func (e *event) content() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q %q %q %q", e.Kind, e.Reservation, e.To, e.Transfer, cmp.Or(e.Condition, "sellable"))
	for _, l := range e.lines {
		version := int64(-1)
		if l.ifVersion != nil {
			version = *l.ifVersion
		}
		fmt.Fprintf(&b, " [%q %q %s %d]", l.sku, l.location, l.quantity, version)
	}
	fmt.Fprint(&b, instant(e.CountedAt), instant(e.ExpiresAt), number(e.TTL), number(e.LowStock))
	if e.Kind == Defined {
		fmt.Fprintf(&b, " %q %q %q %q %d %v", e.SKU, e.Name, e.Unit, cmp.Or(e.Backorder, "deny"), e.Limit, e.Bundle)
	}
	return b.String()
}

func number(n *int64) string {
	if n == nil {
		return " -"
	}
	return fmt.Sprintf(" %d", *n)
}

func instant(t *time.Time) string {
	if t == nil {
		return " -"
	}
	return " " + micros(*t).String()
}

// micros is t as far as it counts.
func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
