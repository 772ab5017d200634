package inbox

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// outcome is what became of a record.
type outcome int

const (
	outcomePending outcome = iota
	outcomeFresh           // the handler's to decide: applied unless it rejects
	outcomeDuplicate
	outcomeParked
	outcomeIgnored
)

// work is one record between its claim goroutine and its commit.
type work struct {
	item    Item
	record  Record
	refusal *Refusal // what the decoder has against it; nil = it was decoded
	ignored bool

	// What this run of the batch makes of it. A run that is rolled back leaves nothing: the next one judges anew (I10).
	outcome outcome
	parked  *Refusal
}

// recordOverhead is what a queued record costs in memory beside its bytes, roughly: the structs here and the decoder's.
const recordOverhead = 512

func (w *work) bytes() int64 {
	n := len(w.record.Key) + len(w.record.Value) + recordOverhead
	for _, h := range w.record.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// decode fills w from its record. Whatever is wrong with it ends as a refusal, never as an error: the record's faults
// are its own (I8).
func (w *work) decode(d Decoder) {
	event, err := decodeSafely(d, &w.record)
	if err == nil {
		err = checkIdentity(&event)
	}
	if err == nil {
		event.Record = &w.record
		if !validTraceParent(event.TraceParent) {
			event.TraceParent = traceParent(w.record.Headers)
		}
		w.item.Event = event
		return
	}
	if errors.Is(err, ErrIgnored) {
		w.ignored = true
		return
	}
	if !errors.As(err, &w.refusal) {
		w.refusal = &Refusal{Code: "undecodable", Detail: err.Error(), Position: -1}
	}
}

// decodeSafely makes a panic an error: the record that causes it would come first again after each restart.
func decodeSafely(d Decoder, r *Record) (e Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = ParkAt("undecodable", fmt.Sprint("the decoder panicked: ", p), -1)
		}
	}()
	return d.Decode(r)
}

// maxIdentityBytes bounds each part of an identity: all three are one index entry.
const maxIdentityBytes = 255

// checkIdentity is the last line for decoders of other people: what Postgres could not store as a key is refused here,
// or one record would fail its whole batch.
func checkIdentity(e *Event) error {
	if e.ID == "" {
		return ParkAt("missing_id", "the event has no id", -1)
	}
	for _, part := range [...]string{e.Tenant, e.ID, e.Source} {
		switch {
		case len(part) > maxIdentityBytes:
			return ParkAt("identity_too_long", "tenant, id and source may have 255 bytes each", -1)
		case !utf8.ValidString(part):
			return ParkAt("invalid_utf8", "tenant, id or source is not valid UTF-8", -1)
		case strings.IndexByte(part, 0) >= 0:
			return ParkAt("nul_character", "tenant, id or source has a NUL character", -1)
		}
	}
	return nil
}

// identity is an event's key in the inbox.
type identity struct{ tenant, id, source string }

func compareIdentity(a, b *work) int {
	x, y := &a.item, &b.item
	return cmp.Or(strings.Compare(x.Tenant, y.Tenant), strings.Compare(x.ID, y.ID), strings.Compare(x.Source, y.Source))
}

func (w *work) identity() identity {
	return identity{w.item.Tenant, w.item.ID, w.item.Source}
}

// cleanText makes s fit for a text column: a detail may quote what it complains about.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
