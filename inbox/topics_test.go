package inbox

import (
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// withAdmin calls do with an admin client of its own.
func withAdmin(t *testing.T, brokers []string, do func(sarama.ClusterAdmin) error) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(brokers, kafkalog.Config("test-admin", 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if err := do(admin); err != nil {
		t.Fatal(err)
	}
}

func createTopic(t *testing.T, brokers []string, topic string, partitions int32) {
	t.Helper()
	withAdmin(t, brokers, func(a sarama.ClusterAdmin) error {
		return a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false)
	})
}

func addPartitions(t *testing.T, brokers []string, topic string, count int32) {
	t.Helper()
	withAdmin(t, brokers, func(a sarama.ClusterAdmin) error { return a.CreatePartitions(topic, count, nil, false) })
}

func deleteRecords(t *testing.T, brokers []string, topic string, before map[int32]int64) {
	t.Helper()
	withAdmin(t, brokers, func(a sarama.ClusterAdmin) error { return a.DeleteRecords(topic, before) })
}

// recreateTopic deletes topic and creates it again, empty.
func recreateTopic(t *testing.T, brokers []string, topic string, partitions int32) {
	t.Helper()
	withAdmin(t, brokers, func(a sarama.ClusterAdmin) error { return a.DeleteTopic(topic) })
	eventually(t, "the topic is created again", func() bool {
		admin, err := sarama.NewClusterAdmin(brokers, kafkalog.Config("test-admin", 10*time.Second))
		if err != nil {
			return false
		}
		defer func() { _ = admin.Close() }()
		return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false) == nil
	})
}

func trySend(p sarama.SyncProducer, topic string, partition int32, value string) error {
	_, _, err := p.SendMessage(&sarama.ProducerMessage{
		Topic: topic, Partition: partition, Value: sarama.StringEncoder(value),
	})
	return err
}
