package verify

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
)

// What our messages say of themselves.
const (
	headerSource = "ce_source"
	headerType   = "ce_type"
	headerID     = "ce_id"
	headerTrace  = "traceparent"
	stockChanged = "stock.changed"
)

// published is a record that says it is a message of this installation about stock.
type published struct {
	from        *outPartition
	kind        string
	offset      int64
	id          int64
	former      bool   // it carries an identity that the installation had before an adoption
	traceparent string // "" = none
	odd         string // headers that are not what they should be but for their traceparent; "" = they are
	key, value  []byte

	about *movement // that it is of, or names; nil = there is none

	// Only of announcements.
	told   told
	answer *answer // of the event that it names
}

// Records are compared in chunks of so many, or of so many bytes.
const (
	chunkRecords = 2000
	chunkBytes   = 4 << 20
)

// record returns what takes in a record of p.
func (o *outgoing) record(ctx context.Context, p *outPartition) func(*sarama.ConsumerMessage) error {
	return func(m *sarama.ConsumerMessage) error {
		o.v.done.Add(m.Offset + 1 - p.next)
		p.next = m.Offset + 1
		r := o.recognize(p, m)
		if r == nil {
			return nil
		}
		*p.counter(r.kind)++
		o.pending = append(o.pending, r)
		o.bytes += len(r.key) + len(r.value)
		if len(o.pending) == chunkRecords || o.bytes >= chunkBytes {
			return o.judge(ctx)
		}
		return nil
	}
}

// counter is where messages of that kind are counted.
func (p *outPartition) counter(kind string) *int64 {
	if kind == stockChanged {
		return &p.Messages
	}
	return &p.Announcements
}

// recognize returns m if it is a message of ours about stock, as far as it says, and counts what is not. A topic
// may be shared with others. The result aliases nothing of m.
func (o *outgoing) recognize(p *outPartition, m *sarama.ConsumerMessage) *published {
	source, _ := header(m, headerSource)
	former, ours := o.sources[string(source)]
	if !ours {
		p.Foreign++
		return nil
	}
	kind, _ := header(m, headerType)
	if string(kind) != stockChanged && !isAnnouncement(string(kind)) {
		p.Other++ // which are gone from the database by now, perhaps
		return nil
	}
	r := &published{from: p, offset: m.Offset, former: former, kind: string(kind)}
	text, n := header(m, headerID)
	id, err := strconv.ParseInt(string(text), 10, 64)
	if n != 1 || err != nil || id <= 0 || strconv.FormatInt(id, 10) != string(text) {
		*p.counter(r.kind)++
		o.differ(r, "", "one header ce_id, a number", "headers "+headersText(m.Headers))
		return nil
	}
	trace, _ := header(m, headerTrace)
	r.id, r.traceparent = id, string(trace)
	if !slices.EqualFunc(m.Headers, headersOf(r.kind, string(source), string(text), r.traceparent), isHeader) {
		r.odd = headersText(m.Headers)
	}
	r.key, r.value = bytes.Clone(m.Key), bytes.Clone(m.Value)
	return r
}

// header returns the first value of m's headers with key, and how many there are.
func header(m *sarama.ConsumerMessage, key string) (value []byte, n int) {
	for _, h := range m.Headers {
		if string(h.Key) != key {
			continue
		}
		if n == 0 {
			value = h.Value
		}
		n++
	}
	return value, n
}

// headersOf are the headers that a message of that kind has: keys and values.
func headersOf(kind, source, id, traceparent string) [][2]string {
	hs := [][2]string{
		{"content-type", "application/json"},
		{"ce_specversion", "1.0"},
		{headerType, kind},
		{headerSource, source},
		{headerID, id},
	}
	if traceparent != "" {
		hs = append(hs, [2]string{headerTrace, traceparent})
	}
	return hs
}

func isHeader(h *sarama.RecordHeader, want [2]string) bool {
	return string(h.Key) == want[0] && string(h.Value) == want[1]
}

func headersText(hs []*sarama.RecordHeader) string {
	var parts []string
	for _, h := range hs {
		parts = append(parts, fmt.Sprintf("%s: %s", h.Key, h.Value))
	}
	return short(strings.Join(parts, ", "))
}

// maxShown bounds what is shown of a record.
const maxShown = 500

func short(s string) string {
	if len(s) > maxShown {
		return s[:maxShown] + " ..."
	}
	return s
}
