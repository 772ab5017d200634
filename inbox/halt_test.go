package inbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
	"onhand/offsets"
)

// waitHalt waits until a partition is halted for a reason.
func (w *world) waitHalt(partition int32, reason string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("partition %d halted for %s", partition, reason), func() bool {
		return w.haltReason(partition) == reason
	})
}

// resume lets a halted partition go on as an operator's command does.
func (w *world) resume(partition int32, next int64) {
	w.t.Helper()
	w.exec(`update offsets set halt_reason = null, halt_detail = null, halted_at = null, recent = '', last_hash = null,
	  jumped = jumped + $3 - next, next = $3 where topic = $1 and partition = $2`, w.topic, partition, next)
}

// committed is what Kafka says of the group's position; -1 = nothing.
func (w *world) committed(partition int32) (offset int64, metadata string) {
	w.t.Helper()
	offset = -1
	withReader(w.t, w.brokers, func(r *kafkalog.Reader) {
		all, err := r.Committed(w.t.Context(), w.group)
		if err != nil {
			w.t.Fatal(err)
		}
		if c, ok := all[kafkalog.TopicPartition{Topic: w.topic, Partition: partition}]; ok {
			offset, metadata = c.Offset, c.Metadata
		}
	})
	return offset, metadata
}

func withReader(t *testing.T, brokers []string, do func(*kafkalog.Reader)) {
	t.Helper()
	client, err := sarama.NewClient(brokers, kafkalog.Config("test-reader", patience))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	r, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	do(r)
}

func TestAPositionBelowTheLogsStartHaltsThatPartitionAloneAndForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.send(0, numbered("a", 30, "apple")...)
	w.send(1, numbered("b", 5, "pear")...)
	_, stop := w.start(w.config())
	w.waitNext(0, 30)
	w.waitNext(1, 5)
	stop()
	w.send(0, numbered("c", 30, "apple")...)
	deleteRecords(t, w.brokers, w.topic, map[int32]int64{0: 40})

	c, stop := w.start(w.config())
	w.waitHalt(0, offsets.HaltBelowLogStart)
	w.send(1, numbered("d", 5, "pear")...)
	w.waitNext(1, 10)
	w.eventually("one of two partitions counts as halted", func() bool {
		s := c.State()
		return s.Partitions == 2 && s.Halted == 1 && s.Ready() == nil
	})
	// Other partitions' positions reach Kafka, the held one's stays what it was: never the legal offset (40) at which
	// the client was made to start.
	w.eventually("the advisory commit of the other partition", func() bool {
		offset, _ := w.committed(1)
		return offset == 10
	})
	if offset, metadata := w.committed(0); offset != 30 || metadata != w.install.String() {
		t.Errorf("Kafka holds %d %q for the held partition, want 30 %s", offset, metadata, w.install)
	}
	stop()

	_, stop = w.start(w.config())
	w.send(1, "z pear")
	w.waitNext(1, 11)
	if w.haltReason(0) != offsets.HaltBelowLogStart || w.next(0) != 30 {
		t.Errorf("after a restart: %q at %d, want %s at 30", w.haltReason(0), w.next(0), offsets.HaltBelowLogStart)
	}
	if offset, _ := w.committed(0); offset != 30 {
		t.Errorf("after a restart Kafka holds %d for the held partition, want 30", offset)
	}
	w.resume(0, 40)
	w.waitNext(0, 60)
	if n := w.counted("apple"); n != 50 {
		t.Errorf("counted %d, want 50", n)
	}
	stop()
}

func TestAHeldPartitionsLegalOffsetIsNeverPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.send(0, numbered("a", 30, "apple")...)
	_, stop := w.start(w.config())
	w.waitNext(0, 30)
	stop()
	w.exec(`update offsets set next = 1000, jumped = jumped + 970 where partition = 0`) // beyond the end
	_, stop = w.start(w.config())
	w.waitHalt(0, offsets.HaltBeyondLogEnd)
	for i := range 3 {
		w.send(1, fmt.Sprintf("p-%d pear", i))
		w.eventually("an advisory commit", func() bool { offset, _ := w.committed(1); return offset == int64(i+1) })
		if offset, _ := w.committed(0); offset != 30 && offset != 1000 {
			t.Fatalf("Kafka holds %d for the held partition: neither what it was (30) nor what is stored (1000)", offset)
		}
	}
	stop()
	if offset, _ := w.committed(0); offset != 30 && offset != 1000 {
		t.Fatalf("after the end Kafka holds %d for the held partition", offset)
	}
}

