package inventory

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"onhand/inbox"
)

// Bounds on texts, in bytes.
const (
	maxNameBytes   = 255 // ids and names, which are parts of keys in the database
	maxUnitBytes   = 32
	maxReasonBytes = 1024
)

// draft collects what the record's fields say, before anything is made of it.
type draft struct {
	hinted                    map[skuKey][]string
	usual                     int // lines of a reservation
	id, source, tenant        string
	kind                      Kind
	kindName                  string // if it is none that is known
	time, countedAt           time.Time
	condition                 Condition
	reservation, to, transfer string
	expiresAt                 time.Time
	ttl                       int64
	name, unit                string
	backorder                 Backorder
	backorderLimit, lowStock  int64
	line                      entry   // the fields of one line, outside of lines
	lines, parts              []entry // of lines and bundle

	envelope    *envelope // of a CloudEvent; nil = it is the short form
	traceParent string    // of a CloudEvent

	seen fieldSet
	at   [fields]int // where the value starts in the record, -1 = not in its value; only if seen

	// fault is the first thing wrong with a field. It is not the last word: a kind that is not ours comes before it,
	// because such a record's other fields may mean anything.
	fault error
}

// readField reads one field of the event.
func (d *draft) readField(r *reader, name []byte) error {
	f, known, err := d.fieldNamed(r, name)
	if err != nil {
		return err
	}
	return d.readValue(r, f, known)
}

// readValue reads the value of f, or of a field that is not known.
func (d *draft) readValue(r *reader, f field, known bool) (err error) {
	switch {
	case known && f == fieldLines:
		d.lines, err = d.readEntries(r, f, maxLines, "too_many_lines")
		return err
	case known && f == fieldBundle:
		d.parts, err = d.readEntries(r, f, maxParts, "bad_bundle")
		return err
	}
	raw, at, err := r.any()
	if err == nil && known {
		d.set(f, raw, at)
	}
	return err
}

// set notes field f, whose value is raw and starts at byte at.
func (d *draft) set(f field, raw []byte, at int) {
	d.note(f, at)
	if f.isNumber() {
		d.setInteger(f, raw, at)
	} else if s, ok := d.text(f.String(), raw, at); ok {
		d.setText(f, s, at)
	}
}

// note notes that f is there, and where.
func (d *draft) note(f field, at int) {
	d.seen |= 1 << f
	d.at[f] = at
	if f < lineFields {
		d.line.note(f, at)
	}
}

// setInteger notes a field that is an integer.
func (d *draft) setInteger(f field, raw []byte, at int) {
	switch f {
	case fieldQuantity:
		d.integer(f, raw, at, &d.line.Quantity)
	case fieldIfVersion:
		d.integer(f, raw, at, &d.line.IfVersion)
	case fieldTTL:
		if d.integer(f, raw, at, &d.ttl) && (d.ttl < 1 || d.ttl > maxDeadline) {
			d.blameAt(at, "ttl_out_of_range", strconv.FormatInt(d.ttl, 10))
		}
	case fieldBackorderLimit:
		d.integer(f, raw, at, &d.backorderLimit)
	case fieldLowStock:
		d.integer(f, raw, at, &d.lowStock)
	}
}

// setText notes a field that is a text. s may alias the record.
func (d *draft) setText(f field, s []byte, at int) {
	switch f {
	case fieldID:
		d.bounded(f, s, at, maxNameBytes, &d.id)
	case fieldSource:
		d.bounded(f, s, at, maxNameBytes, &d.source)
	case fieldTenant:
		d.bounded(f, s, at, maxNameBytes, &d.tenant)
	case fieldSKU:
		d.bounded(f, s, at, maxNameBytes, &d.line.SKU)
	case fieldLocation:
		d.bounded(f, s, at, maxNameBytes, &d.line.Location)
	case fieldReservation:
		d.bounded(f, s, at, maxNameBytes, &d.reservation)
	case fieldTo:
		d.bounded(f, s, at, maxNameBytes, &d.to)
	case fieldTransfer:
		d.bounded(f, s, at, maxNameBytes, &d.transfer)
	case fieldName:
		d.bounded(f, s, at, maxNameBytes, &d.name)
	case fieldUnit:
		d.bounded(f, s, at, maxUnitBytes, &d.unit)
	case fieldReason:
		if len(s) > maxReasonBytes {
			d.blameAt(at, "reason_too_long", strconv.Itoa(len(s))+" bytes")
		}
	case fieldTime:
		d.setTime(f, s, at, &d.time)
	case fieldCountedAt:
		d.setTime(f, s, at, &d.countedAt)
	case fieldExpiresAt:
		d.setTime(f, s, at, &d.expiresAt)
	default:
		d.setWord(f, s, at)
	}
}

