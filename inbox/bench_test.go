package inbox

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/offsets"
)

// BenchLane is a lane with one claimed partition and no Kafka, for benchmarks outside this package: those may know
// a handler that knows this package.
type BenchLane struct {
	lane  *lane
	claim *claim
	next  int64
}

// NewBenchLane claims partition 0 of a topic that exists in the database alone.
func NewBenchLane(ctx context.Context, pool *pgxpool.Pool, handler BatchHandler, maxBatch int) (*BenchLane, error) {
	const topic, memory = "bench", 1 << 30
	atZero := func(context.Context) (map[int32]int64, error) { return map[int32]int64{0: 0}, nil }
	if err := offsets.Open(ctx, pool, topic, uuid.New(), []int32{0}, atZero); err != nil {
		return nil, err
	}
	tp := offsets.TopicPartition{Topic: topic}
	claimed, err := offsets.Claim(ctx, pool, []offsets.TopicPartition{tp}, "bench")
	if err != nil {
		return nil, err
	}
	d := newDispatcher(maxBatch, defaultMaxBatchBytes)
	d.divide(memory, nil)
	s := &session{member: &member{dispatcher: d}, over: make(chan struct{})}
	return &BenchLane{
		lane: &lane{
			dispatcher: d, turns: &turns{}, pool: pool, isolation: Config{}.withDefaults().Isolation,
			timeouts: TimeoutsFor(defaultSessionTimeout), batches: handler, health: &health{}, log: zerolog.Nop(),
		},
		claim: &claim{TopicPartition: tp, token: claimed[0].Token, session: s, stopped: make(chan struct{})},
	}, nil
}

// Commit puts values into the partition, decoded, and commits them as one batch.
func (l *BenchLane) Commit(b *testing.B, decoder Decoder, values [][]byte) {
	b.Helper()
	works := make([]*work, len(values))
	for i, value := range values {
		works[i] = &work{record: Record{Topic: l.claim.Topic, Offset: l.next, Value: value}}
		works[i].decode(decoder)
		l.next++
	}
	l.claim.put(l.lane.dispatcher, works)
	batch := l.lane.dispatcher.take()
	l.lane.dispatcher.finish(batch, l.lane.apply(batch))
	if l.claim.next != l.next {
		b.Fatal(fmt.Errorf("the partition stands at %d, not at %d", l.claim.next, l.next))
	}
}
