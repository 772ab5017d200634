package inbox

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

// asking asks what its transaction runs under.
type asking struct {
	tallyBatch
	mu   *sync.Mutex
	told *[3]string
}

func (a asking) Load(q *pgx.Batch, items []*Item, locks Locks) {
	q.Queue(`select current_setting('lock_timeout'), current_setting('statement_timeout'),
	  current_setting('idle_in_transaction_session_timeout')`).QueryRow(func(row pgx.Row) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		return row.Scan(&a.told[0], &a.told[1], &a.told[2])
	})
	a.tallyBatch.Load(q, items, locks)
}

func TestABatchRunsUnderItsTimeouts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a := asking{mu: new(sync.Mutex), told: new([3]string)}
	cfg := w.config()
	cfg.NewBatch = func() BatchHandler { return a }
	w.send(0, "1 apple")
	w.start(cfg)
	w.waitNext(0, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if want := [3]string{"250ms", "2s", "2s"}; *a.told != want {
		t.Errorf("lock, statement and idle timeouts are %v, want %v", *a.told, want)
	}
	var left string
	w.scan([]any{&left}, `select current_setting('statement_timeout')`)
	if left != "0" {
		t.Errorf("the connection keeps statement_timeout %s after the batch", left)
	}
}

func TestABatchThatWasCutShortGrowsToItsFullLengthAgain(t *testing.T) {
	t.Parallel()
	l := &lane{dispatcher: newDispatcher(10, 1<<20)}
	next := attempt{solo: true, limit: 1}
	var limits []int
	for next.limit > 0 && len(limits) < 10 {
		limits = append(limits, next.limit)
		works := make([]*work, next.limit)
		p := &part{claim: &claim{}, works: works, keep: len(works), locked: &offsets.Locked{}, attempt: next}
		b := &batch{parts: []*part{p}}
		next = l.advanced(b)[0].attempt
	}
	if len(limits) != 4 || next.solo {
		t.Errorf("limits %v, then %+v; want 1, 2, 4, 8 and none", limits, next)
	}
}
