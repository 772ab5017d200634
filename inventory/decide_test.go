package inventory

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestDecisions(t *testing.T) {
	t.Parallel()
	const (
		least    = math.MinInt64
		greatest = math.MaxInt64
	)
	deny, allow, limit5, limitMost := Policy{}, Policy{Backorder: Allow}, Policy{Limit, 5}, Policy{Limit, greatest}
	for _, tt := range []struct {
		name   string
		stock  Stock
		kind   Kind
		amount int64
		onHand int64  // after
		reason string // or why not
	}{
		{"a receipt adds", Stock{OnHand: 2, Version: 1}, Received, 3, 5, ""},
		{"a return adds", Stock{OnHand: 2, Version: 1}, Returned, 3, 5, ""},
		{"a receipt starts a row", Stock{}, Received, 3, 3, ""},
		{"a sale takes", Stock{OnHand: 5, Version: 1}, Sold, 3, 2, ""},
		{"a sale may take the last", Stock{OnHand: 3, Version: 1}, Sold, 3, 0, ""},
		{"a sale may not take more", Stock{OnHand: 3, Version: 1}, Sold, 4, 0, insufficientStock},
		{"nothing is sold from nowhere", Stock{}, Sold, 1, 0, insufficientStock},
		{"what is reserved is not sold", Stock{OnHand: 5, Reserved: 3, Version: 1}, Sold, 3, 0, insufficientStock},
		{"what is not reserved is", Stock{OnHand: 5, Reserved: 3, Version: 1}, Sold, 2, 3, ""},
		{"a backorder is sold from nowhere", Stock{Policy: allow}, Sold, 4, -4, ""},
		{"up to a limit", Stock{OnHand: 2, Version: 1, Policy: limit5}, Sold, 7, -5, ""},
		{"not beyond it", Stock{OnHand: 2, Version: 1, Policy: limit5}, Sold, 8, 0, insufficientStock},
		{"reservations count", Stock{OnHand: 2, Reserved: 1, Version: 1, Policy: limit5}, Sold, 7, 0, insufficientStock},
		{"a correction upwards", Stock{OnHand: 2, Version: 1}, Adjusted, 3, 5, ""},
		{"a correction downwards", Stock{OnHand: 5, Version: 1}, Adjusted, -5, 0, ""},
		{"not below zero", Stock{OnHand: 5, Version: 1}, Adjusted, -6, 0, belowZero},
		{"nor below the limit", Stock{OnHand: 1, Version: 1, Policy: limit5}, Adjusted, -7, 0, belowZero},
		{"to the limit", Stock{OnHand: 1, Version: 1, Policy: limit5}, Adjusted, -6, -5, ""},
		{"a correction may take what is reserved", Stock{OnHand: 5, Reserved: 4, Version: 1}, Adjusted, -5, 0, ""},
		{"a count is right", Stock{OnHand: 5, Version: 1}, Counted, 2, 2, ""},
		{"also about what is reserved", Stock{OnHand: 5, Reserved: 4, Version: 1}, Counted, 0, 0, ""},
		{"a count of what is there", Stock{OnHand: 5, Version: 1}, Counted, 5, 5, ""},
		{"a count of a backorder", Stock{OnHand: -5, Version: 1, Policy: allow}, Counted, 1, 1, ""},
		{"the most there can be", Stock{OnHand: 1, Version: 1}, Received, greatest - 1, greatest, ""},
		{"one too many", Stock{OnHand: 1, Version: 1}, Received, greatest, 0, overflow},
		{"one too many by correction", Stock{OnHand: 1, Version: 1}, Adjusted, greatest, 0, overflow},
		{"the least there can be", Stock{OnHand: -1, Version: 1, Policy: allow}, Sold, greatest, least, ""},
		{"one too few", Stock{OnHand: -2, Version: 1, Policy: allow}, Sold, greatest, 0, overflow},
		{"one too few by correction", Stock{OnHand: -1, Version: 1, Policy: allow}, Adjusted, least, 0, overflow},
		{"that is below any limit", Stock{OnHand: -2, Version: 1, Policy: limitMost}, Sold, greatest, 0, insufficientStock},
		{"by correction as well", Stock{OnHand: -1, Version: 1, Policy: limitMost}, Adjusted, least, 0, belowZero},
		{"by correction as well", Stock{OnHand: 1, Reserved: 2, Version: 1, Policy: limitMost}, Adjusted, least, 0, overflow},
		{"available must fit", Stock{OnHand: least + 2, Reserved: 1, Version: 1, Policy: allow}, Sold, 2, 0, overflow},
		{"and may just fit", Stock{OnHand: least + 2, Reserved: 1, Version: 1, Policy: allow}, Sold, 1, least + 1, ""},
		{"the delta of a count must fit", Stock{OnHand: -2, Version: 1, Policy: allow}, Counted, greatest - 1, 0, overflow},
		{"and may just fit too", Stock{OnHand: -2, Version: 1, Policy: allow}, Counted, greatest - 2, greatest - 2, ""},
		{"the last version", Stock{OnHand: 1, Version: greatest - 1}, Sold, 1, 0, ""},
		{"there is no version after it", Stock{OnHand: 1, Version: greatest}, Sold, 1, 0, overflow},
	} {
		m := Move{Act: acts[tt.kind], Quantity: tt.amount, IfVersion: AnyVersion}
		want := tt.stock
		if tt.stock.Policy == deny && tt.onHand < 0 {
			t.Fatalf("%s: the table is wrong", tt.name)
		}
		if tt.reason == "" {
			want.OnHand, want.Version = tt.onHand, tt.stock.Version+1
		}
		if got, reason := Decide(tt.stock, m); got != want || reason != tt.reason {
			t.Errorf("%s: got %+v, %q, want %+v, %q", tt.name, got, reason, want, tt.reason)
		}
	}
}

