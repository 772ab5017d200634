package openloop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// lookEvery is how often positions are read. A commit is noticed by the first query after it: what is reported is never
// shorter than what was, and longer by the time between two looks at most, which Gap tells.
const lookEvery = time.Millisecond

// Positions watches a topic's rows in offsets, from a connection of its own.
type Positions struct {
	conn  *pgx.Conn
	topic string
	gaps  []time.Duration // between two looks
	log
}

// NewPositions connects. Watch ends the connection.
func NewPositions(ctx context.Context, databaseURL, topic string) (*Positions, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return &Positions{conn: conn, topic: topic}, nil
}

const readPositions = `select partition, next from offsets where topic = $1`

// Watch looks until ctx ends.
func (p *Positions) Watch(ctx context.Context) error {
	defer func() { _ = p.conn.Close(context.WithoutCancel(ctx)) }()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("read positions: %w", err)
		}
		now := time.Now()
		p.gaps = append(p.gaps, now.Sub(last))
		last = now
	}
}

// Gap is the time between two looks that 99 % of them kept to, in milliseconds, once Watch has ended.
func (p *Positions) Gap() float64 {
	if len(p.gaps) == 0 {
		return 0
	}
	slices.Sort(p.gaps)
	return milliseconds(percentile(p.gaps, 99))
}

func (p *Positions) look(ctx context.Context) error {
	rows, err := p.conn.Query(ctx, readPositions, p.topic)
	if err != nil {
		return err
	}
	type position struct {
		Partition int32
		Next      int64
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[position])
	if err != nil {
		return err
	}
	now := time.Now()
	for _, f := range found {
		p.add(f.Partition, Seen{now, f.Next})
	}
	return nil
}

// Commits is what a contestant writes that tells of each commit itself: lines of partition, offset and the time in
// nanoseconds since 1970.
type Commits struct {
	rest []byte
	log
}

// AppendCommit appends one line.
func AppendCommit(b []byte, partition int32, offset int64, at time.Time) []byte {
	return fmt.Appendf(b, "%d %d %d\n", partition, offset, at.UnixNano())
}

// Write takes in what the contestant wrote.
func (c *Commits) Write(b []byte) (int, error) {
	c.rest = append(c.rest, b...)
	for {
		line, rest, found := bytes.Cut(c.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		var partition int32
		var offset, nanoseconds int64
		if _, err := fmt.Sscan(string(line), &partition, &offset, &nanoseconds); err != nil {
			return 0, errors.Join(fmt.Errorf("a contestant's commit %q", line), err)
		}
		c.rest = rest
		c.add(partition, Seen{time.Unix(0, nanoseconds), offset + 1})
	}
}

// log keeps what was seen.
type log struct {
	mu    sync.Mutex
	seen  map[int32][]Seen
	total int64
}

// add notes a position; one that has not moved says nothing new.
func (l *log) add(partition int32, s Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = make(map[int32][]Seen)
	}
	of := l.seen[partition]
	last := int64(0)
	if len(of) > 0 {
		last = of[len(of)-1].Next
	}
	if s.Next > last {
		l.seen[partition] = append(of, s)
		l.total += s.Next - last
	}
}

// Total is how many records are committed, in partitions whose logs begin at 0.
func (l *log) Total() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Seen returns everything, once nothing is added any more.
func (l *log) Seen() map[int32][]Seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}
