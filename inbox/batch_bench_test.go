package inbox_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/inbox"
	"onhand/internal/testenv"
	"onhand/internal/workload"
	"onhand/inventory"
)

// BenchmarkBatch commits whole batches as a lane does, from decoding to the commit: positions, inbox, stock, movements
// and outgoing messages.
func BenchmarkBatch(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("records=%d", size), func(b *testing.B) { benchmarkBatch(b, size) })
	}
}

func benchmarkBatch(b *testing.B, size int) {
	const skus, limit = 10_000, 1000
	pool, err := pgxpool.New(b.Context(), testenv.Database(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	lane, err := inbox.NewBenchLane(b.Context(), pool, inventory.NewHandler(inventory.Config{}), limit)
	if err != nil {
		b.Fatal(err)
	}
	generator, err := workload.New(workload.Config{Seed: 1, SKUs: skus})
	if err != nil {
		b.Fatal(err)
	}
	decoder := inventory.NewDecoder(inventory.DecoderConfig{})
	values := func(n int) [][]byte {
		vs := make([][]byte, n)
		for i := range vs {
			vs[i] = generator.Next().Value
		}
		return vs
	}
	for range 2 * skus / limit { // most SKUs have a row then
		lane.Commit(b, decoder, values(limit))
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		vs := values(size)
		b.StartTimer()
		lane.Commit(b, decoder, vs)
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}