// defined is a definition of one SKU.
func defined(p Policy) Event {
	return Event{Kind: Defined, Definition: &Definition{SKU: "S", Policy: p}}
}

func TestDecisionsBesideWhatIsOnHand(t *testing.T) {
	t.Parallel()
	const greatest = math.MaxInt64
	allow, limit5 := Policy{Backorder: Allow}, Policy{Limit, 5}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	before, after := noon.Add(-time.Hour), noon.Add(time.Hour)
	for _, tt := range []struct {
		name   string
		stock  Stock
		move   Move
		want   Stock  // but for its version and policy
		reason string // or why not
	}{
		{
			"damaged goods come back",
			Stock{OnHand: 2, Damaged: 1},
			Move{Act: Return, Quantity: 3, Damaged: true},
			Stock{OnHand: 2, Damaged: 4},
			"",
		},
		{"and are written off", Stock{Damaged: 3}, Move{Act: Adjust, Quantity: -3, Damaged: true}, Stock{}, ""},
		{
			"not more than there are",
			Stock{OnHand: 9, Damaged: 3},
			Move{Act: Adjust, Quantity: -4, Damaged: true},
			Stock{},
			belowZero,
		},
		{
			"whatever may be sold",
			Stock{Damaged: 3, Policy: allow},
			Move{Act: Adjust, Quantity: -4, Damaged: true},
			Stock{},
			belowZero,
		},
		{
			"and counted",
			Stock{OnHand: 2, Damaged: 3},
			Move{Act: Count, Quantity: 5, Damaged: true},
			Stock{OnHand: 2, Damaged: 5},
			"",
		},
		{
			"too many damaged",
			Stock{Damaged: 1},
			Move{Act: Return, Quantity: greatest, Damaged: true},
			Stock{},
			overflow,
		},
		{
			"damaged goods are not sold",
			Stock{Damaged: 3},
			Move{Act: Sell, Quantity: 1},
			Stock{},
			insufficientStock,
		},
		{
			"a promise",
			Stock{OnHand: 5, Reserved: 1},
			Move{Act: Reserve, Quantity: 4},
			Stock{OnHand: 5, Reserved: 5},
			"",
		},
		{
			"not of what is promised",
			Stock{OnHand: 5, Reserved: 2},
			Move{Act: Reserve, Quantity: 4},
			Stock{},
			insufficientStock,
		},
		{
			"but of a backorder",
			Stock{Reserved: 2, Policy: limit5},
			Move{Act: Reserve, Quantity: 3},
			Stock{Reserved: 5},
			"",
		},
		{
			"up to its limit",
			Stock{Reserved: 2, Policy: limit5},
			Move{Act: Reserve, Quantity: 4},
			Stock{},
			insufficientStock,
		},
		{
			"more promises than fit",
			Stock{OnHand: 9, Reserved: 1, Policy: allow},
			Move{Act: Reserve, Quantity: greatest},
			Stock{},
			overflow,
		},
		{
			"nor than fit, though the limit allows them",
			Stock{OnHand: 9, Reserved: 1, Policy: Policy{Limit, greatest}},
			Move{Act: Reserve, Quantity: greatest},
			Stock{},
			overflow,
		},
		{
			"a promise ends",
			Stock{OnHand: 5, Reserved: 3},
			Move{Act: Release, Quantity: 2},
			Stock{OnHand: 5, Reserved: 1},
			"",
		},
		{
			"a promise is kept",
			Stock{OnHand: 5, Reserved: 3},
			Move{Act: Fulfil, Quantity: 2},
			Stock{OnHand: 3, Reserved: 1},
			"",
		},
		{
			"also if a count came between",
			Stock{OnHand: 2, Reserved: 3},
			Move{Act: Fulfil, Quantity: 2},
			Stock{Reserved: 1},
			"",
		},
		{
			"not with what is not there",
			Stock{OnHand: 2, Reserved: 3},
			Move{Act: Fulfil, Quantity: 3},
			Stock{},
			insufficientStock,
		},
		{
			"but with a backorder",
			Stock{Reserved: 3, Policy: limit5},
			Move{Act: Fulfil, Quantity: 3},
			Stock{OnHand: -3},
			"",
		},
		{
			"goods leave for elsewhere",
			Stock{OnHand: 5, Reserved: 1},
			Move{Act: Leave, Quantity: 4},
			Stock{OnHand: 1, Reserved: 1},
			"",
		},
		{
			"not those that are promised",
			Stock{OnHand: 5, Reserved: 2},
			Move{Act: Leave, Quantity: 4},
			Stock{},
			insufficientStock,
		},
		{
			"they are on the way",
			Stock{OnHand: 1, InTransit: 1},
			Move{Act: Dispatch, Quantity: 4},
			Stock{OnHand: 1, InTransit: 5},
			"",
		},
		{
			"and arrive, but for one",
			Stock{OnHand: 1, InTransit: 5},
			Move{Act: Arrive, Quantity: 3, Sent: 4},
			Stock{OnHand: 4, InTransit: 1},
			"",
		},
		{"or at once", Stock{OnHand: 1}, Move{Act: Arrive, Quantity: 3}, Stock{OnHand: 4}, ""},
		{
			"too many on the way",
			Stock{InTransit: 1},
			Move{Act: Dispatch, Quantity: greatest},
			Stock{},
			overflow,
		},
		{
			"when it moved",
			Stock{MovedAt: before},
			Move{Act: Receive, Quantity: 1, At: noon},
			Stock{OnHand: 1, MovedAt: noon},
			"",
		},
		{
			"the latest counts",
			Stock{MovedAt: after},
			Move{Act: Receive, Quantity: 1, At: noon},
			Stock{OnHand: 1, MovedAt: after},
			"",
		},
		{
			"a promise moves nothing",
			Stock{OnHand: 1, MovedAt: before},
			Move{Act: Reserve, Quantity: 1, At: noon},
			Stock{OnHand: 1, Reserved: 1, MovedAt: before},
			"",
		},
		{
			"nor do goods on the way",
			Stock{MovedAt: before},
			Move{Act: Dispatch, Quantity: 1, At: noon},
			Stock{InTransit: 1, MovedAt: before},
			"",
		},
		{
			"a count of the same is news",
			Stock{OnHand: 1, MovedAt: before},
			Move{Act: Count, Quantity: 1, At: noon},
			Stock{OnHand: 1, MovedAt: noon},
			"",
		},
		{
			"a count of then is none of now",
			Stock{OnHand: 1, MovedAt: noon},
			Move{Act: Count, Quantity: 5, CountedAt: before, At: before},
			Stock{},
			countOutdated,
		},
		{
			"but one of the very moment is",
			Stock{OnHand: 1, MovedAt: noon},
			Move{Act: Count, Quantity: 5, CountedAt: noon, At: noon},
			Stock{OnHand: 5, MovedAt: noon},
			"",
		},
	} {
		tt.stock.Version, tt.move.IfVersion = 1, AnyVersion
		want := tt.stock
		if tt.reason == "" {
			want = tt.want
			want.Version, want.Policy = 2, tt.stock.Policy
		}
		if got, reason := Decide(tt.stock, tt.move); got != want || reason != tt.reason {
			t.Errorf("%s: got %+v, %q, want %+v, %q", tt.name, got, reason, want, tt.reason)
		}
	}
}

