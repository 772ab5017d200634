package inbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

// Follower is a Contender whose batches need not wait for the commit of the one ahead of them: it is enough that that
// one is decided, so that what it will leave is known. A batch that follows locks and reads what the one ahead does not
// hold, decides on what that one leaves, and writes what needs none of its rows. It waits for the answer to the commit
// ahead. Then, in a third round trip, it locks the rows that were held, compares them with what it has decided on,
// writes them, and commits. So each batch still decides on what it is committed on, and only the waiting is gone. That
// the batch ahead did not commit, or another client was at a row in between, costs a second run.
type Follower interface {
	Contender

	// Decided is called after Apply. It returns what the handler's rows will be once its batch is committed, for another
	// handler's Follow; nil if nobody is to follow. It must stay as it is until the handler's next Want.
	Decided() any

	// Follow comes between Want and Load, and says that the batch can follow one that has left ahead: Load is to leave its
	// rows alone, and Apply to decide on what ahead says of them. samePartition means that records of one partition are
	// in both. ahead may be used until Apply has returned. False means that the batch cannot follow, and nothing else.
	Follow(ahead any, samePartition bool) bool

	// Confirm comes after the Apply of a batch that follows. What it queues must lock the rows that were held without
	// waiting, fail if one of them is not what Apply took it for, and write them. An error of Apply's writes may come
	// before it.
	Confirm(q *pgx.Batch)
}

// errAhead says that the batch ahead was not committed, or not as it was decided.
var errAhead = errors.New("the batch ahead was not committed")

// errMisled says that a batch failed that followed another: run again by itself, it will say for what.
var errMisled = errors.New("a batch that followed another has failed")

// errSlow says that the batch ahead takes longer than others are to wait for it.
var errSlow = errors.New("the batch ahead takes too long")

// errServer says that the batch ahead is on another server.
var errServer = errors.New("the batch ahead is on another server")

// promise is what a batch that was decided will have left once it is committed.
type promise struct {
	rows any                // the handler's
	seen map[identity]int64 // fingerprints of what it puts into the inbox

	// That answers its commit. After a failover that answer may be of no worth on the server where others go on: what they
	// find there can look like what was promised, and be something else.
	server time.Time

	// Closed when the batch that this one follows is over; nil = it follows none. Who follows this one reads what that one
	// has left, of which there is more than rows: what it has created is to be seen.
	settled <-chan struct{}
}

// trust says whether batches may follow each other. Where other members want the same rows, or what fails does so again
// and again, following is work for nothing: after each failure it is left for a while, which doubles. A zero trust is
// full.
type trust struct {
	mu       sync.Mutex
	failures int
	until    time.Time
}

const (
	distrust     = time.Second
	maxDoublings = 6
)

func (t *trust) given() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !time.Now().Before(t.until)
}

func (t *trust) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = time.Now().Add(distrust << min(t.failures, maxDoublings))
	t.failures++
}

func (t *trust) gain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = 0
}

// behind is the part of b whose partition the batch ahead holds; nil = there is none. There is no other part beside it.
func (b *batch) behind() *part {
	if len(b.parts) == 1 && b.parts[0].ahead != nil {
		return b.parts[0]
	}
	return nil
}

// lineUp has the batch take its turn: it waits for those of other lanes that it would meet in the database, no longer
// than it would wait there, and finds out if it can follow one of them. A part whose partition the batch ahead holds
// learns where that one leaves it; if that takes too long its records go back, and its lane to others.
func (l *lane) lineUp(ctx context.Context, t *transaction, items []*Item) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeouts.Ahead)
	defer cancel()
	behind := t.batch.behind()
	var after *turn
	if behind != nil {
		if after = behind.ahead.batch.turn; await(ctx, after.decided) != nil {
			return errAhead
		}
	}
	if c, ok := l.batches.(Contender); ok {
		l.takeTurn(ctx, t, c, items, after)
	}
	if behind == nil {
		return nil
	}
	ahead := behind.ahead
	if t.ahead != nil {
		behind.locked = &offsets.Locked{Incarnation: ahead.locked.Incarnation, Window: ahead.decided.Window}
		behind.deferred = true
	} else if await(ctx, after.over) != nil || !after.committed || !ahead.whole() {
		return errAhead
	}
	behind.from, behind.hash = ahead.decided.Next, ahead.decided.LastHash
	return nil
}

func (l *lane) takeTurn(ctx context.Context, t *transaction, c Contender, items []*Item, after *turn) {
	ctx, cancel := context.WithTimeout(ctx, l.timeouts.Lock)
	defer cancel()
	wanted := c.Want(items)
	f := l.follower(t.batch)
	may := t.batch.full && f != nil
	ahead := l.turns.take(ctx, t.batch.turn, wanted, after, may)
	if ahead == nil || !l.turns.follow(ahead) {
		return
	}
	t.letGo = sync.OnceFunc(ahead.followers.Done) // should Follow panic, too
	if (after == nil || after == ahead) && f.Follow(ahead.promise.rows, after != nil) {
		t.ahead, t.follower = ahead, f
		return
	}
	t.letGo()
	_ = await(ctx, ahead.over)
}

// follows reports whether batches of l can follow others. Under another isolation than read committed a snapshot is
// older than the commit that is waited for.
func (l *lane) follows() bool {
	_, ok := l.batches.(Follower)
	return ok && l.isolation == pgx.ReadCommitted
}

// follower is the handler if b may follow another batch, or be followed; else nil: where something has failed lately.
func (l *lane) follower(b *batch) Follower {
	if !l.follows() || !l.trust.given() {
		return nil
	}
	for _, p := range b.parts {
		if p.attempt != (attempt{}) {
			return nil
		}
	}
	f, _ := l.batches.(Follower)
	return f
}

// whole reports whether the part is decided to its end, and its partition goes on behind it.
func (p *part) whole() bool {
	return p.locked != nil && p.keep == len(p.works) && p.decided.Halt == nil && (p.clock == nil || !p.clock.short)
}

// decided lets other batches follow the transaction's, once its handler has decided it.
func (l *lane) decided(t *transaction) {
	f := l.follower(t.batch)
	if f == nil {
		return
	}
	for _, p := range t.batch.parts {
		if !p.whole() {
			return
		}
	}
	if rows := f.Decided(); rows != nil {
		p := &promise{rows: rows, seen: t.batch.seen, server: t.server}
		if t.ahead != nil {
			p.settled = t.ahead.over
		}
		l.turns.decide(t.batch.turn, p)
	}
}

// promised are the fingerprints of what the batch ahead puts into the inbox.
func (t *transaction) promised() map[identity]int64 {
	if t.ahead == nil {
		return nil
	}
	return t.ahead.promise.seen
}

// confirm queues, once the batch ahead is committed, what had to wait for that.
func (t *transaction) confirm(ctx context.Context, applied bool) (*pgx.Batch, error) {
	patience, cancel := context.WithTimeout(ctx, t.timeouts.Ahead)
	defer cancel()
	switch {
	case await(patience, t.ahead.over) != nil:
		return nil, errSlow
	case !t.ahead.committed:
		return nil, errAhead
	}
	q := &pgx.Batch{}
	if p := t.batch.behind(); p != nil && p.deferred {
		offsets.Confirm(q, t.batch.expected()[0], *p.locked)
	}
	if applied {
		t.follower.Confirm(q)
	}
	return q, nil
}
