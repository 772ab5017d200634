package inbox

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"onhand/offsets"
)

// token is the claim on partition 0.
func (w *world) token() (token uuid.UUID) {
	w.t.Helper()
	w.scan([]any{&token}, `select token from offsets where partition = 0`)
	return token
}

func TestACommitWhoseFateIsUnknownCostsNoClaim(t *testing.T) {
	t.Parallel()
	for name, reached := range map[string]bool{"it reached the database": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			n := newNetwork(t, w.databaseAddress())
			var armed atomic.Bool
			var asked atomic.Int64
			n.pass = func(said []byte, byClient bool) bool {
				if !armed.Load() {
					return true
				}
				if reached {
					return byClient || !bytes.Contains(said, []byte("COMMIT")) || !armed.CompareAndSwap(true, false)
				}
				// Ids are said twice: first to look them up, then to store them, with the commit.
				if !byClient || !bytes.Contains(said, []byte("fateful")) || asked.Add(1) < 2 {
					return true
				}
				armed.Store(false)
				return false
			}
			cfg := w.config()
			cfg.Pool, cfg.Lanes = w.by(n.address), 1
			w.start(cfg)
			w.send(0, "warm apple")
			w.waitNext(0, 1)
			before := w.token()
			for i := range 3 {
				asked.Store(0)
				armed.Store(true)
				w.send(0, fmt.Sprintf("fateful-%d apple", i))
				w.waitNext(0, int64(2*i+2))
				w.eventually("the connection was cut", func() bool { return !armed.Load() })
				w.send(0, fmt.Sprintf("calm-%d apple", i)) // where it stands is known again when this one is applied
				w.waitNext(0, int64(2*i+3))
			}
			if n := w.counted("apple"); n != 7 {
				t.Errorf("counted %d, want 7", n)
			}
			if w.token() != before {
				t.Error("the partition was claimed anew")
			}
		})
	}
}

func TestNoBatchRunsWhileTheInboxIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.pool = w.named("replaced-" + w.group)
	w.start(w.config())
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	exclusive := strings.Replace(offsets.LockGeneration, "_shared(", "(", 1)
	if _, err := tx.Exec(t.Context(), `select `+exclusive); err != nil {
		t.Fatal(err)
	}
	w.send(0, "2 apple")
	w.eventually("a batch waits for it", func() bool {
		return w.number(`select count(*) from pg_locks l join pg_locks mine using (classid, objid, objsubid)
		  where l.locktype = 'advisory' and not l.granted and mine.granted and mine.pid = $1`, tx.Conn().PgConn().PID()) > 0
	})
	if n := w.number(`select count(*) from pg_stat_activity a join pg_locks l using (pid)
	  where l.locktype = 'advisory' and not l.granted and a.backend_xid is null and a.application_name = $1`,
		w.pool.Config().ConnConfig.RuntimeParams["application_name"]); n != 0 {
		t.Error("it waits for a lock before it has a transaction id: the outbox's horizon would pass it")
	}
	if next := w.next(0); next != 1 {
		t.Errorf("a batch went on to %d", next)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 2)
}
