package workload

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"
)

// event is a piece of stock news. Its strings are plain ASCII and need no escaping.
type event struct {
	id          string
	kind        string
	source      string
	sku         string // empty = it has lines, or needs none
	quantity    int
	lines       []line
	reservation string // empty = none
	ttl         int    // of a reservation, in seconds; 0 = none
	location    string // empty = it says none
	reason      string // empty = none
	time        time.Time
}

// line is one of an event's several.
type line struct {
	sku      string
	quantity int
}

// appendJSON appends e in the short form: 170 to 200 bytes with a SKU, and 40 for each line.
func (e *event) appendJSON(b []byte) []byte {
	field := func(name, value string) {
		b = append(b, `,"`...)
		b = append(b, name...)
		b = append(b, `":"`...)
		b = append(b, value...)
		b = append(b, '"')
	}
	b = append(b, `{"id":"`...)
	b = append(b, e.id...)
	b = append(b, '"')
	field("kind", e.kind)
	field("source", e.source)
	optional := func(name, value string) {
		if value != "" {
			field(name, value)
		}
	}
	optional("reservation", e.reservation)
	if e.ttl > 0 {
		b = append(b, `,"ttl":`...)
		b = strconv.AppendInt(b, int64(e.ttl), 10)
	}
	if e.sku != "" {
		field("sku", e.sku)
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, int64(e.quantity), 10)
	}
	b = appendLines(b, e.lines)
	optional("location", e.location)
	optional("reason", e.reason)
	field("time", e.time.UTC().Format("2006-01-02T15:04:05.000Z"))
	return append(b, '}')
}

func appendLines(b []byte, lines []line) []byte {
	if len(lines) == 0 {
		return b
	}
	begin := `,"lines":[`
	for _, l := range lines {
		b = append(b, begin...)
		b = append(b, `{"sku":"`...)
		b = append(b, l.sku...)
		b = append(b, `","quantity":`...)
		b = strconv.AppendInt(b, int64(l.quantity), 10)
		b = append(b, '}')
		begin = ","
	}
	return append(b, ']')
}

// uuidV7 is an id whose beginning grows with t, as a good producer's ids do: neighbours in time are neighbours in an
// index. (google/uuid draws from the clock and the kernel; this one repeats for a seed.)
func uuidV7(t time.Time, rng *rand.Rand) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(t.UnixMilli())<<16|0x7000|rng.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|rng.Uint64()>>2)
	return uuidText(id)
}

// uuidV4 is an id without any order, as many producers make them: each is a look into another corner of an index.
func uuidV4(rng *rand.Rand) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], rng.Uint64()&^0xf000|0x4000)
	binary.BigEndian.PutUint64(id[8:], 1<<63|rng.Uint64()>>2)
	return uuidText(id)
}

func uuidText(id [16]byte) string {
	var text [36]byte
	at := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		hex.Encode(text[at:at+2], []byte{b})
		at += 2
	}
	return string(text[:])
}
