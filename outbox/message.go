// Package outbox writes messages for Kafka within the transaction that makes them true.
package outbox

import (
	"encoding/hex"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Message is one message on its way out.
type Message struct {
	Topic   string
	Key     []byte // nil = no key
	EventID string // the event that caused it
	Payload []byte
	Headers []Header
}

// Header is one header of a message.
type Header struct {
	Key   string
	Value []byte
}

const drawIDs = `select nextval('outbox_id') from generate_series(1, $1::integer)`

// Draw queues drawing n ids onto q; ids holds them, ascending, once q's results are read. Draw after the locks that
// order the messages are held, and in a transaction that has its transaction id already: the relay's safe horizon rests
// on both.
func Draw(q *pgx.Batch, n int, ids *[]int64) {
	*ids = (*ids)[:0]
	q.Queue(drawIDs, n).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			*ids = append(*ids, id)
		}
		return rows.Err()
	})
}

const insertMessages = `
insert into outbox (id, topic, key, event_id, payload, headers)
select m.id, m.topic, m.key, m.event_id, m.payload, m.headers::bytea[]
from unnest($1::bigint[], $2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::text[])
  as m (id, topic, key, event_id, payload, headers)`

// The same for messages with one topic and one set of headers, which cost as much as the rest of the row otherwise.
const insertAlikeMessages = `
insert into outbox (id, topic, key, event_id, payload, headers)
select m.id, $2::text, m.key, m.event_id, m.payload, $6::bytea[]
from unnest($1::bigint[], $3::bytea[], $4::text[], $5::bytea[]) as m (id, key, event_id, payload)`

// Queue queues the insert of ms onto q, each with the id of the same index; there must be at least as many ids.
func Queue(q *pgx.Batch, ids []int64, ms []Message) {
	if len(ms) == 0 {
		return
	}
	keys := make([][]byte, len(ms))
	events := make([]string, len(ms))
	payloads := make([][]byte, len(ms))
	for i := range ms {
		keys[i], events[i], payloads[i] = ms[i].Key, ms[i].EventID, ms[i].Payload
	}
	if alike(ms) {
		q.Queue(insertAlikeMessages, ids[:len(ms)], ms[0].Topic, keys, events, payloads, headersLiteral(ms[0].Headers))
		return
	}
	topics := make([]string, len(ms))
	headers := make([]string, len(ms))
	for i := range ms {
		topics[i], headers[i] = ms[i].Topic, headersLiteral(ms[i].Headers)
	}
	q.Queue(insertMessages, ids[:len(ms)], topics, keys, events, payloads, headers)
}

// alike reports whether all messages have the first one's topic and headers: the same slice, as who makes many of them
// gives it.
func alike(ms []Message) bool {
	first := &ms[0]
	for i := range ms {
		m := &ms[i]
		if m.Topic != first.Topic || len(m.Headers) != len(first.Headers) ||
			len(m.Headers) > 0 && &m.Headers[0] != &first.Headers[0] {
			return false
		}
	}
	return true
}

// headersLiteral is hs as Postgres reads a bytea[]: keys and values in turn. Arrays of arrays cannot be unnested row by
// row, so an array travels as text.
func headersLiteral(hs []Header) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, h := range hs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"\\x` + hex.EncodeToString([]byte(h.Key)) + `",`)
		if h.Value == nil {
			b.WriteString("null")
			continue
		}
		b.WriteString(`"\\x` + hex.EncodeToString(h.Value) + `"`)
	}
	b.WriteByte('}')
	return b.String()
}
