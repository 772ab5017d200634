package inventory

import (
	"math"
	"slices"
)

// entry is a line of an event, or a part of a bundle, as it is read.
type entry struct {
	Line
	seen  fieldSet
	at    int             // where its object starts in the record; -1 = it is the event's own
	where [lineFields]int // where its values start; only if seen
}

func (l *entry) note(f field, at int) {
	l.seen |= 1 << f
	l.where[f] = at
}

// readEntries reads the array that f has for a value. What it says is kept of the first most elements.
func (d *draft) readEntries(r *reader, f field, most int, tooMany string) ([]entry, error) {
	var es []entry
	count := 0
	at, isArray, err := r.array(func() error {
		count++
		if count > most { // read all the same: it must be JSON
			_, at, err := r.any()
			d.blameAt(at, tooMany, "")
			return err
		}
		e := entry{}
		at, isObject, err := r.object(func(name []byte) error { return d.readEntryField(r, name, &e) })
		e.at = at
		if !isObject && err == nil {
			d.blameAt(at, "wrong_type_"+f.String(), "objects are expected in it")
		}
		es = append(es, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.note(f, at)
	switch {
	case !isArray:
		d.blameAt(at, "wrong_type_"+f.String(), "an array is expected")
	case count == 0 && f == fieldLines:
		d.blameAt(at, "missing_lines", "")
	case count == 0:
		d.blameAt(at, "bad_bundle", "it is empty")
	}
	return es, nil
}

// readEntryField reads one field of e. A field of the event has no place there: who writes it means the line, and it
// would count for none.
func (d *draft) readEntryField(r *reader, name []byte, e *entry) error {
	f, known, err := d.fieldNamed(r, name)
	if err != nil {
		return err
	}
	raw, at, err := r.any()
	switch {
	case err != nil || !known:
		return err
	case f >= lineFields:
		d.blameAt(at, "field_not_allowed", f.String()+" in a line")
		return nil
	}
	e.note(f, at)
	switch f {
	case fieldQuantity:
		d.integer(f, raw, at, &e.Quantity)
	case fieldIfVersion:
		d.integer(f, raw, at, &e.IfVersion)
	default:
		s, ok := d.text(f.String(), raw, at)
		if !ok {
			return nil
		}
		if f == fieldSKU {
			d.bounded(f, s, at, maxNameBytes, &e.SKU)
		} else {
			d.bounded(f, s, at, maxNameBytes, &e.Location)
		}
	}
	return nil
}

// checkLines judges what moves, and fills in what is left out.
func (d *draft) checkLines() {
	if d.seen.has(fieldLines) {
		for i := range d.lines {
			if !d.lines[i].seen.has(fieldLocation) {
				d.lines[i].Location = d.line.Location // what is beside the lines counts for those that name none
			}
			d.checkLine(&d.lines[i])
		}
		d.addUp()
	} else if d.kind.needsLines() || d.seen&ofLine != 0 {
		d.checkLine(&d.line)
	}
}

func (d *draft) checkLine(l *entry) {
	d.requiredOf(l, fieldSKU)
	if wrong := l.seen &^ d.kind.lineFields(); wrong != 0 {
		f := wrong.first()
		d.blameAt(l.where[f], "field_not_allowed", f.String()+" with "+d.kind.String())
	}
	d.requiredOf(l, fieldQuantity)
	d.checkQuantity(l)
	if l.IfVersion < 0 {
		d.blameAt(l.where[fieldIfVersion], "if_version_negative", "")
	}
	if !l.seen.has(fieldIfVersion) {
		l.IfVersion = AnyVersion
	}
	if l.Location == "" && d.kind != TransferReceived {
		l.Location = DefaultLocation
	}
	if d.kind == Transferred && l.Location == d.to {
		at := d.at[fieldTo]
		if l.seen.has(fieldLocation) {
			at = l.where[fieldLocation]
		}
		d.blameAt(at, "same_location", "")
	}
}

func (d *draft) checkQuantity(l *entry) {
	mayBeZero := d.kind == Counted || d.kind == TransferReceived
	switch {
	case l.seen.has(fieldQuantity) && l.Quantity == 0 && !mayBeZero:
		d.blameAt(l.where[fieldQuantity], "quantity_zero", "")
	case l.Quantity < 0 && d.kind != Adjusted:
		d.blameAt(l.where[fieldQuantity], "quantity_negative", "")
	}
}

func (d *draft) requiredOf(l *entry, f field) {
	if !l.seen.has(f) {
		d.blameAt(l.at, "missing_"+f.String(), "")
	}
}

// addUp brings the lines into the order of their SKUs' and locations' bytes, and makes one of those that are of the
// same. Whether they can be added does not depend on the order in which they came.
func (d *draft) addUp() {
	slices.SortStableFunc(d.lines, func(a, b entry) int { return a.compare(b.Line) })
	sums := d.lines[:0]
	for rest := d.lines; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].compare(rest[0].Line) == 0 {
			n++
		}
		sums = append(sums, entry{Line: d.sum(rest[:n])})
		rest = rest[n:]
	}
	d.lines = sums
}

// sum adds lines of one SKU and location.
func (d *draft) sum(same []entry) Line {
	// In two halves, so that what is too large on the way may become smaller again.
	var high, low int64
	total := same[0].Line
	for _, l := range same {
		high, low = high+l.Quantity>>32, low+l.Quantity&math.MaxUint32
		if !l.seen.has(fieldIfVersion) {
			continue
		}
		if total.IfVersion != AnyVersion && total.IfVersion != l.IfVersion {
			d.blameAt(l.where[fieldIfVersion], "if_version_conflict", "")
		}
		total.IfVersion = l.IfVersion
	}
	high, low = high+low>>32, low&math.MaxUint32
	if high != int64(int32(high)) {
		d.blameAt(same[len(same)-1].where[fieldQuantity], "quantity_out_of_range", "the sum of its lines")
	}
	total.Quantity = high<<32 | low
	return total
}

// checkBundle judges the parts of a definition.
func (d *draft) checkBundle() {
	for i := range d.parts {
		p := &d.parts[i]
		d.requiredOf(p, fieldSKU)
		if wrong := p.seen &^ ofGot; wrong != 0 {
			f := wrong.first()
			d.blameAt(p.where[f], "field_not_allowed", f.String()+" in a bundle")
		}
		d.requiredOf(p, fieldQuantity)
		d.checkQuantity(p)
		if p.SKU == d.line.SKU {
			d.blameAt(p.where[fieldSKU], "bad_bundle", "it is a part of itself")
		}
	}
	slices.SortStableFunc(d.parts, func(a, b entry) int { return a.compare(b.Line) })
	for i := 1; i < len(d.parts); i++ {
		if d.parts[i].SKU == d.parts[i-1].SKU {
			d.blameAt(d.parts[i].where[fieldSKU], "bad_bundle", "the same part twice")
		}
	}
}