// setWord notes a field that is one of a few words.
func (d *draft) setWord(f field, s []byte, at int) {
	known := true
	switch f {
	case fieldKind:
		if d.kind, known = kindNamed(s); !known {
			d.kindName = quoted(string(s))
			return
		}
	case fieldCondition:
		d.condition, known = conditionNamed(s)
	case fieldBackorder:
		d.backorder, known = backorderNamed(s)
	}
	if !known {
		d.blameAt(at, "unknown_"+f.String(), quoted(string(s)))
	}
}

// fieldNamed returns the field that a member's name, with its quotes, stands for, and blames one that is misspelt.
func (d *draft) fieldNamed(r *reader, name []byte) (field, bool, error) {
	if f, known := fieldQuoted(name); known {
		return f, true, nil
	}
	at := r.offset() - len(name)
	plain, escaped, err := r.unquote(name)
	if err != nil {
		return 0, false, err
	}
	if escaped {
		if f, known := fieldQuoted([]byte(`"` + plain + `"`)); known {
			return f, true, nil
		}
	}
	if meant, ok := fieldMeant(plain); ok {
		d.blameAt(at, "misspelt_field", quoted(plain)+" for "+meant.String())
	}
	return 0, false, nil
}

// blame notes what is wrong with f, unless something before it was.
func (d *draft) blame(f field, code, detail string) {
	d.blameAt(d.at[f], code, detail)
}

func (d *draft) blameAt(at int, code, detail string) {
	if d.fault == nil {
		d.fault = inbox.ParkAt(code, detail, at)
	}
}

// text reads the string that name has for a value, and says whether it is one that can be used. What it returns may
// alias the record.
func (d *draft) text(name string, raw []byte, at int) ([]byte, bool) {
	if raw[0] != '"' {
		d.blameAt(at, "wrong_type_"+name, "a string is expected")
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil { // cannot be: the reader has seen it
		d.blameAt(at, "not_json", "")
		return nil, false
	}
	// Postgres has no NUL in texts. It can only come from an escape: a bare one is not JSON.
	if bytes.IndexByte(b, 0) >= 0 {
		d.blameAt(at, "nul_character", "in "+name)
		return nil, false
	}
	return b, true
}

// bounded copies a text that has 1 to most bytes.
func (d *draft) bounded(f field, s []byte, at, most int, to *string) {
	switch {
	case len(s) == 0:
		d.blameAt(at, "empty_"+f.String(), "")
	case len(s) > most:
		d.blameAt(at, f.String()+"_too_long", strconv.Itoa(len(s))+" bytes")
	case string(s) == DefaultLocation:
		*to = DefaultLocation // the usual one, without a copy
	default:
		*to = string(s)
	}
}

func (d *draft) setTime(f field, s []byte, at int, to *time.Time) {
	t, ok := rfc3339(string(s))
	if !ok || t.IsZero() && f != fieldTime { // the first moment of the year 1 stands for none
		d.blameAt(at, "bad_"+f.String(), quoted(string(s)))
		return
	}
	*to = t
}

// rfc3339 reads a date and time. time.Parse also takes an hour of one digit, a comma before the fraction, and offsets
// of more than a day.
func rfc3339(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || s[len("2006-01-02T15")] != ':' || strings.Contains(s, ",") {
		return time.Time{}, false
	}
	_, offset := t.Zone()
	return t, -24*3600 < offset && offset < 24*3600 && (s[len(s)-1] == 'Z' || s[len(s)-len("00")] < '6')
}

// integer reads a number that is written as an integer: 3.0 and 1e2 are not, because whoever writes them computes with
// floating point, and that loses units beyond 2^53.
func (d *draft) integer(f field, raw []byte, at int, to *int64) bool {
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		d.blameAt(at, "wrong_type_"+f.String(), "a number is expected")
		return false
	}
	if bytes.ContainsAny(raw, ".eE") {
		d.blameAt(at, f.String()+"_not_integer", quoted(string(raw)))
		return false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		d.blameAt(at, f.String()+"_out_of_range", quoted(string(raw)))
		return false
	}
	*to = n
	return true
}

// quoted is s for a person to read: printable ASCII, and not too much of it.
func quoted(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:most], "")) + "..."
	}
	return strconv.QuoteToASCII(s)
}
