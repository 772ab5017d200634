package openloop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

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
func (l *log) Total(context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total, nil
}

// Seen returns everything, once nothing is added any more.
func (l *log) Seen(context.Context) (map[int32][]Seen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen, nil
}
