package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"onhand/inbox"
	"onhand/offsets"
)

// position is where in the log a row says that its record stood.
type position struct {
	Topic       string `db:"topic"`
	Partition   int32  `db:"partition"`
	Incarnation int32  `db:"incarnation"`
	Offset      int64  `db:"offset"`
}

func (p position) compare(q position) int {
	return cmp.Or(
		offsets.Compare(p.partition(), q.partition()),
		cmp.Compare(p.Incarnation, q.Incarnation),
		cmp.Compare(p.Offset, q.Offset),
	)
}

func (p position) partition() offsets.TopicPartition {
	return offsets.TopicPartition{Topic: p.Topic, Partition: p.Partition}
}

// identity is an event's key.
type identity struct{ tenant, id, source string }

func (i identity) String() string {
	s := fmt.Sprintf("event %q", i.id)
	if i.tenant != "" {
		s += fmt.Sprintf(" of tenant %q", i.tenant)
	}
	if i.source != "" {
		s += fmt.Sprintf(" from %q", i.source)
	}
	return s
}

// deadRow is a dead letter, its bytes as digests: they may be large.
type deadRow struct {
	position
	Reason  string `db:"reason"`
	Key     []byte `db:"key"`
	Value   []byte `db:"value"`
	Headers []byte `db:"headers"`
}

func (d *deadRow) at() position { return d.position }

func (d *deadRow) String() string { return "dead letter " + d.Reason }

const declareDead = `
declare dead_letter_rows no scroll cursor for
select topic, partition, incarnation, "offset", reason, sha256(key) as key, sha256(value) as value,
       sha256(convert_to(array_to_string(array(
         select coalesce(encode(h.bytes, 'hex'), 'null')
         from unnest(headers) with ordinality as h (bytes, n)
         order by h.n
       ), ','), 'UTF8')) as headers
from dead_letters
order by topic, partition, incarnation, "offset"`

const fetchDead = `fetch 2000 from dead_letter_rows`

// differs names the part of r that the dead letter does not hold as it was; empty if it holds all.
func (d *deadRow) differs(r *inbox.Record) string {
	headers := []byte{}
	for i, h := range r.Headers {
		if i > 0 {
			headers = append(headers, ',')
		}
		headers = append(hex.AppendEncode(headers, h.Key), ',')
		if h.Value == nil {
			headers = append(headers, "null"...)
			continue
		}
		headers = hex.AppendEncode(headers, h.Value)
	}
	switch {
	case !bytes.Equal(d.Key, digest(r.Key)):
		return "key"
	case !bytes.Equal(d.Value, digest(r.Value)):
		return "value"
	case !bytes.Equal(d.Headers, digest(headers)):
		return "headers"
	}
	return ""
}

// digest is the SHA-256 of b as the database computes it: null for null.
func digest(b []byte) []byte {
	if b == nil {
		return nil
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// rows are the tables whose rows stand for records, each read once, in the order of the log.
type rows struct {
	inbox *inboxRows
	dead  *cursor[deadRow]
}

func openRows(ctx context.Context, s *snapshot) (*rows, error) {
	i, err := openCursor[inboxLine](ctx, s, declareInbox, fetchInbox)
	if err != nil {
		return nil, err
	}
	d, err := openCursor[deadRow](ctx, s, declareDead, fetchDead)
	if err != nil {
		return nil, err
	}
	return &rows{inbox: &inboxRows{lines: i}, dead: d}, nil
}

// orphans reports what is left when all partitions have been judged: rows of partitions that have no position.
func (r *rows) orphans(ctx context.Context, report *Report) error {
	if err := drain(ctx, r.inbox, nil, orphan[*inboxRow](report)); err != nil {
		return err
	}
	return drain(ctx, r.dead, nil, orphan[*deadRow](report))
}

func orphan[R row](report *Report) func(R) {
	return func(r R) {
		report.differ(inLog("I5", r.at(), "no row: the partition has no position", r.String()))
	}
}

// row is a row that stands for a record.
type row interface {
	at() position
	String() string
}

// reader gives rows in the order of the log; see cursor.
type reader[T any] interface {
	peek(ctx context.Context) (*T, error)
	skip()
}

// drain calls fn for the rows before end, and goes past them; nil = all.
func drain[T any, P interface {
	*T
	row
}](ctx context.Context, c reader[T], end *position, fn func(P)) error {
	for {
		r, err := c.peek(ctx)
		if err != nil || r == nil || (end != nil && P(r).at().compare(*end) >= 0) {
			return err
		}
		fn(P(r))
		c.skip()
	}
}

// take returns the row at exactly p and goes past it; nil if the next one stands elsewhere.
func take[T any, P interface {
	*T
	row
}](ctx context.Context, c reader[T], p position) (P, error) {
	r, err := c.peek(ctx)
	if err != nil || r == nil || P(r).at() != p {
		return nil, err
	}
	taken := *r
	c.skip()
	return &taken, nil
}

// inLog is a difference at a place in the log.
func inLog(invariant string, p position, expected, found string) Difference {
	partition, offset := p.Partition, p.Offset
	return Difference{
		Invariant: invariant, Place: fmt.Sprintf("%s/%d offset %d", p.Topic, p.Partition, p.Offset),
		Topic: p.Topic, Partition: &partition, Offset: &offset,
		Expected: expected, Found: found,
	}
}