func TestARecreatedTopicHaltsEvenWhenItsLogHasGrownPastThePosition(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, numbered("a", 10, "apple")...)
	_, stop := w.start(w.config())
	w.waitNext(0, 10)
	stop()
	recreateTopic(t, w.brokers, w.topic, 1)
	w.producer = testenv.Producer(t, w.brokers)
	w.send(0, numbered("b", 20, "apple")...)
	w.start(w.config())
	w.waitHalt(0, offsets.HaltTopicRecreated)
	if n := w.counted("apple"); n != 10 {
		t.Errorf("counted %d: records of another log were applied", n)
	}
}

func TestATopicRecreatedUnderARunningConsumerHalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, numbered("a", 10, "apple")...)
	w.start(w.config())
	w.waitNext(0, 10)
	recreateTopic(t, w.brokers, w.topic, 1)
	w.waitHalt(0, offsets.HaltTopicRecreated)
}

func TestALogThatWasCutBackAndGrewAgainHalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, numbered("a", 10, "apple")...)
	_, stop := w.start(w.config())
	w.waitNext(0, 10)
	stop()
	// The same topic, another history: on a cluster without topic ids this is all that shows.
	recreateTopic(t, w.brokers, w.topic, 1)
	w.producer = testenv.Producer(t, w.brokers)
	w.send(0, numbered("b", 20, "apple")...)
	w.exec(`update offsets set topic_id = null`)
	w.start(w.config())
	w.waitHalt(0, offsets.HaltLogRegrown)
	if n := w.counted("apple"); n != 10 {
		t.Errorf("counted %d: records of another log were applied", n)
	}
}

func TestACompactedTopicHaltsUnlessItIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, "1 apple")
	setPolicy(t, w.brokers, w.topic, "compact")
	_, stop := w.start(w.config())
	w.waitHalt(0, offsets.HaltTopicCompacted)
	stop()
	w.resume(0, 0)
	cfg := w.config()
	cfg.AllowCompacted = true
	w.start(cfg)
	w.waitNext(0, 1)
}

func TestACompactionThatIsSwitchedOnLaterIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, "1 apple")
	w.start(w.config())
	w.waitNext(0, 1)
	setPolicy(t, w.brokers, w.topic, "compact,delete")
	w.waitHalt(0, offsets.HaltTopicCompacted)
}

// setPolicy returns once the broker says what it was told: it answers before it has taken a change in.
func setPolicy(t *testing.T, brokers []string, topic, policy string) {
	t.Helper()
	withAdmin(t, brokers, func(a sarama.ClusterAdmin) error {
		err := a.AlterConfig(sarama.TopicResource, topic, map[string]*string{"cleanup.policy": &policy}, false)
		if err != nil {
			return err
		}
		testenv.Eventually(t, 10*time.Second, "cleanup.policy "+policy, func() bool {
			asked := []*sarama.ConfigResource{
				{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"cleanup.policy"}},
			}
			answers, err := a.DescribeConfigs(asked, sarama.DescribeConfigsOptions{})
			return err == nil && len(answers) == 1 && len(answers[0].Configs) == 1 && answers[0].Configs[0].Value == policy
		})
		return nil
	})
}

func TestAStormOfWrongRecordsStopsItsPartitionAtTheRecordThatMakesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.send(0, numbered("good", 60, "apple")...)
	w.send(0, numbered("bad", 300, "!broken")...)
	w.start(w.config())
	w.waitHalt(0, offsets.HaltParkedStorm)
	// 60 good, then bad ones: the 61st makes more than half of 121.
	if next, parked := w.next(0), w.number(`select parked from offsets where partition = 0`); next != 121 || parked != 61 {
		t.Errorf("stopped at %d with %d parked, want 121 and 61", next, parked)
	}
	if n := w.number(`select count(*) from dead_letters`); n != 61 {
		t.Errorf("%d dead letters, want 61", n)
	}
	w.send(1, "x pear")
	w.waitNext(1, 1)
}

func TestAStormIsJudgedTheSameWhereverBatchesAreCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	cfg := w.config()
	cfg.MaxBatch = 7
	w.send(0, numbered("good", 60, "apple")...)
	w.send(0, numbered("bad", 300, "!broken")...)
	w.start(cfg)
	w.waitHalt(0, offsets.HaltParkedStorm)
	if next := w.next(0); next != 121 {
		t.Errorf("stopped at %d, want 121", next)
	}
}
