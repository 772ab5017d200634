package outbox

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

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
			w.leaveOpen(elsewhere, commit)
			w.start(w.config("second"))
			w.append("b")
			w.awaitAll()
		})
	}
}

func TestTheEndOfATransactionIsToldThoughWhoeverToldItWasKilled(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, "transaction.partition.verification.enable=false")
	elsewhere := kafka.Topic(1, nil)
	for name, commit := range map[string]bool{"an abort": false, "a commit": true} {
		for _, at := range []step{stepBegunAgain, stepAddedAgain, stepEndedAgain} {
			t.Run(name+" "+string(at), func(t *testing.T) {
				t.Parallel()
				w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
				w.leaveOpen(elsewhere, commit)
				o := w.orders("victim")
				o.At, o.Times = at, 1
				o.Transaction = time.Minute // it is not Kafka that ends it
				victim := w.spawn(o)
				w.eventually("it is dead", victim.ended)
				if !victim.said(reached) {
					t.Fatalf("it did not come to the step: %v", victim.Err())
				}
				w.expire()
				w.start(w.config("heir"))
				w.append("b")
				w.awaitAll()
				// What was committed is not aborted on the way, and sent again.
				if n, err := w.outside.uncommitted(t.Context()); err != nil || commit && n != len(w.outside.seen) {
					t.Errorf("%d records, of which %d were committed (%v)", n, len(w.outside.seen), err)
				}
				if ending := w.text(`select ending from outbox_relay`); ending != "" {
					t.Errorf("the row still says that a transaction is being ended: %s", ending)
				}
			})
		}
	}
}

// Of the last transaction the partitions and the position are open, and Kafka's word on it is gone.
func TestATransactionOfUnknownOutcomeEndsAsTheOperatorSays(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, "transaction.partition.verification.enable=false")
	elsewhere := kafka.Topic(1, nil)
	for _, from := range []From{FromDatabase, FromIntent} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
			w.leaveOpen(elsewhere, true)
			c := &coordinator{w.client, ProducerID(w.install), 5 * time.Second}
			if _, err := c.begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state, _, err := c.state(t.Context()); err != nil || state != stateEmpty {
				t.Fatalf("the last transaction's state is %q (%v)", state, err)
			}
			w.start(w.config("second"))
			w.haltsAsUnknown("position of group " + c.id + " cannot be read: a transaction of " + c.id + " is open there")
			w.say(from)
			w.append("b")
			w.awaitAll()
			if n, err := w.outside.uncommitted(t.Context()); err != nil || (n == len(w.outside.seen)) != (from == FromIntent) {
				t.Errorf("%d records, of which %d were committed (%v)", n, len(w.outside.seen), err)
			}
			if ending := w.text(`select ending from outbox_relay`); ending != "" {
				t.Errorf("the row still says that a transaction is being ended: %s", ending)
			}
		})
	}
}

// Kafka forgets a transactional id that is not used. Who begins under it then is another producer, and cannot end what
// the first one left.
func TestATransactionWhoseProducerIsForgottenHaltsAgainAndSaysSo(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, "transaction.partition.verification.enable=false", "transactional.id.expiration.ms=3000",
		"transaction.remove.expired.transaction.cleanup.interval.ms=500")
	w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
	w.leaveOpen(kafka.Topic(1, nil), true)
	c := &coordinator{w.client, ProducerID(w.install), 5 * time.Second}
	w.eventually("Kafka has forgotten", func() bool {
		state, _, err := c.state(t.Context())
		return err == nil && state == ""
	})
	w.start(w.config("second"))
	for range 2 {
		w.haltsAsUnknown("only Kafka's own tool can end it")
		w.say(FromDatabase)
	}
	w.haltsAsUnknown("only Kafka's own tool can end it")
}

func (w *world) haltsAsUnknown(why string) {
	w.t.Helper()
	w.eventually("it halts", func() bool { return w.row().halt != "" })
	if detail := w.text(`select halt_detail from outbox_relay`); w.row().halt != HaltOutcomeUnknown ||
		!strings.Contains(detail, why) {
		w.t.Fatalf("it has halted as %s: %s", w.row().halt, detail)
	}
}

