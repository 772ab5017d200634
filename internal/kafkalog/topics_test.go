package kafkalog_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

func TestTopicsKnowsEachTopicAndItsPartitions(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		one, two := c.topic(t, 1, nil), c.topic(t, 3, nil)
		topics, err := c.reader.Topics(t.Context(), []string{one, two})
		if err != nil {
			t.Fatal(err)
		}
		if len(topics) != 2 || len(topics[one].Partitions) != 1 || len(topics[two].Partitions) != 3 {
			t.Fatalf("got %+v", topics)
		}
		if topics[one].ID == uuid.Nil || topics[one].ID == topics[two].ID {
			t.Errorf("ids %s and %s do not tell the topics apart", topics[one].ID, topics[two].ID)
		}
	})
}

func TestAskingAboutAMissingTopicDoesNotCreateIt(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		missing := "missing-" + uuid.NewString()
		there := c.topic(t, 1, nil)
		for range 2 {
			topics, err := c.reader.Topics(t.Context(), []string{missing, there})
			if err != nil {
				t.Fatal(err)
			}
			if _, found := topics[missing]; found || len(topics) != 1 {
				t.Fatalf("got %+v", topics)
			}
		}
		ranges, err := c.reader.Ranges(t.Context(), []kafkalog.TopicPartition{{Topic: missing}, {Topic: there}})
		if err != nil || len(ranges) != 1 {
			t.Errorf("ranges %v, error %v: want those of %s alone", ranges, err, there)
		}
		all, err := c.admin.ListTopics()
		if err != nil {
			t.Fatal(err)
		}
		if _, created := all[missing]; created {
			t.Error("the question created the topic")
		}
	})
}

func TestATopicCreatedAgainHasAnotherID(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		name := c.topic(t, 2, nil)
		before, err := c.reader.Topics(t.Context(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.admin.DeleteTopic(name); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, patience, "the topic is gone", func() bool {
			topics, err := c.reader.Topics(t.Context(), []string{name})
			return err == nil && len(topics) == 0
		})
		c.create(t, name, 1, nil)
		after, err := c.reader.Topics(t.Context(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		if after[name].ID == uuid.Nil || after[name].ID == before[name].ID {
			t.Errorf("id was %s and is %s", before[name].ID, after[name].ID)
		}
		if len(after[name].Partitions) != 1 {
			t.Errorf("partitions are %v, want just 0", after[name].Partitions)
		}
	})
}

func TestCompactionIsSeenInAnyCleanupPolicy(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		policy := func(p string) map[string]*string { return map[string]*string{"cleanup.policy": &p} }
		plain := c.topic(t, 1, nil)
		deleted := c.topic(t, 1, policy("delete"))
		compacted := c.topic(t, 1, policy("compact"))
		both := c.topic(t, 1, policy("compact,delete"))
		missing := "missing-" + uuid.NewString()
		want := map[string]kafkalog.Compaction{
			plain: kafkalog.CompactionNo, deleted: kafkalog.CompactionNo, compacted: kafkalog.CompactionYes,
			both: kafkalog.CompactionYes, missing: kafkalog.CompactionUnknown,
		}
		var names []string
		for name := range want {
			names = append(names, name)
		}
		got, err := c.reader.Compaction(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		for name, compaction := range want {
			if got[name] != compaction {
				t.Errorf("%s: got %d, want %d", name, got[name], compaction)
			}
		}
	})
}

func TestTheClusterIDStaysTheSame(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, c *cluster) {
		first, err := c.reader.ClusterID(t.Context())
		if err != nil || first == "" {
			t.Fatalf("got %q, error %v", first, err)
		}
		if second, err := connect(t, c.brokers).reader.ClusterID(t.Context()); second != first || err != nil {
			t.Errorf("another client got %q, error %v, want %q", second, err, first)
		}
	})
}

func TestAProtocolVersionWithoutTopicIDsIsRefused(t *testing.T) {
	t.Parallel()
	config := kafkalog.Config("kafkalog-test", sessionTimeout)
	config.Version = sarama.V2_7_0_0
	config.Metadata.Full = false // needs no broker to start
	client, err := sarama.NewClient([]string{"127.0.0.1:1"}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kafkalog.NewReader(client); err == nil {
		t.Error("a client of 2.7 was accepted")
	}
}

// A listener that accepts and never answers is a broker that hangs.
func TestAQuestionEndsWithItsContextWhenTheBrokerHangs(t *testing.T) {
	t.Parallel()
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	config := kafkalog.Config("kafkalog-test", 500*time.Millisecond) // bounds what the question leaves behind, too
	config.Metadata.Full = false
	config.Metadata.Retry.Max = 0
	client, err := sarama.NewClient([]string{hanging.Addr().String()}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := reader.Topics(ctx, []string{"any"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want the context's", err)
	}
	if took := time.Since(begin); took > 400*time.Millisecond {
		t.Errorf("took %s of a deadline of 100ms", took)
	}
}
