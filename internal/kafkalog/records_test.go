package kafkalog_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// A log with all that a reader must not see: records a, b committed at 0 and 1 with their marker at 2, aborted ones at
// 3 to 5 with theirs at 6, c at 7 outside of transactions, d committed at 8 with its marker at 9, and one that was
// aborted at 10 with its marker at 11.
func transactionalLog(t *testing.T, c *cluster) kafkalog.TopicPartition {
	t.Helper()
	topic := c.topic(t, 1, nil)
	p := c.producer(t, "tx")
	c.transact(t, p, true, topic, "a", "b")
	c.transact(t, p, false, topic, "x", "y", "z")
	send(t, c.producer(t, ""), topic, "c")
	c.transact(t, p, true, topic, "d")
	c.transact(t, p, false, topic, "z")
	tp := kafkalog.TopicPartition{Topic: topic}
	if r := c.ranges(t, tp); r.LastStable != 12 || r.HighWatermark != 12 {
		t.Fatalf("the log ends at %+v, want 12", r)
	}
	return tp
}

func TestAScanSeesCommittedRecordsAndEndsBehindATrailingMarker(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		tp := transactionalLog(t, c)
		for _, test := range []struct {
			from, to int64
			want     string
		}{
			{0, 12, "0=a 1=b 7=c 8=d"},
			{1, 7, "1=b"},
			{1, 8, "1=b 7=c"},
			{4, 10, "7=c 8=d"}, // from inside of an aborted transaction
			{2, 7, ""},
			{9, 10, ""},
			{9, 12, ""},
			{11, 12, ""},
			{12, 12, ""},
			{5, 3, ""},
		} {
			if got := c.contents(t, tp, test.from, test.to); got != test.want {
				t.Errorf("[%d, %d): got %q, want %q", test.from, test.to, got, test.want)
			}
		}
	})
}

func TestAScanBeyondTheStableEndSaysSoAndDoesNotHang(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		tp := transactionalLog(t, c)
		open := c.producer(t, "open")
		if err := open.BeginTxn(); err != nil {
			t.Fatal(err)
		}
		send(t, open, tp.Topic, "undecided")
		defer func() { _ = open.AbortTxn() }()
		ignore := func(*sarama.ConsumerMessage) error { return nil }
		if err := c.reader.Scan(t.Context(), tp, 0, 13, ignore); !errors.Is(err, kafkalog.ErrLogEnds) {
			t.Errorf("over an open transaction: got error %v, want ErrLogEnds", err)
		}
		if err := c.reader.Scan(t.Context(), tp, 50, 60, ignore); !errors.Is(err, sarama.ErrOffsetOutOfRange) {
			t.Errorf("past the log: got error %v, want out of range", err)
		}
	})
}

func TestAScanStopsAtItsCallersErrorOrContext(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		tp := transactionalLog(t, c)
		enough, seen := errors.New("enough"), 0
		err := c.reader.Scan(t.Context(), tp, 0, 10, func(*sarama.ConsumerMessage) error {
			seen++
			return enough
		})
		if !errors.Is(err, enough) || seen != 1 {
			t.Errorf("got error %v after %d records, want the caller's own after 1", err, seen)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = c.reader.Scan(ctx, tp, 0, 10, func(*sarama.ConsumerMessage) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want the context's", err)
		}
	})
}

func TestAScanOfManyPagesMissesNothing(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		const records, size = 600, 10_000 // six pages
		topic := c.topic(t, 1, nil)
		p := c.producer(t, "")
		var messages []*sarama.ProducerMessage
		for i := range records {
			value := append(make([]byte, size), strconv.Itoa(i)...)
			messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(value)})
		}
		if err := p.SendMessages(messages); err != nil {
			t.Fatal(err)
		}
		next := int64(3)
		err := c.reader.Scan(t.Context(), kafkalog.TopicPartition{Topic: topic}, next, records-3,
			func(m *sarama.ConsumerMessage) error {
				if m.Offset != next {
					t.Fatalf("got offset %d, want %d", m.Offset, next)
				}
				next++
				return nil
			})
		if err != nil || next != records-3 {
			t.Errorf("ended before %d with error %v, want %d", next, err, records-3)
		}
	})
}

func TestWhatIsInvisibleIsGoneOverUpToTheNextRecord(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		tp := transactionalLog(t, c)
		for from, want := range map[int64]int64{0: 0, 1: 1, 2: 7, 3: 7, 4: 7, 6: 7, 7: 7, 8: 8, 9: 12, 11: 12, 12: 12} {
			got, err := c.reader.InvisibleUntil(t.Context(), tp, from)
			if err != nil || got != want {
				t.Errorf("from %d: got %d, error %v, want %d", from, got, err, want)
			}
		}
	})
}

