package offsets

import (
	"time"

	"github.com/google/uuid"
)

// TopicPartition names one partition of one topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Compare orders by topic bytewise, then by partition: the order in which offsets rows are locked.
func Compare(a, b TopicPartition) int {
	switch {
	case a.Topic < b.Topic:
		return -1
	case a.Topic > b.Topic:
		return 1
	}
	return int(a.Partition) - int(b.Partition)
}

// Counters say what became of the records between start and next; in each row they add up to next - start (I5).
type Counters struct {
	Applied   int64
	Rejected  int64
	Duplicate int64
	Parked    int64
	Ignored   int64
	Skipped   int64 // offsets no reader can see: transaction markers, aborted records
	Jumped    int64 // changed by an operator only
}

// Claimed is a partition's row as the claim found it, under the token that the claim wrote.
type Claimed struct {
	TopicPartition
	Token       uuid.UUID
	Incarnation int32
	TopicID     uuid.UUID // zero = not known when the row was written
	Start       int64
	Next        int64
	LastHash    *int64 // hash of the record at Next-1; nil = none to compare
	Halt        *Halt  // nil = running
}

// Halt is why a partition stands still until an operator lets it go on (I9).
type Halt struct {
	Reason string
	Detail string
	At     time.Time
}

// The reasons of a halt. They are stored, shown and stay.
const (
	HaltBelowLogStart      = "below_log_start"     // records between the position and the log's start are gone
	HaltBeyondLogEnd       = "beyond_log_end"      // the log is shorter than what was read of it
	HaltTopicRecreated     = "topic_recreated"     // the topic's id is another one
	HaltLogRegrown         = "log_regrown"         // the record before the position is another one
	HaltTopicCompacted     = "topic_compacted"     // compaction removes records that were never read
	HaltParkedStorm        = "parked_storm"        // more than half of the latest records are wrong
	HaltConstraintViolated = "constraint_violated" // a constraint of ours fired: a bug, or an edit by hand
)
