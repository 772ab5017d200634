package outbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"onhand/internal/testenv"
)

// writer is a transaction that is taken step by step, on a connection of its own.
type writer struct {
	t    rapid.TB
	conn *pgx.Conn
	ids  []int64
}

func newWriter(t *testing.T, url string) *writer {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &writer{t: t, conn: conn}
}

func (w *writer) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.conn.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// begin begins the transaction and draws its id.
func (w *writer) begin() {
	w.t.Helper()
	w.exec(`begin`)
	w.exec(haveTransactionID)
}

func (w *writer) lock(key string) {
	w.t.Helper()
	w.exec(`select from keys where key = $1 for update`, key)
}

func (w *writer) draw(n int) {
	w.t.Helper()
	w.send(func(q *pgx.Batch) { Draw(q, n, &w.ids) })
}

// insert writes a message for each id that was drawn.
func (w *writer) insert(key, value string) {
	w.t.Helper()
	w.send(func(q *pgx.Batch) {
		Queue(q, w.ids, messages("t", key, slices.Repeat([]string{value}, len(w.ids))...))
	})
}

func (w *writer) send(queue func(q *pgx.Batch)) {
	w.t.Helper()
	q := &pgx.Batch{}
	queue(q)
	if err := w.conn.SendBatch(context.Background(), q).Close(); err != nil {
		w.t.Fatalf("send a batch: %v", err)
	}
}

