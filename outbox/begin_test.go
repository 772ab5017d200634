package outbox

import (
	"testing"
	"time"

	"onhand/internal/testenv"
)

// The broker is frozen, so the session that the lease is for does not begin; the lease must not run out for it.
func TestTheLeaseIsKeptWhileASessionBegins(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t)
	w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
	kafka.Freeze()
	defer kafka.Thaw()
	first := w.config("first")
	first.LeaseTime, first.TransactionTimeout = time.Second, 10*time.Second
	w.start(first)
	w.eventually("it has the lease", func() bool { return w.row().owner == "first" })
	second := w.config("second")
	second.LeaseTime = time.Second
	w.start(second)
	w.stays("it keeps the lease", 3*time.Second, func() bool { return w.row().owner == "first" })
	kafka.Thaw()
	w.append("a", "b")
	w.awaitAll()
}
