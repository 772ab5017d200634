package verify

import "slices"

// order remembers which versions of each row of stock have been read. Versions that were passed over are remembered
// one by one until they come or the end is reached.
type order struct {
	rows  map[rowDigest]sequence
	gaps  map[rowDigest]*gaps
	spans int  // in gaps
	full  bool // gaps were left out, because there are too many
}

// sequence is what was read of one row.
type sequence struct {
	first, last int64
	began, at   *outPartition // where the first version was read, and the latest message
	moved       bool          // it changed its partition, so its order cannot be told any more

	// Of the last version. What it crossed is told behind it.
	message   int64
	available int64
	counted   bool  // ... is known
	emptied   bool  // something was available before it, and nothing is now
	told      uint8 // what was read that it crossed, a bit each
}

// gaps are the versions of a row that were passed over.
type gaps struct {
	row   stockRow
	spans []gap
}

// gap is versions [from, to) that were not read before to was.
type gap struct {
	from, to int64
	at       *outPartition
	lossy    bool // they may have been removed from the log
}

// maxGaps bounds what is remembered of a topic that is badly broken, at some 50 bytes each.
const maxGaps = 1 << 18

func newOrder() *order {
	return &order{rows: make(map[rowDigest]sequence), gaps: make(map[rowDigest]*gaps)}
}

// step is what is to be said of a message's place.
type step struct {
	last  int64         // the highest version of the row before
	again bool          // the version has been read
	late  bool          // a later one was read before it
	moved *outPartition // the partition in which the row's messages were before; nil = this one

	advanced bool     // the version is the highest now
	before   sequence // what was read of the row before
}

// take takes in that the message of version of row was read in p.
func (o *order) take(row stockRow, version int64, p *outPartition) step {
	d := row.digest()
	s, known := o.rows[d]
	if !known {
		o.rows[d] = sequence{first: version, last: version, began: p, at: p}
		return step{advanced: true}
	}
	result := step{last: s.last, before: s, advanced: version > s.last}
	changed := s.at != p && s.at.Topic != p.Topic // topics are read one after another
	if s.at != p && !changed {
		result.moved, s.moved = s.at, true
	}
	switch {
	case version > s.last:
		o.open(d, row, gap{from: s.last + 1, to: version, at: p, lossy: p.compacted || changed && p.lossy})
		s.last = version
	case version < s.first:
		o.open(d, row, gap{from: version + 1, to: s.first, at: p, lossy: s.began.lossy})
		s.first, s.began, result.late = version, p, !s.moved
	case o.close(d, version):
		result.late = !s.moved
	default:
		result.again = true
	}
	s.at = p
	o.rows[d] = s
	return result
}

func (o *order) open(d rowDigest, row stockRow, g gap) {
	if g.from >= g.to {
		return
	}
	if o.spans == maxGaps {
		o.full = true
		return
	}
	of := o.gaps[d]
	if of == nil {
		of = &gaps{row: row}
		o.gaps[d] = of
	}
	of.spans = append(of.spans, g)
	o.spans++
}

// close takes version out of the row's gaps, and reports whether it was in one.
func (o *order) close(d rowDigest, version int64) bool {
	of := o.gaps[d]
	if of == nil {
		return false
	}
	for i, g := range of.spans {
		if version < g.from || version >= g.to {
			continue
		}
		before, after := g, g
		before.to, after.from = version, version+1
		kept := slices.Delete(slices.Clone(of.spans), i, i+1)
		for _, part := range []gap{before, after} {
			if part.from < part.to {
				kept = append(kept, part)
			}
		}
		o.spans += len(kept) - len(of.spans)
		if of.spans = kept; len(kept) == 0 {
			delete(o.gaps, d)
		}
		return true
	}
	return false
}
