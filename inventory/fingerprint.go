package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// fingerprintVersion names the algorithm below. It stands in the high 8 bits, so that a changed algorithm is seen to be
// another one, and not taken for another content.
const fingerprintVersion = 1

// fingerprint tells what e asks for, in 64 bits: the algorithm's version in the high 8, and in the low 56 the first
// bytes of a SHA-256 over the kind and what follows from it; so it is never negative as long as the version is below
// 128. The time, the reason, the topic, unknown fields and trace context do not count: a producer may send an event
// again with another of those, and means the same. Neither does the form: a CloudEvent asks for what its short form
// asks for.
//
// Two different contents of one id share a fingerprint once in 2^56; then the second counts as a duplicate.
func fingerprint(e *Event) int64 {
	var space [256]byte // on the stack, and enough for all but the longest names
	b := space[:0]
	b = appendText(b, e.Kind.String())
	if e.Kind == Defined {
		b = appendDefinition(b, e.Definition)
	} else {
		b = binary.AppendUvarint(b, uint64(len(e.Lines)))
	}
	for _, l := range e.Lines {
		b = appendText(b, l.SKU)
		b = appendText(b, l.Location)
		b = binary.AppendVarint(b, l.Quantity)
		b = binary.AppendVarint(b, l.IfVersion)
	}
	b = appendRest(b, e)
	sum := sha256.Sum256(b)
	return fingerprintVersion<<56 | int64(binary.BigEndian.Uint64(sum[:8])>>8)
}

// Tags of what an event need not have. Each stands before its value, and only if there is one, in this order: so no two
// contents come to the same bytes, and an event that has none of it keeps the fingerprint that it had before there was
// such a thing. They are stored for good, inside of fingerprints: none may change.
const (
	tagDamaged     byte = 1
	tagCountedAt   byte = 2
	tagReservation byte = 3
	tagExpiresAt   byte = 4
	tagTTL         byte = 5
	tagTo          byte = 6
	tagTransfer    byte = 7
	tagName        byte = 8
	tagUnit        byte = 9
	tagLowStock    byte = 10
	tagBundle      byte = 11
)

func appendDefinition(b []byte, d *Definition) []byte {
	b = appendText(b, d.SKU)
	b = append(b, byte(d.Policy.Backorder))
	b = binary.AppendVarint(b, d.Policy.Max)
	b = appendTagged(b, tagName, d.Name)
	b = appendTagged(b, tagUnit, d.Unit)
	if d.LowStock != nil {
		b = append(b, tagLowStock)
		b = binary.AppendVarint(b, *d.LowStock)
	}
	if len(d.Bundle) > 0 {
		b = append(b, tagBundle)
		b = binary.AppendUvarint(b, uint64(len(d.Bundle)))
	}
	for _, p := range d.Bundle {
		b = appendText(b, p.SKU)
		b = binary.AppendVarint(b, p.Quantity)
	}
	return b
}

// appendRest appends what a movement says beside its lines.
func appendRest(b []byte, e *Event) []byte {
	if e.Condition == Damaged {
		b = append(b, tagDamaged)
	}
	b = appendTime(b, tagCountedAt, e.CountedAt)
	b = appendTagged(b, tagReservation, e.Reservation)
	b = appendTime(b, tagExpiresAt, e.Deadline.At)
	if e.Deadline.After != 0 {
		b = append(b, tagTTL)
		b = binary.AppendVarint(b, e.Deadline.After)
	}
	b = appendTagged(b, tagTo, e.To)
	return appendTagged(b, tagTransfer, e.Transfer)
}

// appendText appends s so that where it ends is not a question: its length first.
func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTagged(b []byte, tag byte, s string) []byte {
	if s == "" {
		return b
	}
	return appendText(append(b, tag), s)
}

// appendTime appends a moment; the offset in which it is written does not count.
func appendTime(b []byte, tag byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = binary.AppendVarint(append(b, tag), t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}
