package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// eachValue reads the whole topic, partition by partition and in order, and hands each record's value to fold.
func eachValue(ctx context.Context, broker string, fold func(value []byte)) (err error) {
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.ClientID = "onhand-demo-recount"
	// Closing a partition waits for the fetch at its end.
	cfg.Consumer.MaxWaitTime = 20 * time.Millisecond
	client, err := sarama.NewClient([]string{broker}, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()

	for partition := range int32(partitions) {
		end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		if err := eachInPartition(ctx, consumer, partition, end, fold); err != nil {
			return fmt.Errorf("partition %d: %w", partition, err)
		}
	}
	return nil
}

func eachInPartition(
	ctx context.Context, consumer sarama.Consumer, partition int32, end int64, fold func(value []byte),
) (err error) {
	if end == 0 {
		return nil
	}
	records, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	for {
		select {
		case r, open := <-records.Messages():
			if !open {
				return errors.New("it ended early")
			}
			fold(r.Value)
			if r.Offset == end-1 {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