func TestIfVersionIsTheVersionOfTheRow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ifVersion, version int64
		reason             string
	}{
		{AnyVersion, 7, ""},
		{7, 7, ""},
		{6, 7, versionMismatch},
		{8, 7, versionMismatch},
		{0, 7, versionMismatch},
		{0, 0, ""},
		{1, 0, versionMismatch},
	} {
		m := Move{Act: Receive, Quantity: 1, IfVersion: tt.ifVersion}
		if _, reason := Decide(Stock{Version: tt.version}, m); reason != tt.reason {
			t.Errorf("if_version %d of a row at %d: %q, want %q", tt.ifVersion, tt.version, reason, tt.reason)
		}
	}
}

func TestAPolicyMustSuitTheStockThatIsThere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		onHand int64
		policy Policy
		reason string
	}{
		{0, Policy{}, ""},
		{-1, Policy{}, policyConflict},
		{-1, Policy{Backorder: Allow}, ""},
		{-3, Policy{Limit, 3}, ""},
		{-4, Policy{Limit, 3}, policyConflict},
		{0, Policy{Limit, 0}, ""},
		{-math.MaxInt64, Policy{Limit, math.MaxInt64}, ""},
		{math.MinInt64, Policy{Limit, math.MaxInt64}, policyConflict},
	} {
		if reason := DecidePolicy(Stock{OnHand: tt.onHand, Version: 1}, tt.policy); reason != tt.reason {
			t.Errorf("%d under %+v: %q, want %q", tt.onHand, tt.policy, reason, tt.reason)
		}
	}
}

