package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
)

// Topic is what identifies a topic.
type Topic struct {
	Name string
	// ID is another one when the topic was deleted and created again. Zero = the brokers know no ids.
	ID         uuid.UUID
	Partitions []int32 // ascending, also those that have no leader now
}

// ClusterID returns the cluster's id; empty if the brokers have none.
func (r *Reader) ClusterID(ctx context.Context) (string, error) {
	m, err := within(ctx, func() (*sarama.MetadataResponse, error) { return r.metadata(nil) })
	if err != nil {
		return "", fmt.Errorf("read the cluster id: %w", err)
	}
	if m.ClusterID == nil {
		return "", nil
	}
	return *m.ClusterID, nil
}

// Topics asks a broker, past the client's cache, which of names exist. One that does not exist is absent from the map;
// so is one that cannot be described (no right to), which also makes an error, while the map stays good for the others.
func (r *Reader) Topics(ctx context.Context, names []string) (map[string]Topic, error) {
	if len(names) == 0 {
		return map[string]Topic{}, nil
	}
	m, err := within(ctx, func() (*sarama.MetadataResponse, error) { return r.metadata(names) })
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	topics := make(map[string]Topic, len(names))
	var errs []error
	for _, t := range m.Topics {
		switch t.Err {
		case sarama.ErrNoError, sarama.ErrLeaderNotAvailable:
			topics[t.Name] = describe(t)
		case sarama.ErrUnknownTopicOrPartition:
		default:
			errs = append(errs, fmt.Errorf("describe topic %s: %w", t.Name, t.Err))
		}
	}
	return topics, errors.Join(errs...)
}

// Partitions are topic's partitions as the client knows them, ascending.
func (r *Reader) Partitions(topic string) ([]TopicPartition, error) {
	partitions, err := r.client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("look up topic %s: %w", topic, err)
	}
	tps := make([]TopicPartition, len(partitions))
	for i, p := range partitions {
		tps[i] = TopicPartition{Topic: topic, Partition: p}
	}
	return tps, nil
}

func describe(t *sarama.TopicMetadata) Topic {
	topic := Topic{Name: t.Name, ID: uuid.UUID(t.Uuid), Partitions: make([]int32, 0, len(t.Partitions))}
	for _, p := range t.Partitions {
		topic.Partitions = append(topic.Partitions, p.ID)
	}
	slices.Sort(topic.Partitions)
	return topic
}

// metadata asks a broker about names, none meaning all topics (sarama cannot ask for the cluster alone). It never
// creates a topic: the request's flag is off, whatever the client's configuration says.
func (r *Reader) metadata(names []string) (*sarama.MetadataResponse, error) {
	var m *sarama.MetadataResponse
	err := r.askAny(func(b *sarama.Broker) (err error) {
		m, err = b.GetMetadata(sarama.NewMetadataRequest(r.client.Config().Version, names))
		return err
	})
	return m, err
}

// Compaction says whether a topic's log may lose records before their time.
type Compaction int

// The answers: a topic we may not ask about, or could not, is Unknown.
const (
	CompactionUnknown Compaction = iota
	CompactionNo
	CompactionYes
)

const cleanupPolicy = "cleanup.policy"

// Compaction reads the topics' cleanup.policy. Each of names is in the map; an error means that nobody could be asked,
// and then all are unknown.
func (r *Reader) Compaction(ctx context.Context, names []string) (map[string]Compaction, error) {
	answers := make(map[string]Compaction, len(names))
	request := &sarama.DescribeConfigsRequest{Version: 4}
	for _, name := range names {
		answers[name] = CompactionUnknown
		request.Resources = append(request.Resources,
			&sarama.ConfigResource{Type: sarama.TopicResource, Name: name, ConfigNames: []string{cleanupPolicy}})
	}
	if len(names) == 0 {
		return answers, nil
	}
	configs, err := within(ctx, func() (*sarama.DescribeConfigsResponse, error) {
		var response *sarama.DescribeConfigsResponse
		err := r.askAny(func(b *sarama.Broker) (err error) {
			response, err = b.DescribeConfigs(request)
			return err
		})
		return response, err
	})
	if err != nil {
		return answers, fmt.Errorf("read %s: %w", cleanupPolicy, err)
	}
	for _, topic := range configs.Resources {
		if sarama.KError(topic.ErrorCode) == sarama.ErrNoError {
			answers[topic.Name] = compaction(topic.Configs)
		}
	}
	return answers, nil
}

func compaction(entries []*sarama.ConfigEntry) Compaction {
	for _, e := range entries {
		if e.Name != cleanupPolicy {
			continue
		}
		for policy := range strings.SplitSeq(e.Value, ",") {
			if strings.TrimSpace(policy) == "compact" {
				return CompactionYes
			}
		}
		return CompactionNo
	}
	return CompactionUnknown
}
