package installation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/installation"
	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

func TestAMarkedGroupCarriesTheInstallationInEveryPosition(t *testing.T) {
	t.Parallel()
	topic := testenv.Topic(t, 2)
	client, reader := kafka(t)
	own := installation.Installation{ID: uuid.New(), Group: topic}
	other := installation.Installation{ID: uuid.New(), Group: topic}
	first, second := kafkalog.TopicPartition{Topic: topic}, kafkalog.TopicPartition{Topic: topic, Partition: 1}
	gone := kafkalog.TopicPartition{Topic: topic + "-gone"}

	mark(t, client, other, map[kafkalog.TopicPartition]int64{first: 5, second: 7})
	mark(t, client, own, map[kafkalog.TopicPartition]int64{first: 3, second: 7, gone: 1})
	committed, err := reader.Committed(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for tp, offset := range map[kafkalog.TopicPartition]int64{first: 3, second: 7} {
		if committed[tp] != (kafkalog.Committed{Offset: offset, Metadata: own.Metadata()}) {
			t.Errorf("%s: %+v", tp, committed[tp])
		}
	}
	mark(t, client, own, nil)
}

func TestAGroupWithMembersIsNotTaken(t *testing.T) {
	t.Parallel()
	topic := testenv.Topic(t, 1)
	client, _ := kafka(t)
	group, err := sarama.NewConsumerGroupFromClient(topic, client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	joined, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		_ = group.Consume(ctx, []string{topic}, member{joined})
	}()
	<-joined

	other, _ := kafka(t)
	own := installation.Installation{ID: uuid.New(), Group: topic}
	positions := map[kafkalog.TopicPartition]int64{{Topic: topic}: 0}
	for _, to := range []map[kafkalog.TopicPartition]int64{positions, nil} {
		if err := installation.MarkGroup(other, own, to); !errors.Is(err, installation.ErrGuard) {
			t.Errorf("%v with a member: %v", to, err)
		}
	}
	leave()
	<-left
	if err := group.Close(); err != nil {
		t.Error(err)
	}
	mark(t, other, own, positions)
}

// member holds what it gets and reads nothing.
type member struct{ joined chan struct{} }

func (m member) Setup(sarama.ConsumerGroupSession) error {
	close(m.joined)
	return nil
}

func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (member) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}

func mark(t *testing.T, client sarama.Client, i installation.Installation, to map[kafkalog.TopicPartition]int64) {
	t.Helper()
	if err := installation.MarkGroup(client, i, to); err != nil {
		t.Fatal(err)
	}
}

func kafka(t *testing.T) (sarama.Client, *kafkalog.Reader) {
	t.Helper()
	client, err := sarama.NewClient(testenv.Brokers(t), kafkalog.Config("installation-test", 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	return client, reader
}
