package inventory

import (
	"testing"

	"onhand/inbox"
	"onhand/internal/workload"
)

// benchSKUs is how many SKUs the events of the benchmarks fall on, evenly.
const benchSKUs = 10_000

// records are the workload's, as the claim goroutines get them.
func records(b *testing.B, n int) []inbox.Record {
	b.Helper()
	g, err := workload.New(workload.Config{Seed: 1, SKUs: benchSKUs})
	if err != nil {
		b.Fatal(err)
	}
	rs := make([]inbox.Record, n)
	for i := range rs {
		r := g.Next()
		rs[i] = inbox.Record{Topic: "inventory.events", Offset: int64(i), Key: r.Key, Value: r.Value}
	}
	return rs
}

// BenchmarkDecide folds 1,000 events on rows that are loaded, without any SQL.
func BenchmarkDecide(b *testing.B) {
	const size = 1000
	d := NewDecoder(DecoderConfig{})
	events := make([]occurrence, size)
	for i, r := range records(b, size) {
		e, err := d.Decode(&r)
		if err != nil {
			b.Fatal(err)
		}
		body, ok := e.Body.(*Event)
		if !ok {
			b.Fatalf("body is a %T", e.Body)
		}
		events[i] = occurrence{
			Event: body, tenant: e.Tenant, id: e.ID, source: e.Source, from: Partition{r.Topic, r.Partition},
		}
	}
	var f fold
	b.ReportAllocs()
	for b.Loop() {
		f.reset()
		for _, o := range events {
			k := stockKey{o.tenant, o.Lines[0].SKU, o.Lines[0].Location}
			f.rows[k] = &stockRow{key: k, stored: true, stock: Stock{OnHand: 100, Version: 1}, last: o.from}
		}
		for _, o := range events {
			if _, _, err := f.apply(o); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}
