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
	maxReasonBytes = 1024
)

// draft collects what the record's fields say, before anything is made of it.
type draft struct {
	id, source, tenant, sku, location string
	kind                              Kind
	kindName                          string // if it is none that is known
	time                              time.Time
	quantity, ifVersion, limit        int64
	backorder                         Backorder

	seen [fields]bool
	at   [fields]int // where the value starts; only if seen

	// fault is the first thing wrong with a field. It is not the last word: a kind that is not ours comes before it,
	// because such a record's other fields may mean anything.
	fault error
}

// set notes field f, whose value is raw and starts at byte at.
func (d *draft) set(f field, raw []byte, at int) {
	d.seen[f], d.at[f] = true, at
	switch f {
	case fieldID:
		d.name(f, raw, &d.id)
	case fieldSource:
		d.name(f, raw, &d.source)
	case fieldTenant:
		d.name(f, raw, &d.tenant)
	case fieldSKU:
		d.name(f, raw, &d.sku)
	case fieldLocation:
		d.name(f, raw, &d.location)
	case fieldKind:
		d.setKind(raw)
	case fieldReason:
		d.setReason(raw)
	case fieldTime:
		d.setTime(raw)
	case fieldQuantity:
		d.integer(f, raw, &d.quantity)
	case fieldIfVersion:
		d.integer(f, raw, &d.ifVersion)
	case fieldBackorderLimit:
		d.integer(f, raw, &d.limit)
	case fieldBackorder:
		d.setBackorder(raw)
	case fieldLines:
		d.blame(f, "lines_not_supported", "")
	}
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

// text reads a string and says whether it is one that can be used. What it returns may alias the record.
func (d *draft) text(f field, raw []byte) ([]byte, bool) {
	if raw[0] != '"' {
		d.blame(f, "wrong_type_"+f.String(), "a string is expected")
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil { // cannot be: the reader has seen it
		d.blame(f, "not_json", "")
		return nil, false
	}
	// Postgres has no NUL in texts. It can only come from an escape: a bare one is not JSON.
	if bytes.IndexByte(b, 0) >= 0 {
		d.blame(f, "nul_character", "in "+f.String())
		return nil, false
	}
	return b, true
}

// name reads a string that names something.
func (d *draft) name(f field, raw []byte, to *string) {
	s, ok := d.text(f, raw)
	switch {
	case !ok:
	case len(s) == 0:
		d.blame(f, "empty_"+f.String(), "")
	case len(s) > maxNameBytes:
		d.blame(f, f.String()+"_too_long", strconv.Itoa(len(s))+" bytes")
	case string(s) == DefaultLocation:
		*to = DefaultLocation // the usual one, without a copy
	default:
		*to = string(s)
	}
}

func (d *draft) setKind(raw []byte) {
	name, ok := d.text(fieldKind, raw)
	if !ok {
		return
	}
	if d.kind, ok = kindNamed(name); !ok {
		d.kindName = quoted(string(name))
	}
}

func (d *draft) setReason(raw []byte) {
	if s, ok := d.text(fieldReason, raw); ok && len(s) > maxReasonBytes {
		d.blame(fieldReason, "reason_too_long", strconv.Itoa(len(s))+" bytes")
	}
}

func (d *draft) setTime(raw []byte) {
	s, ok := d.text(fieldTime, raw)
	if !ok {
		return
	}
	if d.time, ok = rfc3339(string(s)); !ok {
		d.blame(fieldTime, "bad_time", quoted(string(s)))
	}
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

func (d *draft) setBackorder(raw []byte) {
	s, ok := d.text(fieldBackorder, raw)
	if !ok {
		return
	}
	if d.backorder, ok = backorderNamed(s); !ok {
		d.blame(fieldBackorder, "unknown_backorder", quoted(string(s)))
	}
}

// integer reads a number that is written as an integer: 3.0 and 1e2 are not, because whoever writes them computes with
// floating point, and that loses units beyond 2^53.
func (d *draft) integer(f field, raw []byte, to *int64) {
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		d.blame(f, "wrong_type_"+f.String(), "a number is expected")
		return
	}
	if bytes.ContainsAny(raw, ".eE") {
		d.blame(f, f.String()+"_not_integer", quoted(string(raw)))
		return
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		d.blame(f, f.String()+"_out_of_range", quoted(string(raw)))
		return
	}
	*to = n
}

// quoted is s for a person to read: printable ASCII, and not too much of it.
func quoted(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:most], "")) + "..."
	}
	return strconv.QuoteToASCII(s)
}
