package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"onhand/internal/audit"
	"onhand/internal/cliout"
	"onhand/internal/kafkalog"
	"onhand/offsets"
)

var errNoPosition = errors.New(
	"no position is stored for that: no member has ever claimed it (see `onhand offsets show`)")

// partitionArgs name the partition that is changed, and who changes it why.
type partitionArgs struct {
	databaseFlags
	brokerFlags
	becauseFlag
	Topic     string `arg:"" help:"Topic."`
	Partition int32  `arg:"" help:"Partition."`
}

func (a *partitionArgs) settings(p *problems) {
	a.databaseFlags.settings(p)
	a.brokerFlags.optional(p)
	a.becauseFlag.settings(p)
}

func (a *partitionArgs) name() offsets.TopicPartition {
	return offsets.TopicPartition{Topic: a.Topic, Partition: a.Partition}
}

// positionChange is what a change of a position prints.
type positionChange struct {
	Before offsets.Row `json:"before"`
	After  offsets.Row `json:"after"`
}

// change locks the partition's row, lets decide write, and records what was done, all in one transaction.
func (a *partitionArgs) change(ctx context.Context, con *console, command string,
	decide func(ctx context.Context, tx pgx.Tx, before offsets.Row) (offsets.Row, error),
) error {
	pool, err := openDatabase(ctx, &a.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	var done positionChange
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		if done.Before, err = offsets.LockRow(ctx, tx, a.name()); err != nil {
			return err
		}
		if done.After, err = decide(ctx, tx, done.Before); err != nil {
			return err
		}
		return audit.Write(ctx, tx, audit.Action{
			Actor: audit.Actor(), Command: command, Because: a.Because,
			Topic: a.Topic, Partition: a.Partition, Before: done.Before, After: done.After,
		})
	})
	if errors.Is(err, offsets.ErrUnknownPartition) {
		return errNoPosition
	}
	if err != nil {
		return err
	}
	return con.out.Print(done, done.table)
}

func (c positionChange) table(t *cliout.Grid) {
	t.Row("", "BEFORE", "AFTER")
	t.Row("incarnation", c.Before.Incarnation, c.After.Incarnation)
	t.Row("start", c.Before.Start, c.After.Start)
	t.Row("next", c.Before.Next, c.After.Next)
	t.Row("jumped", c.Before.Jumped, c.After.Jumped)
	t.Row("topic id", orNull(c.Before.TopicID), orNull(c.After.TopicID))
	t.Row("halt reason", orDash(c.Before.HaltReason), orDash(c.After.HaltReason))
}

// logFacts are what Kafka says about the partition now.
type logFacts struct {
	topicID *uuid.UUID // nil = the brokers know no ids
	kafkalog.Range
}

// errNoBrokers makes a change that needs to know the log a matter of configuration.
var errNoBrokers = usage("--brokers (ONHAND_BROKERS): is missing: this needs to look at the log")

// facts asks Kafka about the partition; nil without an error means that no broker was given.
func (a *partitionArgs) facts(ctx context.Context) (*logFacts, error) {
	if len(a.Brokers) == 0 {
		return nil, nil
	}
	client, reader, err := openKafka(ctx, a.Brokers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, rangesTimeout)
	defer cancel()
	topics, err := reader.Topics(ctx, []string{a.Topic})
	if err != nil {
		return nil, err
	}
	tp := kafkalog.TopicPartition{Topic: a.Topic, Partition: a.Partition}
	ranges, err := reader.Ranges(ctx, []kafkalog.TopicPartition{tp})
	if err != nil {
		return nil, err
	}
	r, ok := ranges[tp]
	if !ok {
		return nil, fmt.Errorf("the brokers do not know where the log of %s/%d begins and ends: no such partition, or no "+
			"leader for it now", a.Topic, a.Partition)
	}
	facts := &logFacts{Range: r}
	if id := topics[a.Topic].ID; id != uuid.Nil {
		facts.topicID = &id
	}
	return facts, nil
}

// otherLog says whether the stored position is about a log that is no more: the topic was created again.
func (f *logFacts) otherLog(row offsets.Row) bool {
	if row.Halted() {
		if r := *row.HaltReason; r == offsets.HaltTopicRecreated || r == offsets.HaltLogRegrown {
			return true
		}
	}
	return f != nil && f.topicID != nil && row.TopicID != nil && *f.topicID != *row.TopicID
}

// known is the topic's id as Kafka says it, or as it is stored where Kafka was not asked or does not know.
func (f *logFacts) known(row offsets.Row) *uuid.UUID {
	if f != nil && f.topicID != nil {
		return f.topicID
	}
	return row.TopicID
}
