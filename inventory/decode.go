package inventory

import (
	"cmp"
	"sync"

	"onhand/inbox"
)

// DefaultMaxRecordBytes is the largest value that is decoded if the configuration does not say.
const DefaultMaxRecordBytes = 1 << 20

// DecoderConfig is what an operator may set.
type DecoderConfig struct {
	// MaxRecordBytes is the largest value that is decoded; 0 = DefaultMaxRecordBytes.
	MaxRecordBytes int

	// IgnoreUnknownKinds passes over events of a kind that is not known, and does not park them. They are still parked
	// if they are not valid JSON.
	IgnoreUnknownKinds bool

	// Hints say which SKUs are bundles, so that an event with their parts counts for more in a batch, and how many lines
	// reservations have; nil = none.
	Hints *Hints
}

// Decoder reads events. In their short form each is one JSON object, the record's value:
//
//	{"id":"…","kind":"stock.sold","sku":"SKU-1","quantity":3,"location":"main","time":"2026-01-02T15:04:05Z"}
//
// location defaults to main; time, source, tenant, if_version and reason are optional. In place of sku, quantity and
// if_version there may be lines, an array of objects that have these and location. docs/events.md has what else each
// kind has. Names are case-sensitive; unknown ones are passed over. What is wrong with a record parks it, under one of
// ParkCodes.
//
// It also reads CloudEvents 1.0 as the Kafka protocol binding carries them, in structured mode (JSON) and in binary
// mode: type is the kind, id, source and time are the event's, and data has the other fields.
//
// It may be used from several goroutines at once. Its events' Body is an *Event, which does not alias the record.
type Decoder struct {
	cfg     DecoderConfig
	readers sync.Pool // of *reader
}

var _ inbox.Decoder = (*Decoder)(nil)

// NewDecoder returns a Decoder.
func NewDecoder(cfg DecoderConfig) *Decoder {
	cfg.MaxRecordBytes = cmp.Or(cfg.MaxRecordBytes, DefaultMaxRecordBytes)
	return &Decoder{cfg: cfg}
}

// Decode implements inbox.Decoder.
func (d *Decoder) Decode(r *inbox.Record) (inbox.Event, error) {
	switch {
	case r.Value == nil:
		return inbox.Event{}, inbox.Park("tombstone")
	case len(r.Value) == 0:
		return inbox.Event{}, inbox.Park("empty_value")
	case len(r.Value) > d.cfg.MaxRecordBytes:
		return inbox.Event{}, inbox.Park("record_too_large")
	}
	c, err := contentOf(r.Headers)
	if err != nil {
		return inbox.Event{}, err
	}
	f := draft{line: entry{at: -1}, hinted: d.cfg.Hints.now(), usual: d.cfg.Hints.usualLines()}
	switch c.form {
	case shortForm:
		err = d.read(r.Value, f.readField)
	case structuredMode:
		f.envelope = &envelope{}
		err = d.read(r.Value, f.readAttribute)
	case binaryMode:
		f.envelope = &envelope{hasData: true}
		f.setAttributes(r.Headers)
		if c.isJSON {
			err = d.read(r.Value, f.readDataField)
		} else {
			f.blameAt(-1, "unknown_datacontenttype", quoted(c.mediaType))
		}
	}
	if err != nil {
		return inbox.Event{}, err
	}
	if c.hasTrace { // the last one who sent it knows better than the one who made it
		f.traceParent = ""
	}
	return f.event(r, d.cfg.IgnoreUnknownKinds)
}

// read reads value as one object, whose members member reads.
func (d *Decoder) read(value []byte, member func(r *reader, name []byte) error) error {
	r, ok := d.readers.Get().(*reader)
	if !ok {
		r = newReader()
	}
	defer d.readers.Put(r)
	defer r.release()
	r.reset(value)
	return r.whole(func(name []byte) error { return member(r, name) })
}
