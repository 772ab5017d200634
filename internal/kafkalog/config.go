package kafkalog

import (
	"time"

	"github.com/IBM/sarama"
)

const (
	dialTimeout     = 5 * time.Second
	metadataRefresh = time.Minute
	metadataBackoff = 250 * time.Millisecond
)

// Config is the configuration that every client of ours starts from. sessionTimeout is the group's session timeout,
// also for those that are in no group: it bounds how long a broker may keep us waiting for an answer.
func Config(clientID string, sessionTimeout time.Duration) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = clientID

	// The oldest broker we support. sarama lowers each request to what the broker offers, and never raises it.
	c.Version = sarama.V3_6_0_0

	// A broker that hangs is given up after one session, when the group has expelled us anyway. Not shorter: a JoinGroup
	// waits under this deadline for the slowest member.
	c.Net.DialTimeout = min(dialTimeout, sessionTimeout)
	c.Net.ReadTimeout = sessionTimeout
	c.Net.WriteTimeout = sessionTimeout

	// Asking about a deleted topic must not bring it back, empty and with another id.
	c.Metadata.AllowAutoTopicCreation = false
	// How soon new partitions are seen. The default is 10 minutes.
	c.Metadata.RefreshFrequency = metadataRefresh
	// 0 would end a session at the first leader that moves; more would delay the news that a topic is gone.
	c.Metadata.Retry.Max = 2
	c.Metadata.Retry.Backoff = metadataBackoff

	// Records of open and aborted transactions never happened.
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	// Errors that nobody reads block the consumer, errors that nobody gets are lost: whoever consumes reads them.
	c.Consumer.Return.Errors = true
	// A commit waits behind the fetch that shares its connection.
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	// A position that is out of the log must stop us, not move silently to another place.
	c.Consumer.Group.ResetInvalidOffsets = false
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	return c
}
