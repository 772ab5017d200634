package inbox

import (
	"context"
	"iter"
	"slices"
	"sync"
)

// Contender is a BatchHandler that says which rows a batch locks, as far as its items name them. Lanes of one process
// that want the same rows then take turns here, and not in the database, where the one that waits would hold the locks
// that it has already, and have each row that it waited for looked up twice.
type Contender interface {
	BatchHandler

	// Wanted yields hashes of rows that the batch of the last Load locks by name, the same in all handlers of the process.
	// It decides nothing but who waits where: a sample is enough, as long as it is the same one in all of them.
	Wanted() iter.Seq[uint64]
}

// turns are those of the lanes of one process. A batch takes its turn before it asks the database for anything, so that
// nobody waits for one that waits here.
type turns struct {
	mu    sync.Mutex
	taken []*turn // the oldest first
}

// turn is that of one lane's batch.
type turn struct {
	wanted map[uint64]struct{}
	over   chan struct{}
}

// take waits for all batches that took their turns earlier and want some of the same rows, and not beyond the end of
// ctx: who goes on then waits in the database, by its rules. The turn must be given back.
func (t *turns) take(ctx context.Context, mine *turn, wanted iter.Seq[uint64]) {
	if mine.wanted == nil {
		mine.wanted = make(map[uint64]struct{})
	}
	clear(mine.wanted)
	for hash := range wanted {
		mine.wanted[hash] = struct{}{}
	}
	mine.over = make(chan struct{})
	for _, over := range t.enter(mine) {
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
	}
}

// enter adds mine as the youngest, and returns what it has to wait for. Everyone waits for older ones only, so no two
// wait for each other.
func (t *turns) enter(mine *turn) (others []<-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, other := range t.taken {
		if other.meets(mine) {
			others = append(others, other.over)
		}
	}
	t.taken = append(t.taken, mine)
	return others
}

func (t *turn) meets(other *turn) bool {
	if len(t.wanted) > len(other.wanted) {
		t, other = other, t
	}
	for hash := range t.wanted {
		if _, both := other.wanted[hash]; both {
			return true
		}
	}
	return false
}

// give ends mine, if it was taken.
func (t *turns) give(mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.taken, mine); i >= 0 {
		t.taken = slices.Delete(t.taken, i, i+1)
		close(mine.over)
	}
}
