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

// blockSize is how many ids one number of the sequence stands for: the sequence's increment.
const blockSize = 1000

const drawBlocks = `select nextval('outbox_id') from generate_series(1, $1::integer)`

// Draw queues drawing n ids onto q; ids holds them, ascending, once q's results are read. They come in blocks, of which
// the rest stays unused: gaps are normal. Draw after the locks that order the messages are held, and in a transaction
// that has its transaction id already: the relay's safe horizon rests on both.
func Draw(q *pgx.Batch, n int, ids *[]int64) {
	*ids = (*ids)[:0]
	q.Queue(drawBlocks, (n+blockSize-1)/blockSize).Query(func(rows pgx.Rows) error {
		var first int64
		_, err := pgx.ForEachRow(rows, []any{&first}, func() error {
			for id := first; id < first+blockSize && len(*ids) < n; id++ {
				*ids = append(*ids, id)
			}
			return nil
		})
		return err
	})
}

const insertMessages = `
insert into outbox_messages (id, topic, key, event_id, payload, headers)
select unnest($1::bigint[]), unnest($2::text[]), unnest($3::bytea[]), unnest($4::text[]), unnest($5::bytea[]),
       unnest($6::text[])::bytea[]`

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
	topics := make([]string, len(ms))
	headers := make([]string, len(ms))
	for i := range ms {
		topics[i], headers[i] = ms[i].Topic, headersLiteral(ms[i].Headers)
	}
	q.Queue(insertMessages, ids[:len(ms)], topics, keys, events, payloads, headers)
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
