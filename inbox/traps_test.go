package inbox

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

// What the client library does that one would not expect, each with what we do about it.

// commitToKafka writes the group's offset as a foreign tool would.
func (w *world) commitToKafka(partition int32, offset int64) {
	w.t.Helper()
	client, err := sarama.NewClient(w.brokers, kafkalog.Config("test-committer", 10*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	manager, err := sarama.NewOffsetManagerFromClient(w.group, client)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := manager.ManagePartition(w.topic, partition)
	if err != nil {
		w.t.Fatal(err)
	}
	p.MarkOffset(offset, w.install.String())
	p.ResetOffset(offset, w.install.String())
	manager.Commit()
	if err := p.Close(); err != nil {
		w.t.Fatal(err)
	}
	if err := manager.Close(); err != nil {
		w.t.Fatal(err)
	}
	if got, _ := w.committed(partition); got != offset {
		w.t.Fatalf("Kafka holds %d, want %d", got, offset)
	}
}

func TestWhatKafkaHoldsAsPositionIsNeverRead(t *testing.T) {
	t.Parallel()
	for name, foreign := range map[string]int64{"ahead of the stored one": 15, "behind the stored one": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.send(0, numbered("a", 10, "apple")...)
			_, stop := w.start(w.config())
			w.waitNext(0, 10)
			stop()
			w.send(0, numbered("b", 10, "apple")...)
			w.commitToKafka(0, foreign)
			w.start(w.config())
			w.waitNext(0, 20)
			if n, d := w.counted("apple"), w.number(`select duplicate + skipped from offsets`); n != 20 || d != 0 {
				t.Errorf("counted %d, %d read twice or passed over; want 20 and 0", n, d)
			}
		})
	}
}

func TestABatchLargerThanAFetchIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	big := "4194304"
	w.topic = testenv.TopicWith(t, 1, map[string]*string{"max.message.bytes": &big})
	config := kafkalog.Config("test-producer", 10*time.Second)
	config.Producer.Return.Successes = true
	config.Producer.MaxMessageBytes = 4 << 20
	p, err := sarama.NewSyncProducer(w.brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	long := strings.Repeat("x", 3<<20)
	for _, value := range []string{"1 apple", "2 !" + long, "3 apple"} {
		if err := trySend(p, w.topic, 0, value); err != nil {
			t.Fatal(err)
		}
	}
	w.start(w.config())
	w.waitNext(0, 3)
	if n := w.number(`select length(value) from dead_letters`); n != int64(len(long)+3) {
		t.Errorf("the large record has %d bytes in the dead letters, want %d", n, len(long)+3)
	}
}

func TestKeptBytesAreNotTheClients(t *testing.T) {
	t.Parallel()
	m := &sarama.ConsumerMessage{
		Key: []byte("key"), Value: []byte("value"),
		Headers: []*sarama.RecordHeader{{Key: []byte("name"), Value: []byte("text")}, {Key: []byte("null")}},
	}
	r := copyRecord(m)
	for _, b := range [][]byte{m.Key, m.Value, m.Headers[0].Key, m.Headers[0].Value} {
		clear(b)
	}
	if string(r.Key) != "key" || string(r.Value) != "value" ||
		string(r.Headers[0].Key) != "name" || string(r.Headers[0].Value) != "text" || r.Headers[1].Value != nil {
		t.Errorf("the copy changed with the original: %+v", r)
	}
	if copyRecord(&sarama.ConsumerMessage{}).Value != nil ||
		copyRecord(&sarama.ConsumerMessage{Value: []byte{}}).Value == nil {
		t.Error("a tombstone and an empty value are not told apart")
	}
	if !bytes.Equal(append(r.Key, '!'), []byte("key!")) || string(r.Value) != "value" {
		t.Error("appending to one part overwrites the next")
	}
}

func TestNewestIsTheLastStableOffset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p := transactional(t, w.brokers)
	w.transact(p, true, "1 apple") // 0, marker 1
	if err := p.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	if err := trySend(p, w.topic, 0, "2 apple"); err != nil { // 2, open
		t.Fatal(err)
	}
	cfg := w.config()
	cfg.Start = StartNewest()
	w.start(cfg)
	w.waitNext(0, 2)
	if err := p.CommitTxn(); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 4)
	if n := w.counted("apple"); n != 1 {
		t.Errorf("counted %d, want the record that was committed after the start", n)
	}
}

func TestWaitingForATopicDoesNotCreateIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	broker := testenv.Kafka(t, "auto.create.topics.enable=true")
	w.brokers = broker.Brokers()
	w.topic = broker.Topic(1, nil)
	w.producer = testenv.Producer(t, w.brokers)
	cfg := w.config()
	cfg.Brokers, cfg.Topics = w.brokers, []string{w.topic, "missing"}
	w.start(cfg)
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	withAdmin(t, w.brokers, func(a sarama.ClusterAdmin) error {
		topics, err := a.ListTopics()
		if _, created := topics["missing"]; created {
			t.Error("the missing topic was created")
		}
		return err
	})
}

func TestABrokerThatGoesAwayAndComesBackLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	broker := testenv.Kafka(t)
	w.brokers = broker.Brokers()
	w.topic = broker.Topic(2, nil)
	w.producer = testenv.Producer(t, w.brokers)
	cfg := w.config()
	cfg.Brokers, cfg.Topics = w.brokers, []string{w.topic}
	c, _ := w.start(cfg)
	w.send(0, numbered("a", 100, "apple")...)
	w.waitNext(0, 100)
	broker.Kill()
	w.eventually("the consumer says that the broker is away", func() bool { return c.State().Ready() != nil })
	broker.Start()
	w.producer = testenv.Producer(t, w.brokers)
	w.send(0, numbered("b", 100, "apple")...)
	w.waitNext(0, 200)
	if n := w.counted("apple"); n != 200 {
		t.Errorf("counted %d, want 200", n)
	}
	w.eventually("the consumer is ready again", func() bool { return c.State().Ready() == nil })
}

func TestTimeoutsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	for _, session := range []time.Duration{6 * time.Second, 15 * time.Second, time.Minute} {
		x := TimeoutsFor(session)
		order := []time.Duration{x.Lock, x.Statement, x.Batch, x.Rebalance, x.Session}
		if !slices.IsSorted(order) || len(slices.Compact(order)) != 5 || 3*x.Heartbeat >= x.Session {
			t.Errorf("session timeout %s: %+v", session, x)
		}
		c := &Consumer{cfg: Config{SessionTimeout: session}.withDefaults(), timeouts: x, handOver: handOver}
		config := c.saramaConfig()
		if err := config.Validate(); err != nil {
			t.Error(err)
		}
		// JoinGroup's deadline is the read timeout, and it waits for the slowest member.
		if config.Net.ReadTimeout < config.Consumer.Group.Rebalance.Timeout {
			t.Errorf("read timeout %s, rebalance timeout %s", config.Net.ReadTimeout, config.Consumer.Group.Rebalance.Timeout)
		}
	}
}

func TestACooperativeStrategyIsRefused(t *testing.T) {
	t.Parallel()
	cfg := Config{
		Brokers: []string{"127.0.0.1:1"}, Topics: []string{"t"}, Group: "g", Decoder: words{}, Handler: tally,
		Balance: sarama.NewBalanceStrategyCooperativeSticky(),
	}
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "cooperative") {
		t.Errorf("error %v, want one about cooperative rebalancing", err)
	}
}
