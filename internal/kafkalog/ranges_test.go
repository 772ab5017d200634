package kafkalog_test

import (
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

func (c *cluster) ranges(t *testing.T, tp kafkalog.TopicPartition) kafkalog.Range {
	t.Helper()
	ranges, err := c.reader.Ranges(t.Context(), []kafkalog.TopicPartition{tp})
	if err != nil {
		t.Fatal(err)
	}
	r, known := ranges[tp]
	if !known {
		t.Fatalf("%s has no range", tp)
	}
	return r
}

func TestRangesOfSeveralTopicsComeTogether(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		one, two := c.topic(t, 1, nil), c.topic(t, 2, nil)
		p := c.producer(t, "")
		send(t, p, one, "a", "b", "c")
		send(t, p, two, "d")
		if err := c.admin.DeleteRecords(one, map[int32]int64{0: 2}); err != nil {
			t.Fatal(err)
		}
		first := kafkalog.TopicPartition{Topic: one}
		second := kafkalog.TopicPartition{Topic: two}
		empty := kafkalog.TopicPartition{Topic: two, Partition: 1}
		none := kafkalog.TopicPartition{Topic: two, Partition: 2}
		got, err := c.reader.Ranges(t.Context(), []kafkalog.TopicPartition{first, second, empty, none})
		if err != nil {
			t.Fatal(err)
		}
		want := map[kafkalog.TopicPartition]kafkalog.Range{
			first:  {Start: 2, LastStable: 3, HighWatermark: 3},
			second: {Start: 0, LastStable: 1, HighWatermark: 1},
			empty:  {},
		}
		if len(got) != len(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for tp, r := range want {
			if got[tp] != r {
				t.Errorf("%s: got %+v, want %+v", tp, got[tp], r)
			}
		}
	})
}

func TestOffsetsAtFindsTheFirstRecordOfATimeOrLater(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		tp := kafkalog.TopicPartition{Topic: c.topic(t, 1, nil)}
		p := c.producer(t, "")
		base := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		for i := range 3 {
			at := base.Add(time.Duration(i) * time.Second)
			if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: tp.Topic, Timestamp: at}); err != nil {
				t.Fatal(err)
			}
		}
		for at, want := range map[time.Duration]int64{
			-time.Hour:                      0,
			0:                               0,
			time.Nanosecond:                 1,
			time.Second:                     1,
			1500 * time.Millisecond:         2,
			2 * time.Second:                 2,
			2*time.Second + 1:               3, // after the last record: the end
			-100 * 365 * 24 * time.Hour:     0, // before 1970
			365 * 24 * time.Hour:            3,
			2*time.Second - time.Nanosecond: 2,
		} {
			got, err := c.reader.OffsetsAt(t.Context(), []kafkalog.TopicPartition{tp}, base.Add(at))
			if err != nil || got[tp] != want {
				t.Errorf("at %s: got %v, error %v, want %d", at, got, err, want)
			}
		}
	})
}

func TestCommittedReturnsPositionsAndTheirMetadata(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		topic := c.topic(t, 2, nil)
		group := "group-of-" + topic
		none, err := c.reader.Committed(t.Context(), group)
		if err != nil || len(none) != 0 {
			t.Fatalf("a new group: got %v, error %v", none, err)
		}
		offsets := map[string]map[int32]sarama.OffsetAndMetadata{
			topic: {1: {Offset: 42, Metadata: "installation", LeaderEpoch: -1}},
		}
		if _, err := c.admin.AlterConsumerGroupOffsets(group, offsets, nil); err != nil {
			t.Fatal(err)
		}
		got, err := c.reader.Committed(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		want := kafkalog.Committed{Offset: 42, Metadata: "installation"}
		if len(got) != 1 || got[kafkalog.TopicPartition{Topic: topic, Partition: 1}] != want {
			t.Errorf("got %v, want %v for partition 1 alone", got, want)
		}
	})
}