func TestAnEventOnARowThatIsNotLoadedIsAnError(t *testing.T) {
	t.Parallel()
	var f fold
	f.reset()
	for _, o := range []occurrence{moves(Received, "S", "main", 1), defines("S", Policy{})} {
		if _, _, err := f.apply(o); err == nil {
			t.Errorf("%s: no error", o.id)
		}
	}
}

func TestOnlyWhatAnEventAsksForIsInItsFingerprint(t *testing.T) {
	t.Parallel()
	base := func() *Event { return &Event{Kind: Sold, Lines: []Line{{"S", "main", 3, AnyVersion}}} }
	seen := map[int64]string{fingerprint(base()): "the event"}
	for name, change := range map[string]func(e *Event){
		"another kind":           func(e *Event) { e.Kind = Received },
		"another SKU":            func(e *Event) { e.Lines[0].SKU = "T" },
		"another location":       func(e *Event) { e.Lines[0].Location = "north" },
		"another quantity":       func(e *Event) { e.Lines[0].Quantity = 4 },
		"the opposite":           func(e *Event) { e.Lines[0].Quantity = -3 },
		"an if_version":          func(e *Event) { e.Lines[0].IfVersion = 0 },
		"the SKU's end moved on": func(e *Event) { e.Lines[0].SKU, e.Lines[0].Location = "Sm", "ain" },
		"a definition":           func(e *Event) { *e = Event{Kind: Defined, Definition: &Definition{SKU: "S"}} },
		"its policy": func(e *Event) {
			*e = Event{Kind: Defined, Definition: &Definition{SKU: "S", Policy: Policy{Backorder: Allow}}}
		},
		"its limit":          func(e *Event) { *e = defined(Policy{Limit, 0}) },
		"its limit's height": func(e *Event) { *e = defined(Policy{Limit, 1}) },
	} {
		e := base()
		change(e)
		if other, taken := seen[fingerprint(e)]; taken {
			t.Errorf("%s and %s have one fingerprint", name, other)
		}
		seen[fingerprint(e)] = name
	}
}

// What is stored in an inbox today must be found again by tomorrow's binary.
func TestFingerprintsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		e    Event
		want string
	}{
		{Event{Kind: Sold, Lines: []Line{{"SKU-1", "main", 3, AnyVersion}}}, "01e6673f4929110f"},
		{Event{Kind: Defined, Definition: &Definition{SKU: "SKU-1", Policy: Policy{Limit, 5}}}, "01488e364f7cb132"},
	} {
		if got := fmt.Sprintf("%016x", fingerprint(&tt.e)); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.e, got, tt.want)
		}
	}
}
