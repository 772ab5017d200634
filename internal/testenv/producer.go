package testenv

import (
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// Producer writes records to the partitions that they name, each acknowledged, until the test ends.
func Producer(t testing.TB, brokers []string) sarama.SyncProducer {
	t.Helper()
	config := kafkalog.Config("test-producer", 10*time.Second)
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	return producer
}
