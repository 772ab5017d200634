package inbox

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// indivisible cannot even load one word.
type indivisible struct{ tallyBatch }

func (indivisible) Load(q *pgx.Batch, items []*Item, locks Locks) {
	for _, item := range items {
		if item.Body == "indivisible" {
			q.Queue(`select 1 / $1::integer`, 0)
		}
	}
	tallyBatch{}.Load(q, items, locks)
}

func TestAValueThatTheDatabaseRefusesWhileLoadingParksItsRecordAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	cfg := w.config()
	cfg.NewBatch = func() BatchHandler { return indivisible{} }
	w.send(0, "1 apple", "2 apple", "3 indivisible", "4 apple")
	w.start(cfg)
	w.waitNext(0, 4)
	if n := w.counted("apple"); n != 3 {
		t.Errorf("counted %d, want 3", n)
	}
	if n := w.number(`select count(*) from dead_letters where "offset" = 2 and reason = 'refused_by_database'`); n != 1 {
		t.Error("the record is not parked")
	}
}
