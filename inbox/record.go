package inbox

import "time"

// Record is one Kafka record as it was read: bytes, where it stood in the log, and when it was written.
// Nothing in it aliases the client library's buffers.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte // nil = no key
	Value     []byte // nil = tombstone, empty = an empty value
	Headers   []Header
	Timestamp time.Time // the log's time for the record; zero if it has none
}

// Header is one record header. Keys are bytes: Kafka does not promise text.
type Header struct {
	Key   []byte
	Value []byte // nil = null
}

// Event is what a Decoder reads out of a record: who it is, what it asks for, and the decoder's own form of it.
type Event struct {
	Record *Record

	// The identity: at most one inbox row each (I3). Absent parts are empty; each is at most 255 bytes of valid UTF-8
	// without NUL.
	Tenant string
	ID     string
	Source string

	// Fingerprint tells two events of one identity apart: high 8 bits name the algorithm, low 56 bits are a hash of
	// what the event asks for.
	Fingerprint int64

	// Time is when the producer says it happened; zero if it does not say.
	Time time.Time

	// TraceParent is the trace that the record belongs to, as its header of that name says (W3C Trace Context, version
	// 00); empty if it says nothing that can be read. A decoder may set it from elsewhere: one that can be read counts
	// more than the header.
	TraceParent string

	// Weight is how many rows the handler will read for it, about; 0 counts as 1. A batch is bounded by the sum, so that
	// the answer to its first round trip stays small, and its locks are not held for long.
	Weight int

	// Body is the decoder's business, and its handler's.
	Body any
}

// Decoder turns records into events. Decode is called concurrently, in the claim goroutines, and must neither block nor
// keep r's bytes past the event. An error made by Park or ParkAt parks the record, ErrIgnored counts it as ignored;
// any other error is parked as `undecodable`.
type Decoder interface {
	Decode(r *Record) (Event, error)
}
