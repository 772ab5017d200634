package outbox

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// outgoing is a message as it was read back.
type outgoing struct {
	id      int64
	topic   string
	key     []byte
	eventID string
	payload []byte
	headers [][]byte // keys and values in turn
}

func (m *outgoing) bytes() int {
	n := len(m.key) + len(m.payload)
	for _, h := range m.headers {
		n += len(h)
	}
	return n
}

// page is what one turn takes: messages in the order of their ids, and the id up to which it takes the position.
type page struct {
	messages []*outgoing
	upTo     int64
}

// A page is small enough to be sent in a fraction of the transaction's timeout, and large enough that Kafka's commit is
// a small part of it.
const (
	maxPageMessages = 5000
	maxPageBytes    = 4 << 20
)

// reader reads pages, one after another, up to what the horizon allows.
type reader struct {
	db      querier
	horizon horizon
	after   int64 // the last id that was read
	limit   int   // rows to ask for, by the size of the ones before
	most    int   // rows to ask for at most; 0 = maxPageMessages
	rows    rowReader
}

const selectPage = `
select id, topic, key, event_id, payload, headers from outbox where id > $1 and id <= $2 order by id limit $3`

// read returns the next page, or nil if nothing may be read yet.
func (r *reader) read(ctx context.Context) (*page, error) {
	if r.after >= r.horizon.safe {
		if err := r.horizon.look(ctx, r.db); err != nil || r.after >= r.horizon.safe {
			return nil, err
		}
	}
	limit := min(max(r.limit, 1), cmp.Or(r.most, maxPageMessages))
	p, n, bytes, err := r.query(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	if n == 0 {
		r.after = r.horizon.safe // numbers that were drawn and not used
		return nil, nil
	}
	p.upTo = p.messages[len(p.messages)-1].id
	r.after = p.upTo
	if n < limit && n == len(p.messages) {
		r.after = r.horizon.safe
	}
	r.limit = maxPageBytes / max(bytes/len(p.messages), 1)
	return p, nil
}

// query asks for the next rows, and returns as many of them as make a page, with the number that came and their bytes.
// What is more than a page is thrown away and asked for again: the limit is a guess, by the size of those before.
func (r *reader) query(ctx context.Context, limit int) (p *page, came, bytes int, err error) {
	rows, err := r.db.Query(ctx, selectPage, binaryColumns, r.after, r.horizon.safe, limit)
	if err != nil {
		return nil, 0, 0, err
	}
	defer rows.Close()
	p = &page{messages: make([]*outgoing, 0, limit)}
	for rows.Next() {
		came++
		if bytes >= maxPageBytes {
			continue
		}
		m, err := r.rows.read(rows)
		if err != nil {
			return nil, 0, 0, err
		}
		p.messages = append(p.messages, m)
		bytes += m.bytes()
	}
	return p, came, bytes, rows.Err()
}

// delay says which transaction has held messages up for longer than patience; empty = none has.
func (r *reader) delay(ctx context.Context, patience time.Duration) (string, error) {
	s, ok := r.horizon.waiting()
	if !ok || time.Since(s.at) < patience {
		return "", nil
	}
	return s.blocker(ctx, r.db)
}
