package kafkalog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

const (
	sessionTimeout = 6 * time.Second
	patience       = 20 * time.Second
)

func TestMain(m *testing.M) { testenv.Main(m) }

// cluster is a broker to ask, and a client's hands on it to arrange what is asked about.
type cluster struct {
	brokers []string
	client  sarama.Client
	admin   sarama.ClusterAdmin
	reader  *kafkalog.Reader
}

// onEachBroker runs test against Apache Kafka and against kfake, which the demo runs on.
func onEachBroker(t *testing.T, test func(t *testing.T, c *cluster)) {
	t.Run("Apache Kafka", func(t *testing.T) {
		t.Parallel()
		test(t, connect(t, testenv.Brokers(t)))
	})
	t.Run("kfake", func(t *testing.T) {
		t.Parallel()
		fake, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		test(t, connect(t, fake.ListenAddrs()))
	})
}

func connect(t *testing.T, brokers []string) *cluster {
	t.Helper()
	client, err := sarama.NewClient(brokers, kafkalog.Config("kafkalog-test", sessionTimeout))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{brokers: brokers, client: client, admin: admin, reader: reader}
}

// topic creates a topic and waits until each partition has a leader.
func (c *cluster) topic(t *testing.T, partitions int32, config map[string]*string) string {
	t.Helper()
	name := "kafkalog-" + uuid.NewString()
	c.create(t, name, partitions, config)
	t.Cleanup(func() { _ = c.admin.DeleteTopic(name) })
	return name
}

func (c *cluster) create(t *testing.T, name string, partitions int32, config map[string]*string) {
	t.Helper()
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: config}
	if err := c.admin.CreateTopic(name, detail, false); err != nil {
		t.Fatal(err)
	}
	var tps []kafkalog.TopicPartition
	for p := range partitions {
		tps = append(tps, kafkalog.TopicPartition{Topic: name, Partition: p})
	}
	testenv.Eventually(t, patience, "the topic has leaders", func() bool {
		ranges, err := c.reader.Ranges(t.Context(), tps)
		return err == nil && len(ranges) == int(partitions)
	})
}

// producer returns a producer that writes to the partition a message names; with a transactional id if id is not empty.
func (c *cluster) producer(t *testing.T, id string) sarama.SyncProducer {
	t.Helper()
	config := kafkalog.Config("kafkalog-test", sessionTimeout)
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	if id != "" {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		config.Producer.Transaction.ID = id + uuid.NewString()
	}
	p, err := sarama.NewSyncProducer(c.brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func send(t *testing.T, p sarama.SyncProducer, topic string, values ...string) (last int64) {
	t.Helper()
	for _, value := range values {
		var err error
		_, last, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
		if err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// transact sends values in one transaction, which it commits or aborts, and waits for the marker: the broker writes it
// after it has answered.
func (c *cluster) transact(t *testing.T, p sarama.SyncProducer, commit bool, topic string, values ...string) {
	t.Helper()
	if err := p.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	send(t, p, topic, values...)
	end := p.AbortTxn
	if commit {
		end = p.CommitTxn
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, patience, "the transaction's marker is in the log", func() bool {
		r := c.ranges(t, kafkalog.TopicPartition{Topic: topic})
		return r.LastStable == r.HighWatermark
	})
}

// contents reads [from, to) of a partition, as "offset=value".
func (c *cluster) contents(t *testing.T, tp kafkalog.TopicPartition, from, to int64) string {
	t.Helper()
	var got []string
	err := c.reader.Scan(t.Context(), tp, from, to, func(m *sarama.ConsumerMessage) error {
		got = append(got, fmt.Sprintf("%d=%s", m.Offset, m.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}
