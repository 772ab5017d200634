package inbox

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

// closed is tallyBatch for which no "shut" is ever decided.
type closed struct{ tallyBatch }

func (b closed) Apply(q *pgx.Batch, fresh []*Item) error {
	if slices.ContainsFunc(fresh, func(i *Item) bool { return i.Body == "shut" }) {
		return errors.New("closed")
	}
	return b.tallyBatch.Apply(q, fresh)
}

// startWithoutNet runs a member whose client waits for as long as it takes until a record is taken, so that a partition
// whose records nobody takes stops all others of the broker for good.
func (w *world) startWithoutNet(cfg Config) {
	w.t.Helper()
	cfg.Memory = 1 // the least share there is
	c, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	c.handOver = time.Hour
	testenv.Background(w.t, patience, "the consumer", c.Run)
}

// many is more than the queue and the client's buffer hold.
const many = 5000

// padded reads words whose records are large, and counts the first partition's.
type padded struct {
	words
	read *atomic.Int64
}

func (d padded) Decode(r *Record) (Event, error) {
	if r.Partition == 0 {
		d.read.Add(1)
	}
	short := *r
	short.Value, _, _ = bytes.Cut(r.Value, []byte("|"))
	return d.words.Decode(&short)
}

func TestAFullPartitionHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	cfg := w.config()
	var read atomic.Int64
	cfg.NewBatch, cfg.Decoder = func() BatchHandler { return closed{} }, padded{read: &read}
	for values := range slices.Chunk(numbered("a", many, "shut|"+strings.Repeat("x", 1000)), 100) {
		w.send(0, values...) // a larger batch would come whole, whatever is asked for
	}
	w.send(1, "first apple")
	w.startWithoutNet(cfg)
	w.waitNext(1, 1)
	w.send(1, numbered("b", many, "apple")...)
	w.waitNext(1, many+1)
	if n, next := w.counted("apple"), w.next(0); n != many+1 || next != 0 {
		t.Errorf("counted %d, want %d; the other stands at %d, want 0", n, many+1, next)
	}
	// Its share, two answers of the broker and a bufferful.
	if n := read.Load(); n < minShare/2000 || n > 3*fetchMostBytes/1000+channelBuffer {
		t.Errorf("%d records of a partition were read that has no room", n)
	}
}

func TestAHaltedPartitionHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	cfg := w.config()
	cfg.MaxBatch = 50
	w.send(0, numbered("a", many, "!bad")...)
	w.send(1, "first apple")
	w.startWithoutNet(cfg)
	w.waitHalt(0, "parked_storm")
	w.send(1, numbered("b", many, "apple")...)
	w.waitNext(1, many+1)
	if n := w.counted("apple"); n != many+1 {
		t.Errorf("counted %d, want %d", n, many+1)
	}
}
