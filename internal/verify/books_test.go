package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/inbox"
	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
	"onhand/internal/verify"
	"onhand/inventory"
)

const (
	sessionTimeout = 6 * time.Second
	patience       = 20 * time.Second
)

func TestMain(m *testing.M) { testenv.Main(m) }

// entry is a record and what must become of it; an empty outcome is one that no reader sees. The books here are kept by
// hand and not by the service, so that a fault that both share cannot hide.
type entry struct {
	partition int32
	value     string
	outcome   string // applied, rejected, duplicate, ignored, or the reason for which it is parked
	// The movement of what is applied.
	sku     string
	version int64
	delta   int64
	onHand  int64
}

// history is every kind of record once, in two partitions. Partition 0 holds, after its first seven records, one that
// was aborted (7) and its marker (8), and at its end the marker of a committed one (12).
var history = []entry{
	{0, `{"id":"e1","kind":"stock.received","sku":"A","quantity":10}`, "applied", "A", 1, 10, 10},
	{0, `{"id":"e2","kind":"stock.sold","sku":"A","quantity":3}`, "applied", "A", 2, -3, 7},
	{0, `{"id":"e1","kind":"stock.received","sku":"A","quantity":10}`, "duplicate", "", 0, 0, 0},
	{0, `{"id":"e3","kind":"stock.sold","sku":"A","quantity":100}`, "rejected", "", 0, 0, 0},
	{0, `not json`, "not_json", "", 0, 0, 0},
	{0, `{"id":"e1","kind":"stock.received","sku":"A","quantity":11}`, "id_conflict", "", 0, 0, 0},
	{0, `{"id":"e4","kind":"stock.eaten","sku":"A","quantity":1}`, "unknown_kind", "", 0, 0, 0},
	{0, `{"id":"e5","kind":"stock.received","sku":"A","quantity":1}`, "", "", 0, 0, 0},
	{0, `{"id":"e6","kind":"stock.counted","sku":"A","quantity":5,"if_version":2}`, "applied", "A", 3, -2, 5},
	{0, `{"id":"e7","kind":"sku.defined","sku":"A","backorder":"limit","backorder_limit":2}`, "applied", "", 0, 0, 0},
	{0, `{"id":"e8","kind":"stock.adjusted","sku":"A","quantity":-6}`, "applied", "A", 4, -6, -1},
	{1, `{"id":"e9","kind":"stock.received","sku":"B","quantity":4}`, "applied", "B", 1, 4, 4},
	{1, `{"id":"e2","kind":"stock.sold","sku":"A","quantity":3}`, "duplicate", "", 0, 0, 0},
	{1, `{"id":"e10","kind":"stock.eaten","sku":"B","quantity":1}`, "ignored", "", 0, 0, 0},
}

const (
	partitionEnd0 = 13
	partitionEnd1 = 3
)

// shop is one topic with the history in it.
type shop struct {
	topic  string
	id     uuid.UUID
	client sarama.Client
	log    *kafkalog.Reader
	at     []int64 // the history's offsets
}

func openShop(t *testing.T) *shop {
	t.Helper()
	client, err := sarama.NewClient(testenv.Brokers(t), kafkalog.Config("verify-test", sessionTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	log, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{topic: testenv.Topic(t, 2), client: client, log: log}
	s.write(t)
	topics, err := log.Topics(t.Context(), []string{s.topic})
	if err != nil {
		t.Fatal(err)
	}
	s.id = topics[s.topic].ID
	return s
}

// write sends the history: e5 in a transaction that is aborted, e8 in one that is committed, the others in none.
func (s *shop) write(t *testing.T) {
	t.Helper()
	plain, transactional := producer(t, ""), producer(t, "verify-"+uuid.NewString())
	for _, e := range history {
		p, end := plain, func() error { return nil }
		switch {
		case e.outcome == "":
			p, end = transactional, transactional.AbortTxn
		case e.version == 4:
			p, end = transactional, transactional.CommitTxn
		}
		if p == transactional {
			if err := p.BeginTxn(); err != nil {
				t.Fatal(err)
			}
		}
		_, offset, err := p.SendMessage(message(s.topic, e))
		if err := errors.Join(err, end()); err != nil {
			t.Fatal(err)
		}
		s.at = append(s.at, offset)
		if p == transactional {
			s.awaitMarker(t, e.partition)
		}
	}
}

// awaitMarker waits for the end of the transaction in partition: the broker writes its marker after it has answered.
func (s *shop) awaitMarker(t *testing.T, partition int32) {
	t.Helper()
	tp := kafkalog.TopicPartition{Topic: s.topic, Partition: partition}
	testenv.Eventually(t, patience, "the transaction's marker is in the log", func() bool {
		ranges, err := s.log.Ranges(t.Context(), []kafkalog.TopicPartition{tp})
		return err == nil && ranges[tp].LastStable == ranges[tp].HighWatermark
	})
}

func message(topic string, e entry) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic: topic, Partition: e.partition, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(e.value),
		Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: nil}, {Key: []byte("i"), Value: []byte("j")}},
	}
}

