package inventory

import (
	"bytes"
	"cmp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

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
}

// Decoder reads events in their short form, one JSON object a record:
//
//	{"id":"…","kind":"stock.sold","sku":"SKU-1","quantity":3,"location":"main","time":"2026-01-02T15:04:05Z"}
//
// location defaults to main; time, source, tenant, if_version and reason are optional. sku.defined has backorder (deny,
// which is the default, allow or limit) and, with limit, backorder_limit, and none of quantity, location and
// if_version. Names are case-sensitive; unknown ones are passed over. What is wrong with a record parks it, under one
// of ParkCodes.
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
	if err := checkHeaders(r.Headers); err != nil {
		return inbox.Event{}, err
	}
	var f draft
	if err := d.read(r.Value, &f); err != nil {
		return inbox.Event{}, err
	}
	return f.event(r, d.cfg.IgnoreUnknownKinds)
}

// read collects the fields of value in f.
func (d *Decoder) read(value []byte, f *draft) error {
	r, ok := d.readers.Get().(*reader)
	if !ok {
		r = newReader()
	}
	defer d.readers.Put(r)
	defer r.release()
	r.reset(value)
	return r.object(func(name []byte) error {
		known, ok := fieldQuoted(name)
		if !ok {
			return unusual(r, name, f)
		}
		raw, at, err := r.any()
		if err == nil {
			f.set(known, raw, at)
		}
		return err
	})
}

// unusual reads a field whose name is not simply a known one: known, but with escapes in it; misspelt; or unknown.
func unusual(r *reader, name []byte, f *draft) error {
	at := int(r.dec.InputOffset()) - len(name)
	plain, err := jsontext.AppendUnquote(nil, name)
	if err != nil {
		return r.syntax(err)
	}
	if bytes.IndexByte(name, '\\') >= 0 {
		if known, ok := fieldQuoted([]byte(`"` + string(plain) + `"`)); ok {
			raw, at, err := r.any()
			if err == nil {
				f.set(known, raw, at)
			}
			return err
		}
	}
	if meant, ok := fieldMeant(string(plain)); ok {
		f.blameAt(at, "misspelt_field", quoted(string(plain))+" for "+meant.String())
	}
	_, _, err = r.any()
	return err
}

// checkHeaders parks what is not plain JSON by its own account. CloudEvents in binary form say so in their ce_ headers.
func checkHeaders(hs []inbox.Header) error {
	for _, h := range hs {
		key := string(h.Key)
		switch {
		case !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0:
			return inbox.ParkAt("header_not_text", quoted(key), -1)
		case hasPrefixFold(key, "ce_"), strings.EqualFold(key, "content-type") && !isPlainJSON(string(h.Value)):
			return inbox.ParkAt("unknown_content_type", quoted(key)+": "+quoted(string(h.Value)), -1)
		}
	}
	return nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// isPlainJSON says whether a content type is application/json, in UTF-8 if it names an encoding.
func isPlainJSON(contentType string) bool {
	mediaType, parameters, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(mediaType), "application/json") {
		return false
	}
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "charset") && !strings.EqualFold(strings.Trim(value, `"`), "utf-8") {
			return false
		}
	}
	return true
}
