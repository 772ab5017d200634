// Package verify proves an installation's books against the log they were written from: every offset that was read is
// accounted for (I5), each event has one answer and its effect exactly if that answer is applied (I1, I3), stock is the
// sum of its movements (I4), and each movement has its version and its message (I6).
//
// It reads all tables in one snapshot and the log up to where that snapshot says, so it may run while the service runs.
// Memory does not grow with either: the log and the tables are walked side by side in the order of offsets, and what is
// compared as a whole is compared by the database, which spills to its disk. The snapshot is held until the end; on a
// busy database that keeps dead rows from being cleaned up for as long.
package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/kafkalog"
	"onhand/inventory"
	"onhand/offsets"
)

// Config is what a Verification needs.
type Config struct {
	Pool *pgxpool.Pool
	Log  *kafkalog.Reader

	// MaxRecordBytes is the service's setting, the smallest one if it was changed; 0 = its default.
	MaxRecordBytes int
	// Differences bounds how many the report lists; all are counted.
	Differences int
	// FromLogStart leaves out records that retention has removed from the log, and does not call that unfinished.
	FromLogStart bool
}

// Verification is one run. It holds a connection and a snapshot from Begin to Close.
type Verification struct {
	cfg      Config
	snapshot *snapshot
	decoder  *inventory.Decoder
	report   Report
	rows     []offsets.Row
	reach    map[kafkalog.TopicPartition]reach
	done     atomic.Int64
}

// reach is how much of a partition's log between start and next can be read: [from, to). The rest, if any, is judged by
// the database's rows alone, and gap says why.
type reach struct {
	from, to int64
	gap      string
	retained bool // the gap is only what retention removed
}

// Begin takes the snapshot and asks how far the log reaches. The caller must Close the result.
func Begin(ctx context.Context, cfg Config) (*Verification, error) {
	if cfg.MaxRecordBytes == 0 {
		cfg.MaxRecordBytes = inventory.DefaultMaxRecordBytes
	}
	s, err := takeSnapshot(ctx, cfg.Pool)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	v := &Verification{
		cfg:      cfg,
		snapshot: s,
		// The size is judged apart, because the setting may have been another one when the record was read.
		decoder: inventory.NewDecoder(inventory.DecoderConfig{MaxRecordBytes: math.MaxInt}),
		report:  Report{limit: cfg.Differences},
	}
	if v.rows, err = offsets.List(ctx, s.tx); err == nil {
		v.reach, err = v.reaches(ctx)
	}
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// Close ends the snapshot. It does not wait for a context: what it ends has written nothing.
func (v *Verification) Close() { v.snapshot.close() }

// Offsets is how many offsets of the log Run will read.
func (v *Verification) Offsets() int64 {
	var n int64
	for _, r := range v.reach {
		n += max(0, r.to-r.from)
	}
	return n
}

// Done is how many of them have been read. It may be called while Run runs.
func (v *Verification) Done() int64 { return v.done.Load() }

// Run compares everything and reports. An error means that the comparison did not get to its end: a server was away, or
// ctx ended.
func (v *Verification) Run(ctx context.Context) (*Report, error) {
	records, err := openRows(ctx, v.snapshot)
	if err != nil {
		return nil, err
	}
	for _, row := range v.rows {
		if err := v.partition(ctx, row, records); err != nil {
			return nil, err
		}
	}
	if err := records.orphans(ctx, &v.report); err != nil {
		return nil, err
	}
	if err := v.ledger(ctx); err != nil {
		return nil, err
	}
	v.report.conclude(v.cfg.FromLogStart)
	return &v.report, nil
}

// partition judges one partition. If its topic turns out to have been created again meanwhile, what was found says
// nothing, and it is left as one that could not be judged.
func (v *Verification) partition(ctx context.Context, row offsets.Row, records *rows) error {
	j := newJudge(v, row, records)
	if err := j.run(ctx); err != nil {
		return err
	}
	if len(j.found.Differences) > 0 && row.TopicID != nil {
		now, err := v.topicIDs(ctx, []string{row.Topic})
		if err != nil {
			return err
		}
		if now[row.Topic] != *row.TopicID {
			j.partition.Untold = "the topic was deleted or created again while its log was read"
			j.found = Report{}
		}
	}
	v.report.add(&j.partition, &j.found)
	return nil
}

// reaches asks the brokers how much of each partition can be read.
func (v *Verification) reaches(ctx context.Context) (map[kafkalog.TopicPartition]reach, error) {
	var names []string
	var tps []kafkalog.TopicPartition
	for i, row := range v.rows {
		if i == 0 || row.Topic != names[len(names)-1] {
			names = append(names, row.Topic)
		}
		tps = append(tps, partitionOf(row))
	}
	ids, err := v.topicIDs(ctx, names)
	if err != nil {
		return nil, err
	}
	ranges, err := v.cfg.Log.Ranges(ctx, tps)
	if err != nil {
		return nil, err
	}
	reaches := make(map[kafkalog.TopicPartition]reach, len(tps))
	for _, row := range v.rows {
		id, exists := ids[row.Topic]
		r, known := ranges[partitionOf(row)]
		switch {
		case !exists:
			reaches[partitionOf(row)] = unreadable(row, "the topic does not exist")
		case row.TopicID != nil && id != uuid.Nil && *row.TopicID != id:
			reaches[partitionOf(row)] = unreadable(row, "the topic was deleted and created again")
		case !known:
			reaches[partitionOf(row)] = unreadable(row, "no broker leads the partition")
		default:
			if reaches[partitionOf(row)], err = v.within(ctx, row, r); err != nil {
				return nil, err
			}
		}
	}
	return reaches, nil
}

// within is the part of row's range that lies in the log, if it is still the log that was read.
func (v *Verification) within(ctx context.Context, row offsets.Row, r kafkalog.Range) (reach, error) {
	if row.Next > r.LastStable {
		return unreadable(row, fmt.Sprintf("the log ends at %d: it was cut back", r.LastStable)), nil
	}
	if row.LastHash != nil && row.Next > r.Start {
		hash, found, err := v.cfg.Log.RecordHash(ctx, partitionOf(row), row.Next-1)
		if err != nil {
			return reach{}, err
		}
		if found && hash != *row.LastHash {
			return unreadable(row, fmt.Sprintf("the record at %d is not the one that was read: the log was cut back "+
				"and grew again", row.Next-1)), nil
		}
	}
	from := max(row.Start, min(r.Start, row.Next))
	if from == row.Start {
		return reach{from: from, to: row.Next}, nil
	}
	return reach{from: from, to: row.Next, retained: true, gap: fmt.Sprintf("retention removed offsets %d to %d",
		row.Start, from-1)}, nil
}

func unreadable(row offsets.Row, why string) reach {
	return reach{from: row.Next, to: row.Next, gap: why}
}

// topicIDs asks for the present ids of topics; one that does not exist is absent.
func (v *Verification) topicIDs(ctx context.Context, names []string) (map[string]uuid.UUID, error) {
	topics, err := v.cfg.Log.Topics(ctx, names)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]uuid.UUID, len(topics))
	for name, topic := range topics {
		ids[name] = topic.ID
	}
	return ids, nil
}

func partitionOf(row offsets.Row) kafkalog.TopicPartition {
	return kafkalog.TopicPartition{Topic: row.Topic, Partition: row.Partition}
}

// logAway says whether err is about what the log holds, and not about how to get at it.
func logAway(err error) bool {
	return errors.Is(err, kafkalog.ErrLogEnds) || errors.Is(err, kafkalog.ErrUnreadable) || outOfRange(err)
}
