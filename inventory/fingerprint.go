package inventory

import (
	"crypto/sha256"
	"encoding/binary"
)

// fingerprintVersion names the algorithm below. It stands in the high 8 bits, so that a changed algorithm is seen to be
// another one, and not taken for another content.
const fingerprintVersion = 1

// fingerprint tells what e asks for, in 64 bits: the algorithm's version in the high 8, and in the low 56 the first
// bytes of a SHA-256 over the kind and what follows from it; so it is never negative as long as the version is below
// 128. The time, the reason, the topic, unknown fields and trace context do not count: a producer may send an event
// again with another of those, and means the same.
//
// Two different contents of one id share a fingerprint once in 2^56; then the second counts as a duplicate.
func fingerprint(e *Event) int64 {
	var space [256]byte // on the stack, and enough for all but the longest names
	b := space[:0]
	b = appendText(b, e.Kind.String())
	if e.Kind == Defined {
		b = appendText(b, e.SKU)
		b = append(b, byte(e.Policy.Backorder))
		b = binary.AppendVarint(b, e.Policy.Max)
	} else {
		b = binary.AppendUvarint(b, 1) // lines
		b = appendText(b, e.SKU)
		b = appendText(b, e.Line.Location)
		b = binary.AppendVarint(b, e.Line.Quantity)
		b = binary.AppendVarint(b, e.Line.IfVersion)
	}
	sum := sha256.Sum256(b)
	return fingerprintVersion<<56 | int64(binary.BigEndian.Uint64(sum[:8])>>8)
}

// appendText appends s so that where it ends is not a question: its length first.
func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
