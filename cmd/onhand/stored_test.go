package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

// stored is a schema with the row of one partition, of a topic that is real.
type stored struct {
	t     *testing.T
	url   string
	pool  *pgxpool.Pool
	topic string
}

// newStored stores a position that has applied the first 4 of 10 records, under the topic's own id.
func newStored(t *testing.T) *stored {
	t.Helper()
	s := &stored{t: t, url: testenv.Database(t), topic: testenv.Topic(t, 1)}
	s.pool = connect(t, s.url)
	produceRecords(t, s.topic, 10)
	execute(t, s.pool, `
insert into offsets (topic, partition, topic_id, start, next, applied, last_hash, recent)
values ($1, 0, $2, 0, 4, 4, 99, $3)`, s.topic, topicID(t, s.topic), storm)
	return s
}

// storm is a storm window of 3 records of which 2 were parked.
var storm = append([]byte{3}, append(make([]byte, 7), append([]byte{0b110}, make([]byte, 24)...)...)...)

func (s *stored) halt(reason string) {
	s.t.Helper()
	execute(s.t, s.pool, `update offsets set halt_reason = $1, halt_detail = 'for a test', halted_at = now()`, reason)
}

// as runs an offsets command with the database, the brokers and a reason.
func (s *stored) as(args ...string) ended {
	s.t.Helper()
	return command(s.t, append(append([]string{"offsets"}, args...), "--database-url", s.url,
		"--brokers", testenv.Brokers(s.t)[0], "--because", "a test wants it")...)
}

// row is the partition's row in a few words.
func (s *stored) row() string {
	s.t.Helper()
	return query[string](s.t, s.pool, `
select format('incarnation %s, %s to %s, applied %s, jumped %s, %s, window %s, hash %s',
    incarnation, start, next, applied, jumped, coalesce(halt_reason, 'running'), length(recent), coalesce(last_hash, 0))
from offsets`)
}

func (s *stored) expectRow(want string) {
	s.t.Helper()
	if got := s.row(); got != want {
		s.t.Errorf("the row says %s, want %s", got, want)
	}
}

// expectAction checks the only action on record: its command and the positions before and after it.
func (s *stored) expectAction(want string) {
	s.t.Helper()
	got := query[string](s.t, s.pool, `
select format('%s: %s/%s to %s/%s because %s', command, before ->> 'incarnation', before ->> 'next',
    after ->> 'incarnation', after ->> 'next', because)
from operator_actions where topic = $1 and partition = 0 and actor like '%@%'`, s.topic)
	if want += " because a test wants it"; got != want {
		s.t.Errorf("on record is %s, want %s", got, want)
	}
}

func (s *stored) expectNoAction() {
	s.t.Helper()
	if n := query[int](s.t, s.pool, `select count(*) from operator_actions`); n != 0 {
		s.t.Errorf("%d actions are on record", n)
	}
}

func testClient(t *testing.T) sarama.Client {
	t.Helper()
	config := kafkalog.Config("onhand-test", 10*time.Second)
	config.Producer.Return.Successes = true
	client, err := sarama.NewClient(testenv.Brokers(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// produceRecords writes n receipts, each for another SKU.
func produceRecords(t *testing.T, topic string, n int) {
	t.Helper()
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf(`{"id":%q,"kind":"stock.received","sku":"SKU-%d","quantity":1}`, uuid.NewString(), i)
	}
	produce(t, topic, events)
}

func produce(t *testing.T, topic string, values []string) {
	t.Helper()
	producer, err := sarama.NewSyncProducerFromClient(testClient(t))
	if err != nil {
		t.Fatal(err)
	}
	messages := make([]*sarama.ProducerMessage, len(values))
	for i, value := range values {
		messages[i] = &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)}
	}
	if err := producer.SendMessages(messages); err != nil {
		t.Fatal(err)
	}
	if err := producer.Close(); err != nil {
		t.Fatal(err)
	}
}

func topicID(t *testing.T, topic string) uuid.UUID {
	t.Helper()
	reader, err := kafkalog.NewReader(testClient(t))
	if err != nil {
		t.Fatal(err)
	}
	topics, err := reader.Topics(t.Context(), []string{topic})
	if err != nil {
		t.Fatal(err)
	}
	return topics[topic].ID
}

// deleteRecords makes the log of partition 0 begin at offset.
func deleteRecords(t *testing.T, topic string, offset int64) {
	t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(testClient(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.DeleteRecords(topic, map[int32]int64{0: offset}); err != nil {
		t.Fatal(err)
	}
}
