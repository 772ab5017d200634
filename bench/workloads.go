package main

import (
	"fmt"
	"strings"
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// workloads are all questions there are, in the report's order.
func workloads(s sizes) []workload {
	all := []workload{headlineWorkload(s)}
	all = append(all, shapes(s)...)
	all = append(all, shops(s)...)
	all = append(all, circumstances(s)...)
	all = append(all, growth(s)...)
	all = append(all, drains(s)...)
	all = append(all, latencies(s)...)
	all = append(all, outboxes(s)...)
	return append(all, workload{
		name: "wire", about: "what a batch takes on the wire to the database", quick: true,
		lines: []line{
			onhand(s.events/2, headline(), ways{counted: true}),
			{name: "textbook", contestant: "textbook", records: s.short / 4, shape: headline(), ways: ways{counted: true}},
		},
	})
}

// floorRecords is the least for the floor, in lines. Its writers commit 20,000 of them at a time, some of which are
// begun when the clock starts and count whole: of few commits in all that would be a good part.
const floorRecords = 600_000

func headlineWorkload(s sizes) workload {
	w := workload{
		name: report.Reference, quick: true,
		about: fmt.Sprintf("%d partitions, %d SKUs drawn evenly, no duplicates", headlinePartitions, headlineSKUs),
	}
	for _, c := range contestants() {
		l := line{name: c.name, contestant: c.name, records: s.events, shape: headline()}
		switch {
		case c.short:
			l.records = s.short
		case strings.HasPrefix(c.name, report.FloorPrefix):
			l.records = max(s.events, floorRecords)
		}
		w.lines = append(w.lines, l)
	}
	return w
}

// shapes are other events than the headline's. Each is compared with the headline, as many records of it.
func shapes(s sizes) []workload {
	oneSKU := like(func(s *backlog.Shape) { s.SKUs = 1 })
	all := []workload{
		{
			name: "one-sku", about: "all events on one SKU, and so in one partition", quick: true,
			lines: []line{
				onhand(s.events, oneSKU, ways{}), reference(s.events),
				{name: "textbook", contestant: "textbook", records: s.short / 3, shape: oneSKU},
			},
		},
		{
			name: "zipf", about: "SKUs drawn by Zipf's law, exponent 0.99", quick: true,
			lines: []line{
				onhand(s.events, like(func(s *backlog.Shape) { s.Skew = 0.99 }), ways{}), reference(s.events),
			},
		},
		{
			name: "skus-1m", about: "1,000,000 SKUs drawn evenly, once each has stock",
			lines: append(severalWriters(func(floor string) line { return manySKUs(floor, max(s.events, floorRecords)) }),
				manySKUs(report.Onhand, s.events), reference(s.events)),
		},
		{
			name: "skus-new", about: "1,000,000 SKUs drawn evenly, none of them known: most events make two more rows",
			lines: []line{
				onhand(s.events, like(func(s *backlog.Shape) { s.SKUs = million }), ways{}), reference(s.events),
			},
		},
	}
	for _, percent := range []int{1, 10, 50} {
		shape := like(func(s *backlog.Shape) { s.Duplicates = float64(percent) / 100 })
		all = append(all, workload{
			name:  fmt.Sprintf("duplicates-%d", percent),
			about: fmt.Sprintf("%d %% of the records send an earlier event again", percent),
			quick: percent == 50,
			lines: []line{onhand(s.events, shape, ways{}), reference(s.events)},
		})
	}
	for _, partitions := range []int{1, 128, 512} {
		all = append(all, workload{
			name: fmt.Sprintf("partitions-%d", partitions), about: "another number of partitions than 12",
			lines: []line{
				onhand(s.events, like(func(s *backlog.Shape) { s.Partitions = partitions }), ways{}), reference(s.events),
			},
		})
	}
	return all
}

const million = 1_000_000

// manySKUs begins to count when every SKU has had its first receipt, and a tenth of the other events is done too.
func manySKUs(contestant string, events int) line {
	shape := like(func(s *backlog.Shape) { s.SKUs, s.Stocked = million, true })
	records := million + events
	l := onhand(records, shape, ways{from: (million + 0.1*float64(events)) / float64(records)})
	l.name, l.contestant = contestant, contestant
	return l
}

// severalWriters are the floor's sizes that are the fastest by turns: the limit where the headline's says nothing,
// because the rows themselves cost more.
func severalWriters(of func(floor string) line) []line {
	return []line{of(report.FloorPrefix + "2"), of(report.FloorPrefix + "4")}
}

// drains are one long backlog. Its first events come right after a checkpoint, the others between as many as Postgres
// makes: the floor, and a Postgres that makes hardly any, show what these take from the last.
func drains(s sizes) []workload {
	const factor = 10 // times as long as the usual one
	long := onhand(factor*s.events, headline(), ways{drain: true})
	floor := long
	floor.name, floor.contestant = report.FloorPrefix+"2", report.FloorPrefix+"2"
	return []workload{
		{
			name: "drain", about: "one long backlog: the rate of its last fifth against that of its first",
			lines: []line{long, floor},
		},
		{
			name: "drain-wal", about: "the same with max_wal_size = 8GB, eight times the default: hardly a checkpoint",
			settings: []string{"max_wal_size=8GB"},
			lines:    []line{long, floor},
		},
	}
}

// circumstances are the headline's events, applied in another way.
func circumstances(s sizes) []workload {
	// Members that join one after another move partitions about: what counts begins after that, for both lines.
	const settled = 0.4
	one := reference(2 * s.events)
	one.from = settled
	return []workload{
		{
			name: "round-trip", about: "2.5 ms round trip to the database", quick: true,
			lines: []line{
				onhand(s.events, headline(), ways{roundTrip: 2500 * time.Microsecond}), reference(s.events),
			},
		},
		{
			name: "members-3", about: "three members against one",
			lines: []line{onhand(2*s.events, headline(), ways{members: 3, from: settled}), one},
		},
		{
			name: "serializable", about: "--isolation serializable",
			lines: []line{
				onhand(s.events, headline(), ways{args: []string{"--isolation", "serializable"}}), reference(s.events),
			},
		},
	}
}

// growth is the same work on an inbox that has much in it already.
func growth(s sizes) []workload {
	all := []workload{
		{name: "growth-v7", about: "the inbox holds older events, ids in the order of time (UUIDv7)"},
		{name: "growth-v4", about: "the inbox holds older events, ids without order (UUIDv4)"},
	}
	for i := range all {
		shape := like(func(s *backlog.Shape) { s.RandomIDs = i == 1 })
		filled := func(name string, rows int) line {
			l := onhand(s.events, shape, ways{})
			l.name, l.prefill = name, servers.Prefill{Rows: rows, RandomIDs: shape.RandomIDs}
			return l
		}
		all[i].lines = []line{
			filled(report.Onhand, 20*s.events), filled("a tenth of it", 2*s.events), filled(report.EmptyInbox, 0),
		}
		if !shape.RandomIDs {
			continue
		}
		for _, rows := range []int{20 * s.events, 0} {
			all[i].lines = append(all[i].lines, severalWriters(func(floor string) line {
				l := filled(floor, rows)
				l.contestant, l.records = floor, max(s.events, floorRecords)
				if rows == 0 {
					l.name = report.EmptyInbox + ", " + floor
				}
				return l
			})...)
		}
	}
	return all
}

// latencies are open loops.
func latencies(s sizes) []workload {
	const slow = 500
	all := []workload{{
		name: "latency-500", about: "from when an event was due to be sent to its commit, 500 a second", quick: true,
		lines: []line{
			onhand(slow*s.seconds, headline(), ways{rate: slow}),
			{
				name: "textbook", contestant: "textbook", records: slow * s.seconds, shape: headline(),
				ways: ways{rate: slow},
			},
		},
	}}
	for _, percent := range []int{10, 50, 80} {
		all = append(all, workload{
			name:  fmt.Sprintf("latency-%d", percent),
			about: fmt.Sprintf("the same at %d %% of the headline's rate", percent),
			lines: []line{onhand(0, headline(), ways{share: float64(percent) / 100})}, // records follow from the rate
		})
	}
	return all
}
