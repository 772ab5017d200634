// Package health says over HTTP whether the process lives and whether it can work.
package health

import (
	"maps"
	"sync"
)

// The parts that must be usable for the process to be ready. One halted partition is none of them: it is a state and an
// alarm, and restarting the process would not help it.
const (
	Database   = "database"
	Schema     = "schema"
	Broker     = "broker"
	Partitions = "partitions" // not usable = every owned partition is halted
)

// Board is what is known about each part. It is safe for concurrent use.
type Board struct {
	mu      sync.Mutex
	reasons map[string]string
	asked   map[string]func() error
}

// NewBoard returns a board on which every part is still starting.
func NewBoard(parts ...string) *Board {
	b := &Board{reasons: make(map[string]string, len(parts)), asked: make(map[string]func() error)}
	for _, part := range parts {
		b.reasons[part] = "starting"
	}
	return b
}

// Set says that part is usable, or why it is not, in words that carry no secrets.
func (b *Board) Set(part string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.reasons, part)
		return
	}
	b.reasons[part] = err.Error()
}

// Ask lets part speak for itself from now on: ask is called at every look at the board, and must not block. What Set
// says counts as well.
func (b *Board) Ask(part string, ask func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[part] = ask
}

// Reasons is why the process is not ready, by part; empty = ready. The map is the caller's.
func (b *Board) Reasons() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	reasons := maps.Clone(b.reasons)
	for part, ask := range b.asked {
		if err := ask(); err != nil {
			reasons[part] = err.Error()
		}
	}
	return reasons
}
