package outbox

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"onhand/internal/testenv"
)

// Transactions in whatever order their steps may come: the reader gets what was committed, once, in the order of the
// ids, and that of one key in the order in which its lock was held. The cluster is the test's own, because a
// transaction anywhere in it holds the reader up.
func TestWhatIsCommittedIsReadOnceAndInOrderHoweverTransactionsInterleave(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t).Database()
	pool := newKeys(t, url)
	writers := make([]*writer, 6)
	for i := range writers {
		writers[i] = newWriter(t, url)
	}
	rapid.Check(t, func(t *rapid.T) {
		play := newPlay(t, pool, writers)
		defer play.close()
		for !play.over() {
			play.step()
		}
		play.end()
	})
}

// What a transaction does. It has its transaction id before it draws an id for a message, and locks before that, too;
// how long before is its own affair.
const (
	actBegin    = "begin"
	actXID      = "xid"
	actLock     = "lock"
	actDraw     = "draw"
	actInsert   = "insert"
	actAppend   = "append"
	actPrepare  = "prepare"
	actCommit   = "commit"
	actRollback = "rollback"
)

// scripts are what transactions do, of which each play chooses. A lock is on the transaction's key.
var scripts = [][]string{
	{actXID, actLock, actDraw, actInsert},
	{actLock, actXID, actDraw, actInsert},
	{actXID, actDraw, actInsert},
	{actLock, actAppend},
	{actLock, actAppend, actAppend},
	{actAppend},
	{actXID},                   // a stranger
	{actXID, actDraw},          // ids that are never used
	{actXID, actLock, actDraw}, // the same, with others waiting for the lock
}

// act is one transaction of a play.
type act struct {
	*writer
	name     string
	key      string // empty: it locks nothing, and its messages have no key
	todo     []string
	started  bool
	prepared bool
	blocked  chan error // the lock it waits for
	said     []string
}

type play struct {
	t       *rapid.T
	pool    *pgxpool.Pool
	free    []*writer
	waiting []*act // those that have not begun
	running []*act
	holder  map[string]*act
	queue   map[string]*act // who waits for a key's lock; one at most, so that the order is known

	reader    *reader
	page      *page // grows until it is taken
	position  int64 // of what was taken
	committed map[string]bool
	byKey     map[string][]string // what was said under each key's lock, in the order of the locks
	read      []string
}

func newPlay(t *rapid.T, pool *pgxpool.Pool, writers []*writer) *play {
	p := &play{
		t: t, pool: pool, free: slices.Clone(writers), holder: make(map[string]*act), queue: make(map[string]*act),
		committed: make(map[string]bool), byKey: make(map[string][]string),
	}
	if err := pool.QueryRow(context.Background(), lastDrawn, blockSize-1).Scan(&p.position); err != nil {
		t.Fatal(err)
	}
	p.openReader()
	for i := range rapid.IntRange(1, 12).Draw(t, "transactions") {
		script := rapid.SampledFrom(scripts).Draw(t, "script")
		a := &act{name: fmt.Sprintf("t%d", i), todo: append([]string{actBegin}, script...)}
		if slices.Contains(script, actLock) {
			a.key = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
		}
		if rapid.IntRange(0, 5).Draw(t, "prepare") == 0 {
			a.todo = append(a.todo, actPrepare)
		}
		a.todo = append(a.todo, rapid.SampledFrom([]string{actCommit, actCommit, actRollback}).Draw(t, "end"))
		p.waiting = append(p.waiting, a)
	}
	return p
}

// openReader is what a new session of the relay does.
func (p *play) openReader() {
	p.reader = &reader{
		db: p.pool, after: p.position, limit: rapid.SampledFrom([]int{1, 2, 1000}).Draw(p.t, "limit"),
		most: rapid.SampledFrom([]int{2, 5, 0}).Draw(p.t, "most"),
	}
	p.reader.horizon.safe = p.position
	p.page = &page{}
}

func (p *play) over() bool { return len(p.waiting) == 0 && len(p.running) == 0 }

// step does the next step of one transaction, begins one, or reads.
func (p *play) step() {
	var ready []*act
	for _, a := range p.running {
		if a.blocked == nil && (a.todo[0] != actLock || p.queue[a.key] == nil) {
			ready = append(ready, a)
		}
	}
	if len(p.waiting) > 0 && len(p.free) > 0 {
		ready = append(ready, p.waiting[0])
	}
	switch n := rapid.IntRange(0, 9).Draw(p.t, "what"); {
	case n == 0:
		p.openReader()
	case n <= 3 || len(ready) == 0:
		p.listen(rapid.Bool().Draw(p.t, "take"))
	default:
		p.do(rapid.SampledFrom(ready).Draw(p.t, "who"))
	}
}

func (p *play) do(a *act) {
	step := a.todo[0]
	a.todo = a.todo[1:]
	switch step {
	case actBegin:
		p.begin(a)
	case actXID:
		a.exec(haveTransactionID)
	case actLock:
		p.lock(a)
	case actDraw:
		a.draw(rapid.SampledFrom([]int{1, 2, blockSize + 1}).Draw(p.t, "ids"))
	case actInsert:
		a.ids = a.ids[len(a.ids)-min(len(a.ids), 2):] // others stay unused
		p.say(a, len(a.ids))
		p.insert(a)
	case actAppend:
		p.append(a)
	case actPrepare:
		a.exec(`prepare transaction '` + a.name + `'`)
		a.prepared = true
	default:
		p.finish(a, step)
	}
}

