package peer

import (
	"io"
	"sync"
	"time"

	"onhand/bench/internal/openloop"
)

// commits are lines about commits that were not written yet: a write for each would be in the way.
type commits struct {
	mu    sync.Mutex
	lines []byte
}

// Committed says that a record is committed now, if whoever started the job wants to know of each one.
func (j Job) Committed(partition int32, offset int64) {
	if j.commits == nil {
		return
	}
	now := time.Now()
	j.commits.mu.Lock()
	defer j.commits.mu.Unlock()
	j.commits.lines = openloop.AppendCommit(j.commits.lines, partition, offset, now)
}

func (c *commits) flush(w io.Writer) error {
	c.mu.Lock()
	lines := c.lines
	c.lines = nil
	c.mu.Unlock()
	_, err := w.Write(lines)
	return err
}
