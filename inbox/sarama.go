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

// handOver bounds how long one partition keeps the others of its broker waiting whose next record nobody takes: within
// two of it sarama goes on without that partition, until the record is taken. Claims take what comes at once, so this
// is for the moments when one cannot, while it is verified. It must be long: sarama looks at a ticker that runs all the
// time, and with one of milliseconds it gives a partition up now and then whose records are taken; whenever it takes
// one up again, it asks the broker for nothing, of no partition, for 100 ms.
const handOver = time.Second

// fetchBytes is how much of each of so many partitions is asked for at a time.
func fetchBytes(claims int) int32 {
	return int32(min(max(fetchAllBytes/max(claims, 1), fetchLeastBytes), fetchMostBytes))
}

// saramaConfig is the group member's configuration on top of what every client of ours uses.
func (c *Consumer) saramaConfig() *sarama.Config {
	config := kafkalog.Config(c.cfg.Member, c.cfg.SessionTimeout)
	config.ChannelBufferSize = channelBuffer
	config.Consumer.MaxProcessingTime = c.handOver
	config.Metadata.RefreshFrequency = c.cfg.CheckEvery // also how soon added partitions are noticed

	group := &config.Consumer.Group
	group.Session.Timeout = c.timeouts.Session
	group.Heartbeat.Interval = c.timeouts.Heartbeat
	group.Rebalance.Timeout = c.timeouts.Rebalance
	group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{c.cfg.Balance}

	// Positions come from Postgres. Kafka's copy is written by hand, late, and never read; a partition without one
	// must still start at a legal offset until it is sought.
	config.Consumer.Offsets.AutoCommit.Enable = false

	config.Consumer.Fetch.Default = fetchBytes(1) // Setup knows how many there are
	config.Consumer.Fetch.MaxBytes = fetchMaxBytes
	config.Consumer.Fetch.Max = 0 // anything else skips a batch that is larger
	return config
}
