package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

const (
	// maxRetries is how often a question goes to another broker because the one asked no longer has the answer.
	maxRetries = 5
	retryPause = 100 * time.Millisecond
	// fetchVersion is the newest Fetch that sarama speaks; brokers older than we support have it.
	fetchVersion = 12
)

// question is what a fetch asks for.
type question struct {
	at        TopicPartition
	offset    int64
	bytes     int32 // roughly: a larger first batch comes whole
	isolation sarama.IsolationLevel
	patience  time.Duration // how long the broker may wait for something to answer with
}

// page is one answer to a fetch: batches in offset order, the first of which may begin before the offset asked for.
type page struct {
	batches []*sarama.RecordBatch
	aborted []*sarama.AbortedTransaction // by first offset; only asked for, and only right, under ReadCommitted
	stable  int64                        // last stable offset
	cut     bool                         // the first batch did not fit: ask for more bytes
}

// fetch asks the partition's leader for a page. sarama.ErrOffsetOutOfRange comes back as such.
func (r *Reader) fetch(ctx context.Context, q question) (*page, error) {
	for try := 0; ; try++ {
		p, err := within(ctx, func() (*page, error) { return r.fetchOnce(q) })
		if err == nil || try == maxRetries || !movedLeader(err) {
			return p, err
		}
		if err := pause(ctx, retryPause); err != nil {
			return nil, err
		}
		// Its failure is not the answer: the next try tells.
		_, _ = within(ctx, func() (struct{}, error) { return struct{}{}, r.client.RefreshMetadata(q.at.Topic) })
	}
}

func (r *Reader) fetchOnce(q question) (*page, error) {
	leader, err := r.client.Leader(q.at.Topic, q.at.Partition)
	if err != nil {
		return nil, err
	}
	request := &sarama.FetchRequest{
		Version:      fetchVersion,
		MinBytes:     1,
		MaxWaitTime:  int32(q.patience / time.Millisecond),
		MaxBytes:     q.bytes,
		Isolation:    q.isolation,
		SessionEpoch: -1, // no fetch session: each answer stands alone
	}
	request.AddBlock(q.at.Topic, q.at.Partition, q.offset, q.bytes, -1)
	var response *sarama.FetchResponse
	err = r.ask(leader, func() (err error) {
		response, err = leader.Fetch(request)
		return err
	})
	if err != nil {
		return nil, err
	}
	if code := sarama.KError(response.ErrorCode); code != sarama.ErrNoError {
		return nil, code
	}
	block := response.GetBlock(q.at.Topic, q.at.Partition)
	if block == nil {
		return nil, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		return nil, block.Err
	}
	return newPage(block)
}

func newPage(block *sarama.FetchResponseBlock) (*page, error) {
	p := &page{aborted: block.AbortedTransactions, stable: block.LastStableOffset, cut: block.Partial}
	slices.SortFunc(p.aborted, func(a, b *sarama.AbortedTransaction) int {
		return int(min(1, max(-1, a.FirstOffset-b.FirstOffset)))
	})
	for _, records := range block.RecordsSet {
		b := records.RecordBatch
		if b == nil {
			return nil, errors.New("the log holds records in the format of Kafka before 0.11")
		}
		if b.PartialTrailingRecord {
			p.cut = p.cut || len(p.batches) == 0
			break
		}
		p.batches = append(p.batches, b)
	}
	return p, nil
}

// each calls fn for the page's batches in order, and says of each whether a read_committed reader sees its records:
// they are not control records, nor those of an aborted transaction. fn returns false to stop.
func (p *page) each(fn func(b *sarama.RecordBatch, visible bool) bool) {
	aborting := make(map[int64]bool) // producers inside an aborted transaction at this point of the log
	pending := p.aborted
	for _, b := range p.batches {
		for len(pending) > 0 && pending[0].FirstOffset <= b.LastOffset() {
			aborting[pending[0].ProducerID] = true
			pending = pending[1:]
		}
		visible := !b.Control && (!b.IsTransactional || !aborting[b.ProducerID])
		if b.Control && abortMarker(b) {
			delete(aborting, b.ProducerID)
		}
		if !fn(b, visible) {
			return
		}
	}
}

// abortMarker reads a control batch's only record, whose key is two 16-bit numbers: a version, and 0 for abort.
func abortMarker(b *sarama.RecordBatch) bool {
	if len(b.Records) == 0 || len(b.Records[0].Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(b.Records[0].Key[2:]) == 0
}

// timestamp is the log's time for record, as sarama's consumer gives it.
func timestamp(b *sarama.RecordBatch, record *sarama.Record) time.Time {
	if b.LogAppendTime {
		return b.MaxTimestamp
	}
	return b.FirstTimestamp.Add(record.TimestampDelta)
}

func movedLeader(err error) bool {
	for _, moved := range []error{
		sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrReplicaNotAvailable,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrFencedLeaderEpoch, sarama.ErrKafkaStorageError,
		sarama.ErrOffsetNotAvailable, sarama.ErrIncompleteResponse, sarama.ErrNotConnected,
	} {
		if errors.Is(err, moved) {
			return true
		}
	}
	return false
}
