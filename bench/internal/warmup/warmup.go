// Package warmup uses a broker until Java has compiled what is used of it. A broker in production has run for days; one
// that was started a moment ago compiles for minutes, which takes a quarter of two cores and would be what a latency on
// the same cores is measured of.
package warmup

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/meter"
	"onhand/internal/kafkalog"
)

const (
	clientID   = "onhand-bench-warm-up"
	partitions = 12
	senders    = 4                // each writes a record at a time
	publishers = 2                // each writes a few records and a position in a transaction
	patience   = 30 * time.Second // for one request
	fewRecords = 8

	// A compiler rests when it has taken less than this share of one core so many times in a row.
	lookEvery = 5 * time.Second
	resting   = 0.05
	restful   = 2
)

// Broker writes and reads, in small requests and in transactions, until the compiler of the broker's process rests, or
// longest has passed; then it is warm as far as it will be. The topic that it makes is removed again.
func Broker(ctx context.Context, brokers []string, pid int, longest time.Duration) (err error) {
	topic := "warm-up-" + uuid.NewString()
	if err := backlog.MakeTopic(ctx, brokers, topic, partitions); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backlog.DropTopic(brokers, topic)) }()
	if err := awaitLeaders(ctx, brokers, topic); err != nil {
		return err
	}
	enough, stop := context.WithTimeout(ctx, longest)
	defer stop()
	group, enough := errgroup.WithContext(enough)
	for i := range senders {
		group.Go(func() error { return send(enough, brokers, topic, int32(i)) })
	}
	for i := range publishers {
		group.Go(func() error { return publish(enough, brokers, topic, i) })
	}
	group.Go(func() error { return read(enough, brokers, topic) })
	group.Go(func() error {
		defer stop()
		return awaitRest(enough, pid)
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("warm the broker up: %w", err)
	}
	return ctx.Err()
}

// awaitLeaders returns when every partition of a topic that was just made has its leader.
func awaitLeaders(ctx context.Context, brokers []string, topic string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, reader, err := kafkalog.Connect(ctx, brokers, clientID, patience)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	all := make([]kafkalog.TopicPartition, partitions)
	for i := range all {
		all[i] = kafkalog.TopicPartition{Topic: topic, Partition: int32(i)}
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ranges, err := reader.Ranges(ctx, all)
		if err == nil && len(ranges) == partitions {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// send writes one record after another, each in a request of its own.
func send(ctx context.Context, brokers []string, topic string, partition int32) (err error) {
	producer, err := sarama.NewSyncProducer(brokers, producing())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	for n := int32(0); ctx.Err() == nil; n++ {
		if _, _, err := producer.SendMessage(record(topic, (partition+n)%partitions)); err != nil {
			return err
		}
	}
	return nil
}

// publish writes a few records and a position in one transaction after another.
func publish(ctx context.Context, brokers []string, topic string, publisher int) (err error) {
	config := producing()
	config.Producer.Transaction.ID = topic + "-" + strconv.Itoa(publisher)
	config.Producer.Transaction.Retry.Max = 1000
	config.Producer.Transaction.Retry.Backoff = time.Millisecond
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	for n := int64(1); ctx.Err() == nil; n++ {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		records := make([]*sarama.ProducerMessage, fewRecords)
		for i := range records {
			records[i] = record(topic, int32(i)%partitions)
		}
		if err := producer.SendMessages(records); err != nil {
			return err
		}
		position := map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: n, LeaderEpoch: -1}}}
		if err := producer.AddOffsetsToTxn(position, config.Producer.Transaction.ID); err != nil {
			return err
		}
		if err := producer.CommitTxn(); err != nil {
			return err
		}
	}
	return nil
}

// producing is a careful producer's configuration.
func producing() *sarama.Config {
	config := kafkalog.Config(clientID, patience)
	config.Net.MaxOpenRequests = 1
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	return config
}

func record(topic string, partition int32) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.ByteEncoder(make([]byte, 200))}
}

// read reads what is written, as soon as it is.
func read(ctx context.Context, brokers []string, topic string) (err error) {
	config := kafkalog.Config(clientID, patience)
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer(brokers, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	var group errgroup.Group
	var all []sarama.PartitionConsumer
	defer func() {
		for _, one := range all {
			one.AsyncClose()
		}
		err = errors.Join(err, group.Wait())
	}()
	for partition := range int32(partitions) {
		one, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		all = append(all, one)
		group.Go(func() error {
			for range one.Messages() { //nolint:revive // they are read, and that is all
			}
			return nil
		})
	}
	<-ctx.Done()
	return nil
}

// awaitRest returns when the compiler of a Java process rests, or ctx has ended.
func awaitRest(ctx context.Context, pid int) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	before, err := compiling(pid)
	if err != nil {
		return err
	}
	for rests := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := compiling(pid)
		if err != nil {
			return err
		}
		if now-before >= time.Duration(resting*float64(lookEvery)) {
			rests = 0
		} else if rests++; rests == restful {
			return nil
		}
		before = now
	}
}

// compiling is how long the compilers of a Java process have run.
func compiling(pid int) (time.Duration, error) { return meter.ThreadTime(pid, "CompilerThre") }
