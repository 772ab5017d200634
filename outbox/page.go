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
	bytes    int
	upTo     int64
}

// full reports whether p is all that a turn takes.
func (p *page) full(most int) bool { return len(p.messages) >= most || p.bytes >= maxPageBytes }

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

// extend adds to p, which is not full and is the last that was read, what may be read by now.
func (r *reader) extend(ctx context.Context, p *page) (grown bool, err error) {
	if r.after >= r.horizon.safe {
		if err := r.horizon.look(ctx, r.db); err != nil || r.after >= r.horizon.safe {
			return false, err
		}
	}
	had := len(p.messages)
	limit := min(max(r.limit, 1), r.mostMessages()-had)
	came, err := r.query(ctx, p, limit)
	if err != nil {
		return false, fmt.Errorf("read messages: %w", err)
	}
	if came == 0 {
		r.after = r.horizon.safe // numbers that were drawn and not used
		return false, nil
	}
	p.upTo = p.messages[len(p.messages)-1].id
	r.after = p.upTo
	if came < limit && came == len(p.messages)-had {
		r.after = r.horizon.safe
	}
	r.limit = maxPageBytes / max(p.bytes/len(p.messages), 1)
	return true, nil
}

func (r *reader) mostMessages() int { return cmp.Or(r.most, maxPageMessages) }

// query asks for the next rows, adds as many of them to p as it takes, and returns the number that came. What is more
// is thrown away and asked for again: the limit is a guess, by the size of those before.
func (r *reader) query(ctx context.Context, p *page, limit int) (came int, err error) {
	rows, err := r.db.Query(ctx, selectPage, binaryColumns, r.after, r.horizon.safe, limit)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		came++
		if p.bytes >= maxPageBytes {
			continue
		}
		m, err := r.rows.read(rows)
		if err != nil {
			return 0, err
		}
		p.messages = append(p.messages, m)
		p.bytes += m.bytes()
	}
	return came, rows.Err()
}

// delay says which transaction has held messages up for longer than patience; empty = none has.
func (r *reader) delay(ctx context.Context, patience time.Duration) (string, error) {
	s, ok := r.horizon.waiting()
	if !ok || time.Since(s.at) < patience {
		return "", nil
	}
	return s.blocker(ctx, r.db)
}
