package inbox

import (
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// Bounds on what fetching keeps in memory, beside the records that are queued. What a broker answers is compressed, and
// every partition keeps its part of an answer, unpacked, until it is read.
const (
	fetchMaxBytes   = 2 << 20   // a broker and request
	fetchAllBytes   = 8 << 20   // of all partitions together, within the two that follow
	fetchMostBytes  = 128 << 10 // a partition and request; a larger batch of records still comes whole
	fetchLeastBytes = 32 << 10
	channelBuffer   = 64 // decoded records a partition
)

// handOver is how long sarama tries to hand on a partition's next record; after two of them the others of the same
// answer go on without that partition, which is fetched again once its records are taken. sarama's own is 100 ms, and
// each partition whose queue is full costs all others of its broker that much: with hundreds of them, most of the time.
const handOver = 5 * time.Millisecond

// fetchBytes is how much of each of so many partitions is asked for at a time.
func fetchBytes(claims int) int32 {
	return int32(min(max(fetchAllBytes/max(claims, 1), fetchLeastBytes), fetchMostBytes))
}

// saramaConfig is the group member's configuration on top of what every client of ours uses.
func (c *Consumer) saramaConfig() *sarama.Config {
	config := kafkalog.Config(c.cfg.Member, c.cfg.SessionTimeout)
	config.ChannelBufferSize = channelBuffer
	config.Consumer.MaxProcessingTime = handOver
	config.Metadata.RefreshFrequency = c.cfg.CheckEvery // also how soon added partitions are noticed

	group := &config.Consumer.Group
	group.Session.Timeout = c.timeouts.Session
	group.Heartbeat.Interval = c.timeouts.Heartbeat
	group.Rebalance.Timeout = c.timeouts.Rebalance
	group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{c.cfg.Balance}
	// An invalid position must stop its partition (I9), not jump to the newest record.

	// Positions come from Postgres. Kafka's copy is written by hand, late, and never read; a partition without one
	// must still start at a legal offset until it is sought.
	config.Consumer.Offsets.AutoCommit.Enable = false

	config.Consumer.Fetch.Default = fetchBytes(1) // Setup knows how many there are
	config.Consumer.Fetch.MaxBytes = fetchMaxBytes
	config.Consumer.Fetch.Max = 0 // anything else skips a batch that is larger
	return config
}