func TestAnOpenTransactionIsNotInvisible(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		tp := kafkalog.TopicPartition{Topic: c.topic(t, 1, nil)}
		p := c.producer(t, "open")
		if err := p.BeginTxn(); err != nil {
			t.Fatal(err)
		}
		send(t, p, tp.Topic, "undecided")
		if got, err := c.reader.InvisibleUntil(t.Context(), tp, 0); got != 0 || err != nil {
			t.Errorf("got %d, error %v, want 0: the record may yet be committed", got, err)
		}
		if r := c.ranges(t, tp); r.LastStable != 0 || r.HighWatermark != 1 {
			t.Errorf("got %+v, want a last stable offset of 0 below the high watermark 1", r)
		}
		if err := p.CommitTxn(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestARecordsHashIsThatOfTheConsumedRecord(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		topic := c.topic(t, 1, nil)
		p := c.producer(t, "")
		messages := []*sarama.ProducerMessage{
			{Topic: topic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("v")},
			{Topic: topic}, // neither key nor value
			{Topic: topic, Value: sarama.ByteEncoder{}},
			{Topic: topic, Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: nil}, {Key: []byte{0xff}}}},
		}
		if err := p.SendMessages(messages); err != nil {
			t.Fatal(err)
		}
		tp, hashes := kafkalog.TopicPartition{Topic: topic}, make(map[int64]bool)
		consume(t, c, tp, len(messages), func(m *sarama.ConsumerMessage) {
			var headers []sarama.RecordHeader
			for _, h := range m.Headers {
				headers = append(headers, *h)
			}
			want := kafkalog.Hash(m.Key, m.Value, headers, m.Timestamp)
			got, found, err := c.reader.RecordHash(t.Context(), tp, m.Offset)
			if err != nil || !found || got != want {
				t.Errorf("offset %d: got %d, %t, error %v, want %d", m.Offset, got, found, err, want)
			}
			hashes[got] = true
		})
		if len(hashes) != len(messages) {
			t.Errorf("%d records have %d hashes", len(messages), len(hashes))
		}
	})
}

// consume reads n records with sarama's own consumer, as the service does.
func consume(t *testing.T, c *cluster, tp kafkalog.TopicPartition, n int, fn func(*sarama.ConsumerMessage)) {
	t.Helper()
	consumer, err := sarama.NewConsumer(c.brokers, kafkalog.Config("kafkalog-test", sessionTimeout))
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(tp.Topic, tp.Partition, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer partition.Close()
	deadline := time.After(patience)
	for range n {
		select {
		case m := <-partition.Messages():
			fn(m)
		case <-deadline:
			t.Fatal("the records did not arrive in time")
		}
	}
}

func TestARecordsHashIsNotFoundWhereThereIsNoRecord(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		tp := transactionalLog(t, c)
		if err := c.admin.DeleteRecords(tp.Topic, map[int32]int64{0: 1}); err != nil {
			t.Fatal(err)
		}
		for offset, want := range map[int64]bool{
			0: false, // below the start
			1: true,
			2: false, // a marker
			3: true,  // aborted, but there
			7: true, 9: false,
			11: false,
			12: false, // the end
			13: false, // beyond
		} {
			_, found, err := c.reader.RecordHash(t.Context(), tp, offset)
			if err != nil || found != want {
				t.Errorf("offset %d: found %t, error %v, want %t", offset, found, err, want)
			}
		}
	})
}

func TestAHashTellsFieldsApart(t *testing.T) {
	t.Parallel()
	type header = sarama.RecordHeader
	at := time.UnixMilli(1_700_000_000_000)
	hash := func(key, value []byte, at time.Time, headers ...header) int64 {
		return kafkalog.Hash(key, value, headers, at)
	}
	different := []int64{
		hash(nil, nil, at),
		hash([]byte{}, nil, at),
		hash(nil, []byte{}, at),
		hash([]byte("a"), []byte("b"), at),
		hash([]byte("ab"), []byte{}, at),
		hash([]byte("ab"), nil, at),
		hash(nil, nil, at.Add(time.Millisecond)),
		hash(nil, nil, time.Time{}),
		hash(nil, nil, at, header{}),
		hash(nil, nil, at, header{Key: []byte{}}),
		hash(nil, nil, at, header{}, header{}),
	}
	seen := make(map[int64]int)
	for i, h := range different {
		if j, same := seen[h]; same {
			t.Errorf("cases %d and %d have one hash", i, j)
		}
		seen[h] = i
	}
	if hash(nil, nil, at) != hash(nil, nil, at.Add(time.Microsecond)) {
		t.Error("times that are one millisecond in the log have two hashes")
	}
	// Databases hold hashes of earlier versions: this one was computed when the function was written.
	if got, want := hash([]byte("k"), []byte("v"), at, header{Key: []byte("h")}), int64(-606814427405653030); got != want {
		t.Errorf("the hash of known bytes is %d, was %d", got, want)
	}
}