func (p *play) begin(a *act) {
	p.waiting = p.waiting[1:]
	a.writer, p.free = p.free[0], p.free[1:]
	a.t = p.t
	p.running = append(p.running, a)
	a.exec(`begin`)
	a.started = true
}

// lock takes the key's lock, or begins to wait for it.
func (p *play) lock(a *act) {
	if p.holder[a.key] == nil {
		a.lock(a.key)
		p.holder[a.key] = a
		return
	}
	p.queue[a.key] = a
	a.blocked = make(chan error, 1)
	go func() {
		_, err := a.conn.Exec(context.Background(), `select from keys where key = $1 for update`, a.key)
		a.blocked <- err
	}()
}

// unlock hands the lock to the one that waits.
func (p *play) unlock(a *act) {
	if a.key == "" || p.holder[a.key] != a {
		return
	}
	next := p.queue[a.key]
	p.holder[a.key], p.queue[a.key] = next, nil
	if next == nil {
		return
	}
	select {
	case err := <-next.blocked:
		if err != nil {
			p.t.Fatalf("lock %s: %v", next.key, err)
		}
	case <-time.After(patience):
		p.t.Fatalf("no lock on %s", next.key)
	}
	next.blocked = nil
}

// say notes what a is about to write.
func (p *play) say(a *act, n int) (values []string) {
	for range n {
		values = append(values, fmt.Sprintf("%s %s.%d", a.key, a.name, len(a.said)))
		a.said = append(a.said, values[len(values)-1])
	}
	if a.key != "" {
		p.byKey[a.key] = append(p.byKey[a.key], values...)
	}
	return values
}

func (p *play) insert(a *act) {
	q := messages("t", a.key, a.said[len(a.said)-len(a.ids):]...)
	a.send(func(b *pgx.Batch) { Queue(b, a.ids, q) })
}

func (p *play) append(a *act) {
	values := p.say(a, rapid.IntRange(1, 2).Draw(p.t, "messages"))
	if _, err := Append(context.Background(), a.conn, messages("t", a.key, values...)...); err != nil {
		p.t.Fatalf("append: %v", err)
	}
}

func (p *play) finish(a *act, how string) {
	sql := how
	if a.prepared {
		sql += ` prepared '` + a.name + `'`
	}
	a.exec(sql)
	a.started = false
	if how == actCommit {
		for _, v := range a.said {
			p.committed[v] = true
		}
	}
	p.unlock(a)
	p.running = slices.DeleteFunc(p.running, func(other *act) bool { return other == a })
	p.free = append(p.free, a.writer)
}

// listen lets the page grow, and may take it: all of it must be committed, and new.
func (p *play) listen(take bool) {
	if !p.page.full(p.reader.mostMessages()) {
		if _, err := p.reader.extend(context.Background(), p.page); err != nil {
			p.t.Fatalf("read: %v", err)
		}
	}
	if !take || len(p.page.messages) == 0 {
		return
	}
	for _, m := range p.page.messages {
		v := string(m.payload)
		if m.id <= p.position {
			p.t.Fatalf("%q has id %d, and %d was read before", v, m.id, p.position)
		}
		if !p.committed[v] {
			p.t.Fatalf("%q is read, and not committed", v)
		}
		p.position = m.id
		p.read = append(p.read, v)
	}
	if p.page.upTo != p.position {
		p.t.Fatalf("a page that ends with id %d goes up to %d", p.position, p.page.upTo)
	}
	p.page = &page{}
}

// end reads the rest and compares: nothing is missing, nothing is twice, and each key has the order of its lock.
func (p *play) end() {
	// No transaction of ours is left, and nobody else has any that lasts.
	const within = 5 * time.Second
	for deadline := time.Now().Add(within); len(p.read) < len(p.committed) && time.Now().Before(deadline); {
		p.listen(true)
	}
	p.listen(true)
	if len(p.read) != len(p.committed) {
		p.t.Fatalf("%d messages were read, %d committed: %q", len(p.read), len(p.committed), p.read)
	}
	for key, said := range p.byKey {
		want := slices.DeleteFunc(slices.Clone(said), func(v string) bool { return !p.committed[v] })
		got := slices.DeleteFunc(slices.Clone(p.read), func(v string) bool { return v[:1] != key })
		if !slices.Equal(got, want) {
			p.t.Fatalf("key %s: read %q, locked in the order %q", key, got, want)
		}
	}
}

// close ends what a play that failed has left open.
func (p *play) close() {
	for _, a := range p.running {
		switch {
		case a.prepared:
			_, _ = a.conn.Exec(context.Background(), `rollback prepared '`+a.name+`'`)
		case a.blocked == nil && a.started:
			_, _ = a.conn.Exec(context.Background(), `rollback`)
		}
	}
	for _, a := range p.running {
		if a.blocked != nil {
			<-a.blocked
			_, _ = a.conn.Exec(context.Background(), `rollback`)
		}
	}
}