// say is an operator who has not asked Kafka.
func (w *world) say(from From) {
	w.t.Helper()
	err := pgx.BeginFunc(w.t.Context(), w.pool, func(tx pgx.Tx) error {
		_, err := Resume(w.t.Context(), tx, from, nil)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A partition that does not answer: its topic was deleted behind the client's back.
func TestPartitionsThatDoNotAnswerAreWaitedForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := "gone-" + uuid.NewString()
	create := func() {
		withAdmin(t, w.brokers, func(admin sarama.ClusterAdmin) error {
			return admin.CreateTopic(gone, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
		})
	}
	create()
	if _, err := appendTo(w.pool, messages(gone, "k", "1")...); err != nil {
		t.Fatal(err)
	}
	var log testenv.Buffer
	cfg := w.config("first")
	cfg.TransactionTimeout, cfg.Log = time.Second, zerolog.New(&log)
	r, err := NewRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tp := kafkalog.TopicPartition{Topic: gone}
	s := &session{Relay: r, log: cfg.Log, position: kafkalog.TopicPartition{Topic: w.topic}}
	w.eventually("it is there", func() bool {
		partitions, err := w.client.Partitions(gone)
		return err == nil && len(partitions) == 1
	})
	withAdmin(t, w.brokers, func(admin sarama.ClusterAdmin) error { return admin.DeleteTopic(gone) })
	look := func() (silent []kafkalog.TopicPartition, took time.Duration) {
		t.Helper()
		began := time.Now()
		l, _, err := s.look(t.Context(), w.client, row{})
		if err != nil || !l.nowhere() {
			t.Fatalf("open: %+v (%v)", l, err)
		}
		return l.silent, time.Since(began)
	}
	var said atomic.Bool
	stop := testenv.Background(t, patience, "the listener", func(ctx context.Context) error {
		for ; ctx.Err() == nil; pause(ctx, 20*time.Millisecond) {
			said.CompareAndSwap(false, strings.Contains(s.wait.String(), tp.String()))
		}
		return nil
	})
	if silent, took := look(); !slices.Equal(silent, []kafkalog.TopicPartition{tp}) || took < 2*cfg.TransactionTimeout {
		t.Errorf("it went on without %v after %v", silent, took)
	}
	stop()
	if !said.Load() || s.wait.String() != "" {
		t.Errorf("it did not say what it waited for, or says so still: %q", s.wait.String())
	}
	if !strings.Contains(log.String(), tp.String()) {
		t.Errorf("no warning: %s", log.String())
	}
	if _, took := look(); took > cfg.TransactionTimeout {
		t.Errorf("it was waited for again, for %v", took)
	}
	if len(s.silent) != 1 {
		t.Errorf("%v are gone on without", s.silent)
	}
	create()
	w.eventually("it answers", func() bool { silent, _ := look(); return len(silent) == 0 })
	if len(s.silent) != 0 {
		t.Errorf("what answers is not waited for the next time: %v", s.silent)
	}
}

// leaveOpen leaves the row and Kafka as a relay does whose last turn ended, and no reader heard of it.
func (w *world) leaveOpen(elsewhere string, commit bool) {
	w.t.Helper()
	_, stop := w.start(w.config("first"))
	w.append("a")
	w.awaitAll()
	stop()
	w.append("b", "c")
	upTo := place{id: w.lastID(), turn: w.row().done.turn + 1, by: uuid.New()}
	w.exec(`update outbox_relay set intent = $1, intent_turn = $2, intent_by = $3`, upTo.id, upTo.turn, upTo.by)
	w.loseEnd(elsewhere, upTo, commit, "b", "c")
}

// text reads one text; null is empty.
func (w *world) text(sql string) (text string) {
	w.t.Helper()
	w.scan([]any{&text}, `select coalesce((`+sql+`), '')`)
	return text
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
