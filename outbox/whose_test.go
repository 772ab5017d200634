package outbox

import (
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

// openElsewhere is a transaction of another producer that has written to each partition of w's topic.
func (w *world) openElsewhere() (end func()) {
	w.t.Helper()
	c := kafkalog.Config("another", 10*time.Second)
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Transaction.ID, c.Producer.Transaction.Timeout = "another-"+uuid.NewString(), 5*time.Minute
	p, err := sarama.NewSyncProducer(w.brokers, c)
	w.answered("begin as another producer", err)
	w.t.Cleanup(func() { _ = p.Close() })
	w.answered("begin a transaction", p.BeginTxn())
	for partition := range int32(3) {
		_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: w.topic, Partition: partition})
		w.answered("send", err)
	}
	return func() { w.t.Helper(); w.answered("end the transaction", p.AbortTxn()) }
}

// begunAgain keeps how a relay ended a transaction again, and what it said.
func begunAgain(cfg Config) (Config, *testenv.Buffer, chan step) {
	var log testenv.Buffer
	began := make(chan step, 100)
	cfg.Log = zerolog.New(&log)
	cfg.steps = func(at step) {
		if at == stepBegunAgain || at == stepEndedAgain {
			began <- at
		}
	}
	return cfg, &log, began
}

func TestATransactionOfAnotherProducerIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, stop := w.start(w.config("first"))
	w.append("a", "b", "c")
	w.awaitAll()
	stop()
	end := w.openElsewhere()
	cfg, log, began := begunAgain(w.config("second"))
	w.start(cfg)
	w.append("a", "d")
	w.eventually("messages leave", func() bool { r := w.row(); return r.done == r.intent && r.done.id == w.lastID() })
	end()
	w.awaitAll()
	if said := log.String(); len(began) > 0 || strings.Contains(said, "transaction") {
		t.Errorf("it ended %d transactions, and said: %s", len(began), said)
	}
}

func TestOurOwnTransactionIsEndedAmongThoseOfOtherProducers(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, "transaction.partition.verification.enable=false")
	w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
	w.leaveOpen(kafka.Topic(1, nil), true)
	end := w.openElsewhere()
	cfg, log, began := begunAgain(w.config("second"))
	w.start(cfg)
	w.append("b")
	w.eventually("messages leave", func() bool { r := w.row(); return r.done == r.intent && r.done.id == w.lastID() })
	end()
	w.awaitAll()
	var steps []string
	for len(began) > 0 {
		steps = append(steps, string(<-began))
	}
	if got := strings.Join(steps, ", "); got != "begun again, ended again, begun again" {
		t.Errorf("it has %s", got)
	}
	if !strings.Contains(log.String(), "have not heard") {
		t.Errorf("it says: %s", log.String())
	}
}