// newKeys is a pool of a database with rows to lock.
func newKeys(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool := testenv.Pool(t, url)
	_, err := pool.Exec(t.Context(), `
create table keys (key text primary key); insert into keys values ('a'), ('b'), ('c')`)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// payloads reads what may be read now.
func payloads(t rapid.TB, r *reader) (values []string) {
	t.Helper()
	for {
		p, err := r.read(context.Background())
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if p == nil {
			return values
		}
		for _, m := range p.messages {
			values = append(values, string(m.payload))
		}
	}
}

// waitPayloads reads until n messages came: other tests have transactions that run, too.
func waitPayloads(t *testing.T, r *reader, n int) (values []string) {
	t.Helper()
	testenv.Eventually(t, patience, "the messages can be read", func() bool {
		values = append(values, payloads(t, r)...)
		return len(values) >= n
	})
	return values
}

// neverBack looks at the last id again and again, in the database, where a look is quick.
const neverBack = `
do $do$
declare
  before bigint := 0;
  now bigint;
begin
  for i in 1..200000 loop
    execute $$ %s $$ into now;
    if now < before then
      raise exception 'it went from %% back to %%', before, now;
    end if;
    before := now;
  end loop;
end $do$`

func TestTheLastIDIsNeverTakenForMoreThanWasDrawn(t *testing.T) {
	t.Parallel()
	pool := testenv.Pool(t, testenv.Database(t))
	ctx, stop := context.WithCancel(t.Context())
	var drawing errgroup.Group
	for range 2 {
		drawing.Go(func() error {
			for ctx.Err() == nil {
				if _, err := pool.Exec(t.Context(), drawNumber, 100_000); err != nil {
					return err
				}
			}
			return nil
		})
	}
	look := strings.ReplaceAll(lastDrawn, "$1", strconv.Itoa(blockSize-1))
	if _, err := pool.Exec(t.Context(), fmt.Sprintf(neverBack, look)); err != nil {
		t.Error(err)
	}
	stop()
	if err := drawing.Wait(); err != nil {
		t.Error(err)
	}
}

func TestMessagesCommittedInTheOppositeOrderOfTheirIdsAreReadInTheOrderOfTheirIds(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	r := &reader{db: newKeys(t, url), limit: 1000}
	first, second := newWriter(t, url), newWriter(t, url)
	for i, w := range []*writer{first, second} {
		w.begin()
		w.draw(2)
		w.insert("", []string{"first", "second"}[i])
	}
	second.exec(`commit`)
	for range 20 {
		if got := payloads(t, r); got != nil {
			t.Fatalf("read %q past a transaction that may still commit", got)
		}
	}
	first.exec(`commit`)
	if got := waitPayloads(t, r, 4); !slices.Equal(got, []string{"first", "first", "second", "second"}) {
		t.Errorf("read %q", got)
	}
}

func TestATransactionThatBeganEarlyAndLocksLateComesInTheOrderOfItsLock(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	r := &reader{db: newKeys(t, url), limit: 1000}
	early, late := newWriter(t, url), newWriter(t, url)
	early.begin() // its transaction id is the lower one
	late.begin()
	late.lock("a")
	late.draw(1)
	late.insert("a", "locked first")
	late.exec(`commit`)
	if got := payloads(t, r); got != nil {
		t.Fatalf("read %q past a transaction with a lower id", got)
	}
	early.lock("a")
	early.draw(1)
	early.insert("a", "locked second")
	early.exec(`commit`)
	if got := waitPayloads(t, r, 2); !slices.Equal(got, []string{"locked first", "locked second"}) {
		t.Errorf("read %q", got)
	}
}

func TestATransactionThatIsRolledBackLetsTheOthersGoOnAndLeavesNothing(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	r := &reader{db: newKeys(t, url), limit: 1000}
	failed, other := newWriter(t, url), newWriter(t, url)
	failed.begin()
	failed.draw(3)
	failed.insert("", "never")
	other.begin()
	other.draw(1)
	other.insert("", "always")
	other.exec(`commit`)
	if got := payloads(t, r); got != nil {
		t.Fatalf("read %q too early", got)
	}
	failed.exec(`rollback`)
	if got := waitPayloads(t, r, 1); !slices.Equal(got, []string{"always"}) {
		t.Errorf("read %q", got)
	}
}

func TestMessagesAreReadWhileOthersThatCameLaterAreOpen(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := newKeys(t, url)
	r := &reader{db: pool, limit: 1000}
	if _, err := appendTo(pool, messages("t", "", "early")...); err != nil {
		t.Fatal(err)
	}
	// The reader has asked before the other one begins: what it waits for is over some time, however many follow.
	if err := r.horizon.look(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	open := newWriter(t, url)
	open.begin()
	open.draw(1)
	open.insert("", "open")
	if got := waitPayloads(t, r, 1); !slices.Equal(got, []string{"early"}) {
		t.Errorf("read %q", got)
	}
	open.exec(`rollback`)
}

// An idle relay must not use up transaction ids: a database has a bounded supply of them.
func TestAReaderThatFindsNothingNewDrawsNoTransactionIds(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := newKeys(t, url)
	if _, err := appendTo(pool, messages("t", "", "one")...); err != nil {
		t.Fatal(err)
	}
	r := &reader{db: pool, limit: 1000}
	waitPayloads(t, r, 1)
	testenv.Eventually(t, patience, "nothing is waited for", func() bool {
		payloads(t, r)
		_, waiting := r.horizon.waiting()
		return !waiting
	})
	for range 10 {
		payloads(t, r)
	}
	if n := len(r.horizon.samples); n != 0 {
		t.Errorf("%d transaction ids were drawn for nothing", n)
	}
}

// slowTx does something before each batch but the first.
type slowTx struct {
	pgx.Tx
	between func()
	batches int
}

func (tx *slowTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if tx.batches++; tx.batches > 1 {
		tx.between()
	}
	return tx.Tx.SendBatch(ctx, b)
}

func TestAnIdThatWasDrawnIsWaitedForEvenBeforeItsMessageIsWritten(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := newKeys(t, url)
	r := &reader{db: pool, limit: 1000}
	// The first number of a sequence takes a transaction id by itself, and most of the next ones do not.
	if _, err := appendTo(pool, messages("t", "", "first")...); err != nil {
		t.Fatal(err)
	}
	waitPayloads(t, r, 1)
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		slow := &slowTx{Tx: tx, between: func() {
			for range 20 {
				if got := payloads(t, r); got != nil {
					t.Errorf("read %q", got)
				}
			}
		}}
		_, err := Append(t.Context(), slow, messages("t", "", "late")...)
		if slow.batches < 2 {
			t.Error("this test is about what happens between drawing ids and writing messages")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := waitPayloads(t, r, 1); !slices.Equal(got, []string{"late"}) {
		t.Errorf("read %q", got)
	}
}

// read returns the next page, or nil if nothing may be read yet.
func (r *reader) read(ctx context.Context) (*page, error) {
	p := &page{}
	if grown, err := r.extend(ctx, p); err != nil || !grown {
		return nil, err
	}
	return p, nil
}
