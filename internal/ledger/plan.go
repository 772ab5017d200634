package ledger

import "fmt"

// Key names a row of stock.
type Key struct {
	Tenant   string `db:"tenant" json:"tenant"`
	SKU      string `db:"sku" json:"sku"`
	Location string `db:"location" json:"location"`
}

// Broken is a row of stock whose ledger does not add up. Archiving it would bury what is wrong.
type Broken struct {
	Key
	// Version is the first movement that does not follow from what is before it.
	Version int64  `json:"version"`
	Why     string `json:"why"`
}

// line is a movement that is old enough, or a row of stock without one (the version is null then).
type line struct {
	Key
	Version *int64 `db:"version"`
	Delta   int64  `db:"delta"`
	OnHand  int64  `db:"on_hand"`
	Opening bool   `db:"opening"`
}

// cut is the part of a row's ledger that becomes one opening balance: versions first to last.
type cut struct {
	Key
	first, last int64
	opening     bool // first is an opening balance
}

// movements is how many rows of the ledger are archived; an opening balance is none.
func (c cut) movements() int64 {
	n := c.last - c.first + 1
	if c.opening {
		n--
	}
	return n
}

// plan is what one transaction does.
type plan struct {
	cuts   []cut
	broken []Broken
	keys   int64 // rows of stock that are done with
	last   *Key  // the last of them; nil = none
}

// decide makes a plan of lines, in the order of key and version. If they are cut off by a limit, the last row of stock
// may have more to archive: it is not done with, and comes first the next time.
func decide(lines []line, cutOff bool) plan {
	var p plan
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && lines[n].Key == lines[0].Key {
			n++
		}
		row := lines[:n]
		lines = lines[n:]
		wrong := p.add(row)
		if more := cutOff && len(lines) == 0 && row[0].Version != nil && !wrong; !more {
			p.keys++
			p.last = &row[0].Key
		}
	}
	return p
}

// add decides about one row of stock, and says whether its ledger is broken.
func (p *plan) add(row []line) (broken bool) {
	if row[0].Version == nil {
		return false
	}
	for i := range row {
		var before *line
		if i > 0 {
			before = &row[i-1]
		}
		if why := row[i].wrong(before); why != "" {
			p.broken = append(p.broken, Broken{row[i].Key, *row[i].Version, why})
			return true
		}
	}
	if len(row) > 1 { // one row in place of one would free nothing
		p.cuts = append(p.cuts, cut{row[0].Key, *row[0].Version, *row[len(row)-1].Version, row[0].Opening})
	}
	return false
}

// wrong says what does not fit; empty if all does. A row's ledger begins with version 1 or an opening balance.
func (l *line) wrong(before *line) string {
	var version, onHand int64
	switch {
	case before != nil && l.Opening:
		return "an opening balance amid movements"
	case before != nil:
		version, onHand = *before.Version, before.OnHand
	case l.Opening:
		version = *l.Version - 1
	}
	switch {
	case *l.Version != version+1:
		return fmt.Sprintf("version %d does not follow version %d", *l.Version, version)
	case !adds(onHand, l.Delta, l.OnHand):
		return fmt.Sprintf("%d on hand and a delta of %d do not make %d", onHand, l.Delta, l.OnHand)
	}
	return ""
}

// adds says whether before + delta = after, in numbers without an end.
func adds(before, delta, after int64) bool {
	return after-before == delta && (delta >= 0) == (after >= before)
}
