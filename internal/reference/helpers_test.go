package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// at is a time of the day on which these tests play.
func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-03-01T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

// example is a short history, what becomes of its events, and what there is in the end.
type example struct {
	name  string
	steps []event1
	rows  string // "SKU location: on hand, reserved, damaged, in transit, version; ..."
}

// event1 is one event of an example: its fields without id (its place is its id, unless it says one), and what becomes
// of it: nothing said is applied, a word is the reason of a rejection. It is a second after the one before, unless a
// clock is given.
type event1 struct{ event, want, clock string }

func (x example) check(t *testing.T) {
	t.Helper()
	i, now := New(), at("12:00:00")
	for n, s := range x.steps {
		now = now.Add(time.Second)
		if s.clock != "" {
			now = at(s.clock)
		}
		o, err := i.Apply(Record{Partition{"t", 0}, now, []byte(withID(s.event, n))})
		if err != nil {
			t.Fatal(err)
		}
		if got := short(o); got != s.want {
			t.Errorf("%s is %q, want %q", s.event, got, s.want)
		}
		if err := i.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if got := i.rows(); got != x.rows {
		t.Errorf("rows\n%s, want\n%s", got, x.rows)
	}
}

func withID(event string, n int) string {
	if strings.Contains(event, `"id":`) {
		return "{" + event + "}"
	}
	return fmt.Sprintf(`{"id":"%d",%s}`, n, event)
}

// short is an outcome as examples say it.
func short(o Outcome) string {
	switch o.Verdict {
	case Applied:
		return ""
	case Rejected:
		return o.Reason
	}
	return o.String()
}

func (i *Installation) rows() string {
	var rows []string
	for _, at := range slices.SortedFunc(maps.Keys(i.Stock), Place.compare) {
		r := i.Stock[at]
		rows = append(rows, fmt.Sprintf("%s %s: %d, %d, %d, %d, %d", at.SKU, at.Location, r.OnHand, r.Reserved, r.Damaged,
			r.InTransit, r.Version))
	}
	return strings.Join(rows, "; ")
}

// The usual events of the examples.

func move(kind, sku string, quantity int64) string {
	return fmt.Sprintf(`"kind":"stock.%s","sku":%q,"quantity":%d`, kind, sku, quantity)
}

func several(kind string, lines ...string) string {
	return fmt.Sprintf(`"kind":"stock.%s","lines":[{%s}]`, kind, strings.Join(lines, "},{"))
}

func of(sku, location string, quantity int64) string {
	return fmt.Sprintf(`"sku":%q,"location":%q,"quantity":%d`, sku, location, quantity)
}

const (
	biggest     = 1<<63 - 1
	reservation = `,"reservation":"r"`
	transfer    = `,"transfer":"t"`
)
