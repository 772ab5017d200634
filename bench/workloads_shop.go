package main

import (
	"strings"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// shops are about events of several lines, which are counted by their lines. The events of a SKU come from all
// partitions, and it has stock before the first one. The peers that apply events know those of one line only.
func shops(s sizes) []workload {
	const linesOfOrder, linesOfReservation = 5, 2
	return []workload{
		{
			name: string(backlog.Orders), quick: true, rounds: 1,
			about: "sales of 5 SKUs each out of 10000, keyed by order; peers know events of one line",
			lines: shop(backlog.Orders, linesOfOrder, s.events),
		},
		{
			name: string(backlog.Reservations), quick: true, rounds: 1,
			about: "orders of 1 to 3 SKUs, reserved, then fulfilled or released; peers know events of one line",
			lines: shop(backlog.Reservations, linesOfReservation, s.events),
		},
	}
}

// shop is onhand and each size of the floor, with about as many lines as the headline has.
func shop(events backlog.Events, each, lines int) []line {
	shape := like(func(s *backlog.Shape) { s.Events = events })
	var all []line
	for _, c := range contestants() {
		l := line{name: c.name, contestant: c.name, shape: shape, prefill: servers.Prefill{SKUs: shape.SKUs}}
		switch {
		case strings.HasPrefix(c.name, report.FloorPrefix):
			l.records, l.prefill.Backorder = max(lines, floorRecords)/each, true
		case c.name == report.Onhand:
			l.records = lines / each
		default:
			continue
		}
		all = append(all, l)
	}
	return all
}