func producer(t *testing.T, transactionalID string) sarama.SyncProducer {
	t.Helper()
	config := kafkalog.Config("verify-test", sessionTimeout)
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Transaction.ID = transactionalID
	p, err := sarama.NewSyncProducer(testenv.Brokers(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// keepBooks opens a database with the books that the service would have kept.
func (s *shop) keepBooks(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s.writeBooks(t, pool)
	return pool
}

// writeBooks replaces everything in pool's tables by what the service would have written.
func (s *shop) writeBooks(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	testenv.EmptyArchive(t, pool, "true")
	q := &pgx.Batch{}
	for _, table := range []string{
		"offsets", "inbox", "dead_letters", "skus", "stock", "movements", "outbox_messages",
	} {
		q.Queue("delete from " + table) // for a few rows much faster than truncate
	}
	q.Queue(`insert into offsets (topic, partition, topic_id, start, next, applied, rejected, duplicate, parked, ignored,
		skipped) values ($1, 0, $2, 0, 13, 5, 1, 1, 3, 0, 3), ($1, 1, $2, 0, 3, 1, 0, 1, 0, 1, 0)`, s.topic, s.id)
	q.Queue(`insert into skus (tenant, sku, backorder, backorder_limit)
		values ('', 'A', 'limit', 2), ('', 'B', 'deny', null)`)
	q.Queue(`insert into stock (tenant, sku, location, on_hand, version, backorder, backorder_limit, last_topic,
		last_partition, moved_at)
		values ('', 'A', 'main', -1, 4, 'limit', 2, $1, 0, now()), ('', 'B', 'main', 4, 1, 'deny', null, $1, 1, now())`,
		s.topic)
	for i, e := range history {
		s.writeEntry(t, q, e, s.at[i])
	}
	if err := pool.SendBatch(t.Context(), q).Close(); err != nil {
		t.Fatal(err)
	}
}

func (s *shop) writeEntry(t *testing.T, q *pgx.Batch, e entry, at int64) {
	t.Helper()
	event, err := inventory.NewDecoder(inventory.DecoderConfig{}).Decode(&inbox.Record{Value: []byte(e.value)})
	switch e.outcome {
	case "", "duplicate", "ignored":
		return
	case "applied", "rejected":
		if err != nil {
			t.Fatal(err)
		}
	default:
		q.Queue(`insert into dead_letters (topic, partition, incarnation, "offset", reason, key, value, headers)
			values ($1, $2, 1, $3, $4, 'k', $5, array['h', null, 'i', 'j']::bytea[])`,
			s.topic, e.partition, at, e.outcome, []byte(e.value))
		return
	}
	q.Queue(`insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition, incarnation,
		"offset")
		values ('', $1, '', $2, $3::inbox_outcome, case when $3 = 'rejected' then 'insufficient_stock' end, $4, $5, 1, $6)`,
		event.ID, event.Fingerprint, e.outcome, s.topic, e.partition, at)
	if e.version > 0 {
		q.Queue(`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
			message_id) values ('', $1, 'main', $2, $3, $4, $5, $6, '', nextval('outbox_id'))`,
			e.sku, e.version, e.delta, e.onHand, event.Body.(*inventory.Event).Kind.String(), event.ID)
	}
}

func (s *shop) config(pool *pgxpool.Pool) verify.Config {
	return verify.Config{Pool: pool, Log: s.log, Differences: 20}
}

func (s *shop) verify(t *testing.T, pool *pgxpool.Pool) *verify.Report {
	t.Helper()
	return run(t, s.config(pool))
}

func run(t *testing.T, cfg verify.Config) *verify.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	v, err := verify.Begin(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	report, err := v.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// expect fails the test unless the report comes to verdict; the report is shown.
func expect(t *testing.T, r *verify.Report, verdict verify.Verdict) {
	t.Helper()
	if r.Verdict != verdict {
		t.Errorf("the verdict is %q, want %q\n%s", r.Verdict, verdict, shown(r))
	}
}

func shown(r *verify.Report) string {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}
