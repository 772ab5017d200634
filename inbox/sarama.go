package inbox

import (
	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// Bounds on what fetching keeps in memory, beside the records that are queued.
const (
	fetchBytes    = 128 << 10 // a partition and request; a larger batch of records still comes whole
	fetchMaxBytes = 2 << 20   // a broker and request
	channelBuffer = 64        // decoded records a partition
)

// saramaConfig is the group member's configuration on top of what every client of ours uses.
func (c *Consumer) saramaConfig() *sarama.Config {
	config := kafkalog.Config(c.cfg.Member, c.cfg.SessionTimeout)
	config.ChannelBufferSize = channelBuffer
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

	config.Consumer.Fetch.Default = fetchBytes
	config.Consumer.Fetch.MaxBytes = fetchMaxBytes
	config.Consumer.Fetch.Max = 0 // anything else skips a batch that is larger
	return config
}
