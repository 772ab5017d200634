package outbox

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/internal/testenv"
)

// The broker stands still for longer than its session lasts. When it goes on it first takes itself for gone: for a
// moment no partition has a leader, and Kafka may pass over them when it ends a transaction.
func TestABrokerFrozenInTheMiddleOfTurnsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t)
	var worlds []*world
	var armed atomic.Bool
	var arrived sync.WaitGroup
	frozen := make(chan struct{})
	for _, where := range []step{stepSent, stepIntended, stepCommitted} {
		w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
		worlds = append(worlds, w)
		var once sync.Once
		cfg := w.config(string(where))
		cfg.steps = func(at step) {
			if at == where && armed.Load() {
				once.Do(func() { arrived.Done(); <-frozen })
			}
		}
		w.start(cfg)
		w.append("a", "b")
		w.awaitAll()
		arrived.Add(1)
	}
	armed.Store(true)
	var stops []func()
	for _, w := range worlds {
		stops = append(stops, w.feed(1, 20*time.Millisecond))
	}
	arrived.Wait()
	kafka.Freeze()
	close(frozen)
	pause(context.Background(), 5*time.Second)
	kafka.Thaw()
	for i, w := range worlds {
		stops[i]()
		w.append("a", "b")
		w.awaitAll()
	}
}
