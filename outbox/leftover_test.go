package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

func TestTheEndOfATransactionThatNobodyHeardOfIsToldAgain(t *testing.T) {
	t.Parallel()
	// It takes records of a transaction which their partition was never added to, and leaves them open when that ends, as
	// brokers do that lose a partition's marker.
	kafka := testenv.Kafka(t, "transaction.partition.verification.enable=false")
	elsewhere := kafka.Topic(1, nil)
	for name, commit := range map[string]bool{"an abort": false, "a commit": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
			_, stop := w.start(w.config("first"))
			w.append("a")
			w.awaitAll()
			stop()

			w.append("b", "c")
			upTo := place{id: w.lastID(), turn: w.row().done.turn + 1, by: uuid.New()}
			w.exec(`update outbox_relay set intent = $1, intent_turn = $2, intent_by = $3`, upTo.id, upTo.turn, upTo.by)
			w.loseEnd(elsewhere, upTo, commit, "b", "c")
			w.start(w.config("second"))
			w.append("b")
			w.awaitAll()
		})
	}
}

// loseEnd does what a turn does that takes the first message of each of keys out, and the position to upTo, and ends it
// so that Kafka tells elsewhere alone: it ends no transaction that is nowhere.
func (w *world) loseEnd(elsewhere string, upTo place, commit bool, keys ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := &coordinator{w.client, ProducerID(w.install), 5 * time.Second}
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	p, err := c.begin(ctx)
	must(err)
	for _, key := range keys {
		must(w.produceOpen(c.id, p, key))
	}
	must(w.commitOpen(c.id, p, upTo))
	_, err = c.add(ctx, p, []kafkalog.TopicPartition{{Topic: elsewhere}})
	must(err)
	must(c.end(ctx, p, commit))
	if open, err := w.outside.openTransaction(ctx); err != nil || !open {
		w.t.Fatalf("nothing is left open (%v)", err)
	}
}

// produceOpen writes message 1 of key for the transaction of p, to the partition where the relay writes it.
func (w *world) produceOpen(id string, p producerID, key string) error {
	partition, err := sarama.NewMurmur2Partitioner(w.topic).Partition(
		&sarama.ProducerMessage{Topic: w.topic, Key: sarama.StringEncoder(key)}, 3)
	if err != nil {
		return err
	}
	leader, err := w.client.Leader(w.topic, partition)
	if err != nil {
		return err
	}
	request := &sarama.ProduceRequest{
		Version: 7, TransactionalID: &id, RequiredAcks: sarama.WaitForAll, Timeout: 5000,
	}
	now := time.Now()
	request.AddBatch(w.topic, partition, &sarama.RecordBatch{
		Version: 2, ProducerID: p.id, ProducerEpoch: p.epoch, IsTransactional: true, FirstTimestamp: now, MaxTimestamp: now,
		Records: []*sarama.Record{{Key: []byte(key), Value: []byte("1")}},
	})
	answer, err := leader.Produce(request)
	if err != nil {
		return err
	}
	return failure(answer.GetBlock(w.topic, partition).Err)
}

// commitOpen takes the position to upTo in the transaction of p.
func (w *world) commitOpen(id string, p producerID, upTo place) error {
	group, err := w.client.Coordinator(id)
	if err != nil {
		return err
	}
	metadata := upTo.metadata(w.install)
	answer, err := group.TxnOffsetCommit(&sarama.TxnOffsetCommitRequest{
		Version: 3, TransactionalID: id, GroupID: id, ProducerID: p.id, ProducerEpoch: p.epoch, GenerationID: -1,
		Topics: map[string][]*sarama.PartitionOffsetMetadata{
			w.topic: {{Partition: 0, Offset: upTo.id, LeaderEpoch: -1, Metadata: &metadata}},
		},
	})
	if err != nil {
		return err
	}
	return failure(answer.Topics[w.topic][0].Err)
}
