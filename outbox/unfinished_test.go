package outbox

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// unfinished leaves behind what a relay does that dies inside its commit: a transaction that has a message and the
// position, and is not ended. The client library does both in one call, so the requests are made by hand.
func (w *world) unfinished(upTo place) {
	w.t.Helper()
	id := ProducerID(w.install)
	broker, err := w.client.TransactionCoordinator(id)
	w.answered("find the transaction's coordinator", err)
	w.open(broker)
	producer, err := (&coordinator{w.client, id, 5 * time.Minute}).begin(w.t.Context())
	w.answered("begin as the producer", err)
	added, err := broker.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{
		Version: 3, TransactionalID: id, ProducerID: producer.id, ProducerEpoch: producer.epoch, GroupID: id,
	})
	w.answered("add the group", err)
	w.answered("add the group", code(added.Err))
	group, err := w.client.Coordinator(id)
	w.answered("find the group's coordinator", err)
	w.open(group)
	metadata := upTo.metadata(w.install)
	committed, err := group.TxnOffsetCommit(&sarama.TxnOffsetCommitRequest{
		Version: 3, TransactionalID: id, ProducerID: producer.id, ProducerEpoch: producer.epoch,
		GroupID: id, GenerationID: -1, Topics: map[string][]*sarama.PartitionOffsetMetadata{
			w.topic: {{Partition: 0, Offset: upTo.id, LeaderEpoch: -1, Metadata: &metadata}},
		},
	})
	w.answered("add the position", err)
	w.answered("add the position", code(committed.Topics[w.topic][0].Err))
}

func (w *world) open(b *sarama.Broker) {
	w.t.Helper()
	if err := b.Open(w.client.Config()); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
		w.t.Fatal(err)
	}
}

func (w *world) answered(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// code is nil for no error.
func code(err sarama.KError) error {
	if err == sarama.ErrNoError {
		return nil
	}
	return err
}

func TestARelayKilledInsideItsCommitIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	w, at := published(t)
	next := place{at.id + blockSize, at.turn + 1, at.by}
	w.exec(`update outbox_relay set intent = $1, intent_turn = $2`, next.id, next.turn)
	w.unfinished(next)
	w.append("a", "b")
	began := time.Now()
	w.start(w.config("heir"))
	w.awaitAll()
	// Not when the transaction's time is over, which the broker looks for every ten seconds at that.
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
}
