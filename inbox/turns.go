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

	// Want comes before Load, and yields hashes of rows that the batch of items locks by name, the same in all handlers
	// of the process. It decides nothing but who waits where: a sample is enough, as long as it is the same one in all of
	// them. What is yielded is asked for before Load.
	Want(items []*Item) iter.Seq[uint64]
}

// turns are those of the lanes of one process. A batch takes its turn before it asks the database for anything, so that
// nobody waits for one that waits here.
type turns struct {
	mu    sync.Mutex
	taken []*turn // the oldest first
}

// turn is that of one batch, from when it is taken until its transaction has ended.
type turn struct {
	wanted map[uint64]struct{}

	decided   chan struct{} // closed when promise is there, or will not be
	over      chan struct{}
	promise   *promise       // set before decided is closed; nil: nobody can follow
	committed bool           // set before over is closed
	ended     bool           // over is closed; under the mutex of turns
	followers sync.WaitGroup // who still reads the promise
}

func newTurn() *turn { return &turn{decided: make(chan struct{}), over: make(chan struct{})} }

// take waits for all batches that took their turns earlier and want some of the same rows, and for after, which is the
// turn of one that holds the partition; nil = none does. If mayFollow it does not wait for the end of the last of them,
// but only until that is decided, and the one that it follows itself is over, and returns it, to be followed. It waits
// no longer than ctx, and returns nil then: who goes on all the same waits in the database, by its rules. The turn must
// be given back.
//
// Everyone waits for older ones only, so no two wait for each other: after was taken, and decided, before.
func (t *turns) take(
	ctx context.Context, mine *turn, wanted iter.Seq[uint64], after *turn, mayFollow bool,
) (ahead *turn) {
	mine.wanted = make(map[uint64]struct{})
	for hash := range wanted {
		mine.wanted[hash] = struct{}{}
	}
	others := t.enter(mine, after)
	if n := len(others); mayFollow && n > 0 {
		ahead, others = others[n-1], others[:n-1]
	}
	for _, other := range others {
		if await(ctx, other.over) != nil {
			return nil
		}
	}
	switch {
	case ahead == nil || await(ctx, ahead.decided) != nil:
		return nil
	case ahead.promise == nil:
		_ = await(ctx, ahead.over)
		return nil
	case ahead.promise.settled != nil && await(ctx, ahead.promise.settled) != nil:
		return nil
	}
	return ahead
}

// await waits until c is closed.
func await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter adds mine as the youngest, and returns what it has to wait for: after, if it has not ended, is the last.
func (t *turns) enter(mine, after *turn) (others []*turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, other := range t.taken {
		if other != after && other.meets(mine) {
			others = append(others, other)
		}
	}
	if after != nil && !after.ended {
		others = append(others, after)
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

// follow keeps the promise of ahead until it is let go of. False means that ahead is over.
func (t *turns) follow(ahead *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ahead.ended {
		return false
	}
	ahead.followers.Add(1)
	return true
}

// decide lets others follow mine, whose promise stays as it is until all of them have let go of it.
func (t *turns) decide(mine *turn, p *promise) {
	mine.promise = p
	close(mine.decided)
}

// give ends mine.
func (t *turns) give(mine *turn, committed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.taken, mine); i >= 0 {
		t.taken = slices.Delete(t.taken, i, i+1)
	}
	mine.committed, mine.ended = committed, true
	if mine.promise == nil {
		close(mine.decided)
	}
	close(mine.over)
}
