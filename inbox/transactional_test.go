package inbox

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/kafkalog"
)

// transactional is a producer whose records are seen when its transaction commits.
func transactional(t *testing.T, brokers []string) sarama.SyncProducer {
	t.Helper()
	config := kafkalog.Config("test-transactional", 10*time.Second)
	config.Net.MaxOpenRequests = 1
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Transaction.ID = "test-" + uuid.NewString()
	p, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func (w *world) transact(p sarama.SyncProducer, commit bool, values ...string) {
	w.t.Helper()
	if err := p.BeginTxn(); err != nil {
		w.t.Fatal(err)
	}
	for _, v := range values {
		if err := trySend(p, w.topic, 0, v); err != nil {
			w.t.Fatal(err)
		}
	}
	end := p.AbortTxn
	if commit {
		end = p.CommitTxn
	}
	if err := end(); err != nil {
		w.t.Fatal(err)
	}
}

func TestAbortedRecordsAreSkippedAndTheEndOfAnIdleLogIsReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p := transactional(t, w.brokers)
	w.transact(p, true, "1 apple", "2 apple")  // 0, 1, marker 2
	w.transact(p, false, "3 apple", "4 apple") // 3, 4, marker 5
	w.transact(p, true, "5 apple")             // 6, marker 7
	w.transact(p, false, "6 apple")            // 8, marker 9
	_, stop := w.start(w.config())
	w.waitNext(0, 10)
	var applied, skipped int64
	w.scan([]any{&applied, &skipped}, `select applied, skipped from offsets`)
	if applied != 3 || skipped != 7 || w.counted("apple") != 3 {
		t.Errorf("applied %d skipped %d counted %d, want 3 7 3", applied, skipped, w.counted("apple"))
	}
	// Retention empties the log: a position before the last marker would now be out of range.
	deleteRecords(t, w.brokers, w.topic, map[int32]int64{0: 10})
	stop()
	w.start(w.config())
	w.transact(p, true, "7 apple")
	w.waitNext(0, 12)
	if r := w.haltReason(0); r != "" || w.counted("apple") != 4 {
		t.Errorf("halted %q, counted %d, want running and 4", r, w.counted("apple"))
	}
}

func TestRecordsOfAnOpenTransactionWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.start(w.config())
	p := transactional(t, w.brokers)
	w.transact(p, true, "1 apple")
	if err := p.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	if err := trySend(p, w.topic, 0, "2 apple"); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 2)
	if n := w.counted("apple"); n != 1 {
		t.Fatalf("counted %d with a transaction open, want 1", n)
	}
	if err := p.CommitTxn(); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 4)
	if n := w.counted("apple"); n != 2 {
		t.Errorf("counted %d, want 2", n)
	}
}
