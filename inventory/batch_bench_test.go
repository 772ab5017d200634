package inventory

import (
	"fmt"
	"testing"

	"onhand/internal/testenv"
)

// BenchmarkBatch commits batches of 1,000 sales of 10,000 SKUs, without the inbox around them.
func BenchmarkBatch(b *testing.B) {
	const skus, size = 10_000, 1_000
	conn := connect(b, testenv.Database(b))
	h := NewHandler(Config{})
	name := func(i int) string { return fmt.Sprintf("SKU-%07d", i) }
	var stocked []occurrence
	for i := range skus {
		stocked = append(stocked, moves(Received, name(i), DefaultLocation, 1<<40))
	}
	if err := commitBatch(b.Context(), conn, h, items(stocked)); err != nil {
		b.Fatal(err)
	}
	next := 0
	b.ReportAllocs()
	for b.Loop() {
		var sales []occurrence
		for range size {
			next++
			sales = append(sales, moves(Sold, name(next*7919%skus), DefaultLocation, 1))
		}
		if err := commitBatch(b.Context(), conn, h, items(sales)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}
