package reference

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Features are the kinds and fields that a history may use.
type Features struct {
	Kinds []string // one that stands here twice comes twice as often

	Lines      bool // several lines in an event
	Conditions bool // damaged goods
	CountedAt  bool
	Deadlines  bool // reservations that lapse
	Details    bool // of a definition: name, unit, low_stock
	Bundles    bool
}

// Core are the features without which there is no stock.
func Core() Features {
	return Features{Kinds: []string{Received, Sold, Returned, Adjusted, Counted, Defined}}
}

// Everything are all features.
func Everything() Features {
	return Features{
		Kinds: []string{
			Received, Received, Sold, Reserved, Reserved, Fulfilled, Released, Adjusted, Counted, Returned, Transferred,
			TransferReceived, Defined,
		},
		Lines: true, Conditions: true, CountedAt: true, Deadlines: true, Details: true, Bundles: true,
	}
}

// Choose answers with a number from 0 to n-1; the lower ones are the plainer ones.
type Choose func(n int) int

// Story says what History tells.
type Story struct {
	Features
	Tenants    []string
	Partitions []Partition
	Start      time.Time // of the log
	Records    int
}

// History makes records that have much to do with each other: few SKUs and locations, ids that come again, and
// quantities on both sides of what is there, which it knows from an Installation of its own.
func (s Story) History(choose Choose) []Record {
	t := &teller{Story: s, choose: choose, now: s.Start, world: New()}
	t.vast = t.oneIn(5)
	for range s.Records {
		t.tell()
	}
	return t.records
}

// teller makes one record after another.
type teller struct {
	Story
	choose  Choose
	now     time.Time
	world   *Installation
	vast    bool   // quantities close to what 64 bits hold, and most of them of one SKU
	tenant  string // of the event in the making
	records []Record
	told    []fields // the events of records
}

// fields are an event's, as they are going to be written.
type fields map[string]any

func (f fields) text(name string) string {
	s, _ := f[name].(string)
	return s
}

// oneIn is true so often, and false where choices are plain.
func (t *teller) oneIn(n int) bool { return t.choose(n) == n-1 }

func pick[T any](t *teller, from ...T) T { return from[t.choose(len(from))] }

func (t *teller) tell() {
	t.now = t.now.Add(pick(t, 0, time.Second, time.Millisecond, 7*time.Second, time.Minute, -2*time.Second))
	e := t.again()
	if e == nil {
		e = t.fresh()
	}
	value, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and integers
	}
	r := Record{Partition: pick(t, t.Partitions...), Timestamp: t.now, Value: value}
	if _, err := t.world.Apply(r); err != nil {
		panic(err) // the teller and the reader do not know the same fields
	}
	t.records, t.told = append(t.records, r), append(t.told, e)
}

// again makes an event of one before: the same, the same in other words, or another one under its id.
func (t *teller) again() fields {
	if len(t.told) == 0 || !t.oneIn(8) {
		return nil
	}
	e := maps.Clone(t.told[t.choose(len(t.told))])
	switch t.choose(3) {
	case 1:
		t.reword(e)
	case 2:
		t.tenant = e.text("tenant")
		other := t.fresh()
		for _, f := range []string{"id", "source", "tenant"} {
			delete(other, f)
			if v, ok := e[f]; ok {
				other[f] = v
			}
		}
		return other
	}
	return e
}

// reword changes what does not count.
func (t *teller) reword(e fields) {
	e["time"] = stamp(t.now.Add(-time.Hour))
	e["reason"] = "said again"
	if e["kind"] == Defined || !t.Lines {
		return
	}
	if lines, ok := e["lines"].([]fields); ok {
		lines = slices.Clone(lines)
		slices.Reverse(lines)
		e["lines"] = lines
		return
	}
	l := fields{}
	for _, f := range []string{"sku", "quantity", "if_version"} {
		if v, ok := e[f]; ok {
			l[f] = v
			delete(e, f)
		}
	}
	if len(l) > 0 {
		e["lines"] = []fields{l}
	}
}

func (t *teller) fresh() fields {
	if t.tenant == "" || len(t.Tenants) > 1 {
		t.tenant = pick(t, t.Tenants...)
	}
	e := fields{"id": fmt.Sprintf("e%d", len(t.records)), "kind": pick(t, t.Kinds...)}
	if t.tenant != "" {
		e["tenant"] = t.tenant
	}
	if t.oneIn(4) {
		e["source"] = "shop"
	}
	if t.oneIn(3) {
		e["time"] = stamp(t.now.Add(pick(t, 0, -time.Second, -time.Hour, time.Hour)))
	}
	t.fill(e)
	return e
}

func (t *teller) fill(e fields) {
	switch kind := e.text("kind"); kind {
	case Defined:
		t.definition(e)
	case Released, Fulfilled:
		t.ending(e)
	case Reserved:
		t.promise(e)
	case TransferReceived:
		t.arrival(e)
	case Transferred:
		t.departure(e)
	default:
		t.lines(e, func() int64 { return t.quantity(kind) })
		if t.Conditions && (kind == Returned || kind == Adjusted || kind == Counted) && t.oneIn(3) {
			e["condition"] = pick(t, "damaged", "sellable")
		}
		if t.CountedAt && kind == Counted && t.oneIn(2) {
			at := t.now.Add(pick(t, 0, -time.Millisecond, -time.Second, -8*time.Second, -time.Hour, time.Minute,
				-1500*time.Nanosecond))
			e["counted_at"] = stamp(at)
		}
	}
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
