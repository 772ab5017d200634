package testenv

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// A fresh topic's partitions have no leader for a moment; more of them, and a busy machine, make it a longer one.
const topicTimeout = 30 * time.Second

// Brokers are the addresses of the shared Kafka.
func Brokers(t testing.TB) []string {
	t.Helper()
	address, err := shared.kafka.address()
	if err != nil {
		t.Fatalf("start shared Kafka: %v", err)
	}
	return strings.Split(address, ",")
}

// Topic creates a topic on the shared Kafka for this test alone and returns when every partition can be written and
// read. It is deleted at the test's end.
func Topic(t testing.TB, partitions int32) string {
	t.Helper()
	return TopicWith(t, partitions, nil)
}

// TopicWith is Topic with settings, such as cleanup.policy or retention.ms.
func TopicWith(t testing.TB, partitions int32, config map[string]*string) string {
	t.Helper()
	brokers := Brokers(t)
	name := createTopic(t, brokers, partitions, config)
	t.Cleanup(func() { deleteTopic(t, brokers, name) })
	return name
}

func createTopic(t testing.TB, brokers []string, partitions int32, config map[string]*string) string {
	t.Helper()
	name := "t-" + strings.ToLower(rand.Text()[:12])
	withAdmin(t, brokers, func(admin sarama.ClusterAdmin) error {
		detail := sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: config}
		if err := admin.CreateTopic(name, &detail, false); err != nil {
			return fmt.Errorf("create topic: %w", err)
		}
		Eventually(t, topicTimeout, "every partition of the new topic has a leader that knows it", func() bool {
			return ready(admin, name, partitions)
		})
		return nil
	})
	return name
}

// ready does not go by the metadata: a broker may name itself the leader a moment before it acts as one. Asked for the
// end of a log, it has to.
func ready(admin sarama.ClusterAdmin, topic string, partitions int32) bool {
	ends := make(map[int32]int64, partitions)
	for partition := range partitions {
		ends[partition] = sarama.OffsetNewest
	}
	answers, err := admin.ListOffsets(map[string]map[int32]int64{topic: ends}, nil)
	if err != nil || len(answers[topic]) != len(ends) {
		return false
	}
	for _, answer := range answers[topic] {
		if !errors.Is(answer.Err, sarama.ErrNoError) {
			return false
		}
	}
	return true
}

func deleteTopic(t testing.TB, brokers []string, name string) {
	t.Helper()
	withAdmin(t, brokers, func(admin sarama.ClusterAdmin) error {
		err := admin.DeleteTopic(name)
		// The test may have deleted it itself.
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return nil
		}
		return err
	})
}

// withAdmin opens a connection for each use: a shared one would be a leak in the eyes of Main, and would not survive
// the restart of a server of one's own.
func withAdmin(t testing.TB, brokers []string, use func(sarama.ClusterAdmin) error) {
	t.Helper()
	config := sarama.NewConfig()
	config.ClientID = "onhand-testenv"
	config.Version = sarama.V3_6_0_0
	config.Metadata.AllowAutoTopicCreation = false
	admin, err := sarama.NewClusterAdmin(brokers, config)
	if err != nil {
		t.Fatalf("connect to test broker: %v", err)
	}
	defer func() { _ = admin.Close() }()
	if err := use(admin); err != nil {
		t.Fatalf("test broker: %v", err)
	}
}
