// Package verify proves an installation's books against the log they were written from: every offset that was read is
// accounted for (I5), each event has one answer and its effect exactly if that answer is applied (I1, I3), stock is
// the sum of its movements (I4), and each movement has its version and its message (I6). If asked to, it also reads the
// topics that messages leave to, and proves that each message is there once, in order and with what the ledger says
// (I7).
//
// An event has one movement for each of its lines, and what of that a record leaves to a reservation is only proven of
// all together: that each movement changes what its kind may change, and that what is reserved is what open
// reservations hold. Likewise goods on the way are what transfers have sent, and none are lost but those that a receipt
// says.
//
// Movements that were archived count like those in the ledger. Of those that were removed from the archive it knows
// how many there were, and of which rows of stock; that an event moved what it asked for cannot be proven without its
// movement, nor that what an opening balance says is what they came to.
//
// It reads all tables in one snapshot and the log up to where that snapshot says, so it may run while the service runs.
// Memory does not grow with either: the log and the tables are walked side by side in the order of offsets, and what is
// compared as a whole is compared by the database, which spills to its disk. Outgoing topics are the exception, see
// outgoing. The snapshot is held until the end; on a busy database that keeps dead rows from being cleaned up for as
// long.
package verify

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

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

	// Outbox has the topics proved, too, that messages leave to.
	Outbox bool
	// OutboxOnly proves these alone, and what the proof rests on: that movements have versions and messages without gap.
	OutboxOnly bool
	// FormerTopics are topics that messages left to before the present one, oldest first.
	FormerTopics []string
	// FollowRefused is the relay's setting: a message may come behind later ones of its row, if Kafka had refused it.
	FollowRefused bool
	// Patience is how long a transaction in an outgoing topic may stay open. 30 s.
	Patience time.Duration
}

// Verification is one run. It holds a connection and a snapshot from Begin to Close.
type Verification struct {
	cfg      Config
	snapshot *snapshot
	decoder  *inventory.Decoder
	report   Report
	rows     []offsets.Row
	memory   *memory
	reach    map[kafkalog.TopicPartition]reach
	outgoing *outgoing // nil = not asked for
	done     atomic.Int64
	removed  int64 // movements of applied events that are not there any more
}

// Begin takes the snapshot and asks how far the log reaches. The caller must Close the result.
func Begin(ctx context.Context, cfg Config) (*Verification, error) {
	if cfg.MaxRecordBytes == 0 {
		cfg.MaxRecordBytes = inventory.DefaultMaxRecordBytes
	}
	cfg.Patience = cmp.Or(cfg.Patience, 30*time.Second)
	var out *outgoing
	if cfg.Outbox || cfg.OutboxOnly {
		var err error
		if out, err = beginOutgoing(ctx, &cfg); err != nil {
			return nil, err
		}
	}
	s, err := takeSnapshot(ctx, cfg.Pool, !cfg.OutboxOnly)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	v := &Verification{
		cfg:      cfg,
		snapshot: s,
		// The size is judged apart, because the setting may have been another one when the record was read.
		decoder:  inventory.NewDecoder(inventory.DecoderConfig{MaxRecordBytes: math.MaxInt}),
		report:   Report{limit: cfg.Differences},
		outgoing: out,
	}
	if out != nil {
		out.v = v
	}
	if cfg.OutboxOnly {
		return v, nil
	}
	if v.memory, err = readMemory(ctx, s.tx); err == nil {
		v.rows, err = offsets.List(ctx, s.tx)
	}
	if err == nil {
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
	if v.outgoing != nil {
		n += v.outgoing.offsets()
	}
	return n
}

// Done is how many of them have been read. It may be called while Run runs.
func (v *Verification) Done() int64 { return v.done.Load() }

// Run compares everything and reports. An error means that the comparison did not get to its end: a server was away, or
// ctx ended.
func (v *Verification) Run(ctx context.Context) (*Report, error) {
	if err := v.openArchive(ctx); err != nil {
		return nil, err
	}
	if !v.cfg.OutboxOnly {
		if err := v.records(ctx); err != nil {
			return nil, err
		}
	}
	if err := v.ledger(ctx); err != nil {
		return nil, err
	}
	if v.outgoing != nil {
		if err := v.outgoing.run(ctx); err != nil {
			return nil, err
		}
	}
	v.report.conclude(v.cfg.FromLogStart)
	return &v.report, nil
}

// records compares what was read with what became of it.
func (v *Verification) records(ctx context.Context) error {
	records, err := openRows(ctx, v.snapshot)
	if err != nil {
		return err
	}
	for _, row := range v.rows {
		if err := v.partition(ctx, row, records); err != nil {
			return err
		}
	}
	if err := records.orphans(ctx, &v.report); err != nil {
		return err
	}
	v.removedTooMany()
	return nil
}

// partition judges one partition. If its topic turns out to have been created again meanwhile, what was found says
// nothing, and it is left as one that could not be judged.
func (v *Verification) partition(ctx context.Context, row offsets.Row, records *rows) error {
	j := newJudge(v, row, records)
	if err := j.run(ctx); err != nil {
		return err
	}
	if j.found.Found > 0 && row.TopicID != nil {
		ids, err := v.topicIDs(ctx, []string{row.Topic})
		if err != nil {
			return err
		}
		if why := replaced(row, ids); why != "" {
			j.partition.Untold, j.found, j.removed = why, Report{}, 0
		}
	}
	v.removed += j.removed
	v.report.add(&j.partition, &j.found)
	return nil
}

func partitionOf(row offsets.Row) kafkalog.TopicPartition {
	return kafkalog.TopicPartition{Topic: row.Topic, Partition: row.Partition}
}
