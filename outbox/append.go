package outbox

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Tx is what Append needs of a transaction: pgx.Tx is one, and so is inbox.Tx.
type Tx interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Append writes ms within tx, in their order, and returns their ids. They leave when tx is committed, and never
// otherwise. Call it after the locks that order the messages are taken: of two transactions that lock the same row
// first, the messages leave in the order in which they had the lock. A message that cannot be one is ErrMessage, and
// nothing is written then; other errors are the database's, and the transaction is of no more use. It takes two round
// trips.
func Append(ctx context.Context, tx Tx, ms ...Message) ([]int64, error) {
	for i := range ms {
		if err := ms[i].Check(); err != nil {
			return nil, fmt.Errorf("append message %d of %d: %w", i+1, len(ms), err)
		}
	}
	if len(ms) == 0 {
		return nil, nil
	}
	var ids []int64
	q := &pgx.Batch{}
	q.Queue(haveTransactionID)
	Draw(q, len(ms), &ids)
	if err := tx.SendBatch(ctx, q).Close(); err != nil {
		return nil, fmt.Errorf("draw ids of messages: %w", err)
	}
	q = &pgx.Batch{}
	Queue(q, ids, ms)
	if err := tx.SendBatch(ctx, q).Close(); err != nil {
		return nil, fmt.Errorf("append messages: %w", err)
	}
	return ids, nil
}

// haveTransactionID makes sure that the transaction has its id before it draws one for a message: the relay's safe
// horizon rests on that.
const haveTransactionID = `select pg_current_xact_id()`

// blockSize is how many ids one number of the sequence stands for: the sequence's increment.
const blockSize = 1000

const drawBlocks = `select nextval('outbox_id') from generate_series(1, $1::integer)`

// Draw queues drawing n ids onto q; ids holds them, ascending, once q's results are read. They come in blocks, of which
// the rest stays unused: gaps are normal. Draw after the locks that order the messages are held, and in a transaction
// that has its transaction id already (pg_current_xact_id): the relay's safe horizon rests on both.
func Draw(q *pgx.Batch, n int, ids *[]int64) {
	*ids = (*ids)[:0]
	q.Queue(drawBlocks, (n+blockSize-1)/blockSize).Query(func(rows pgx.Rows) error { return readBlocks(rows, n, ids) })
}

// DrawCounted is Draw for n ids and as many more as count says, which is an expression of SQL whose arguments begin at
// $2: for a batch of which only the database knows how many messages it may cause.
func DrawCounted(q *pgx.Batch, n int, count string, args []any, ids *[]int64) {
	*ids = (*ids)[:0]
	sql := fmt.Sprintf("select nextval('outbox_id') from generate_series(1, ($1::bigint + %s + %d) / %d)",
		count, blockSize-1, blockSize)
	q.Queue(sql, append([]any{n}, args...)...).Query(func(rows pgx.Rows) error {
		return readBlocks(rows, math.MaxInt, ids)
	})
}

// readBlocks fills ids from blocks, up to most.
func readBlocks(rows pgx.Rows, most int, ids *[]int64) error {
	var first int64
	_, err := pgx.ForEachRow(rows, []any{&first}, func() error {
		for id := first; id < first+blockSize && len(*ids) < most; id++ {
			*ids = append(*ids, id)
		}
		return nil
	})
	return err
}

// Messages lie in three partitions in turn, a range of ids each, so that those that have left can go all at once.
const (
	slots     = 3
	slotWidth = 10_000 * blockSize
)

func slotOf(id int64) int16 { return int16(id / slotWidth % slots) }

const insertMessages = `
insert into outbox_messages (id, slot, topic, key, event_id, payload, headers, type)
select unnest($1::bigint[]), unnest($2::smallint[]), nullif(unnest($3::text[]), ''), unnest($4::bytea[]),
       unnest($5::text[]), unnest($6::bytea[]), unnest($7::text[])::bytea[], nullif(unnest($8::text[]), '')`

// Queue queues the insert of ms onto q, each with the id of the same index; there must be at least as many ids, drawn
// by the same transaction. It does not check the messages.
func Queue(q *pgx.Batch, ids []int64, ms []Message) {
	if len(ms) == 0 {
		return
	}
	n := len(ms)
	keys, payloads := make([][]byte, n), make([][]byte, n)
	topics, events, headers, types := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	slots := make([]int16, n)
	for i := range ms {
		m := &ms[i]
		slots[i] = slotOf(ids[i])
		topics[i], keys[i], events[i], payloads[i] = m.Topic, m.Key, m.EventID, m.Payload
		headers[i], types[i] = headersLiteral(m.allHeaders()), m.Type
	}
	q.Queue(insertMessages, ids[:n], slots, topics, keys, events, payloads, headers, types)
}

// headersLiteral is hs as Postgres reads a bytea[]: keys and values in turn. Arrays of arrays cannot be unnested row by
// row, so an array travels as text.
func headersLiteral(hs []Header) string {
	if len(hs) == 0 {
		return "{}"
	}
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
