package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

const (
	// probeBytes is enough for a look at what comes next; a larger batch comes whole anyway.
	probeBytes = 64 << 10
	// maxProbes bounds how many such looks one call of InvisibleUntil takes.
	maxProbes = 16
	// scanBytes is how much of the log a scan asks for at a time, compressed as it is.
	scanBytes    = 1 << 20
	maxScanBytes = 1 << 30
	// maxEmptyAnswers is how many empty answers in a row a scan takes where records should be, with scanPatience each.
	maxEmptyAnswers = 20
	scanPatience    = 100 * time.Millisecond
)

// ErrLogEnds is Scan's answer when the log's readable part ends before the range does.
var ErrLogEnds = errors.New("the log ends before the range")

// ErrUnreadable is Scan's answer when the broker returns nothing where the log should go on.
var ErrUnreadable = errors.New("nothing can be read where the log should go on")

// RecordHash returns the Hash of the record at exactly offset, committed or not. found is false where there is none: a
// transaction's marker, an offset outside the log, a record that compaction removed.
func (r *Reader) RecordHash(ctx context.Context, tp TopicPartition, offset int64) (hash int64, found bool, err error) {
	// One byte: the batch that holds offset comes whole, and nothing after it.
	p, err := r.fetch(ctx, question{at: tp, offset: offset, bytes: 1, isolation: sarama.ReadUncommitted})
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read record %d of %s: %w", offset, tp, err)
	}
	for _, b := range p.batches {
		if b.Control {
			continue
		}
		for _, record := range b.Records {
			if b.FirstOffset+record.OffsetDelta == offset {
				return Hash(record.Key, record.Value, headers(record), timestamp(b, record)), true, nil
			}
		}
	}
	return 0, false, nil
}

func headers(record *sarama.Record) []sarama.RecordHeader {
	hs := make([]sarama.RecordHeader, len(record.Headers))
	for i, h := range record.Headers {
		hs[i] = *h
	}
	return hs
}

// InvisibleUntil returns the offset that a read_committed reader at from may go on to without having seen a record: the
// one after the last transaction marker or aborted record in a row, at most the last stable offset; from itself when a
// visible record comes first or nothing is there yet. The work of one call is bounded: call again from the answer until
// it stays.
func (r *Reader) InvisibleUntil(ctx context.Context, tp TopicPartition, from int64) (int64, error) {
	next := from
	for range maxProbes {
		p, err := r.fetch(ctx, question{at: tp, offset: next, bytes: probeBytes, isolation: sarama.ReadCommitted})
		if err != nil {
			return from, fmt.Errorf("look past offset %d of %s: %w", next, tp, err)
		}
		before, done := next, false
		p.each(func(b *sarama.RecordBatch, visible bool) bool {
			if visible {
				done = true
				return false
			}
			next = max(next, min(b.LastOffset()+1, p.stable))
			return true
		})
		if done || next == before || next >= p.stable {
			break
		}
	}
	return next, nil
}

// Scan calls fn for the records in [from, to) that a read_committed reader sees, in offset order, and returns when
// that range is read: at once after the last record, even if only markers or aborted records lie between it and to.
// Memory is bounded by one answer of the broker (about 1 MiB as compressed by its producer, or one larger batch).
// Records alias the answer: copy what is kept past fn. fn's error ends the scan and is returned as it is.
//
// sarama.ErrOffsetOutOfRange means that from is not in the log (any more), ErrLogEnds that to lies beyond its stable
// end.
func (r *Reader) Scan(
	ctx context.Context, tp TopicPartition, from, to int64, fn func(*sarama.ConsumerMessage) error,
) error {
	bytes, empty := int32(scanBytes), 0
	for next := from; next < to; {
		q := question{at: tp, offset: next, bytes: bytes, isolation: sarama.ReadCommitted, patience: scanPatience}
		p, err := r.fetch(ctx, q)
		switch {
		case err != nil:
			return fmt.Errorf("scan %s from offset %d: %w", tp, next, err)
		case len(p.batches) > 0:
			bytes, empty = scanBytes, 0
			if next, err = p.scan(tp, next, to, fn); err != nil {
				return err
			}
		case next >= p.stable:
			return fmt.Errorf("scan %s from offset %d to %d: %w at %d", tp, next, to, ErrLogEnds, p.stable)
		case empty == maxEmptyAnswers:
			// Batches emptied by compaction look so, too: sarama does not pass them on.
			return fmt.Errorf("scan %s from offset %d to %d: %w", tp, next, to, ErrUnreadable)
		default:
			empty++
			if p.cut {
				bytes = min(2*bytes, maxScanBytes)
			}
		}
	}
	return nil
}

// scan calls fn for the visible records of p in [next, to), and returns the offset to go on with.
func (p *page) scan(tp TopicPartition, next, to int64, fn func(*sarama.ConsumerMessage) error) (int64, error) {
	var failed error
	p.each(func(b *sarama.RecordBatch, visible bool) bool {
		if visible {
			for _, record := range b.Records {
				offset := b.FirstOffset + record.OffsetDelta
				if offset < next || offset >= to {
					continue
				}
				if failed = fn(message(tp, b, record)); failed != nil {
					return false
				}
			}
		}
		next = max(next, b.LastOffset()+1)
		return next < to
	})
	return next, failed
}

func message(tp TopicPartition, b *sarama.RecordBatch, record *sarama.Record) *sarama.ConsumerMessage {
	return &sarama.ConsumerMessage{
		Topic:     tp.Topic,
		Partition: tp.Partition,
		Offset:    b.FirstOffset + record.OffsetDelta,
		Key:       record.Key,
		Value:     record.Value,
		Headers:   record.Headers,
		Timestamp: timestamp(b, record),
	}
}
