package main

import (
	"context"
	"fmt"
	"slices"

	"onhand/bench/internal/broken"
	"onhand/bench/internal/debezium"
	"onhand/bench/internal/floor"
	"onhand/bench/internal/forwarder"
	"onhand/bench/internal/peer"
	"onhand/bench/internal/producer"
	"onhand/bench/internal/referee"
	"onhand/bench/internal/report"
	"onhand/bench/internal/textbook"
	"onhand/bench/internal/watermill"
)

// contestant is one that takes part.
type contestant struct {
	name    string
	run     peer.Peer // nil: the real binary
	writers int
	short   bool // too slow for the whole backlog
	terms   referee.Terms
}

var (
	everything = referee.Terms{Decides: true, Books: true, Counts: true}
	fullBooks  = referee.Terms{Decides: true, Books: true}
	onlyRows   = referee.Terms{Books: true}
	onlyStock  = referee.Terms{Decides: true}
)

// contestants are all that apply events. The order is that of the table.
func contestants() []contestant {
	return []contestant{
		{name: report.FloorPrefix + "1", run: floor.Run, writers: 1, terms: onlyRows},
		{name: report.FloorPrefix + "2", run: floor.Run, writers: 2, terms: onlyRows},
		{name: report.FloorPrefix + "4", run: floor.Run, writers: 4, terms: onlyRows},
		{name: report.Onhand, terms: everything},
		{name: "textbook", run: textbook.Run, writers: 1, short: true, terms: fullBooks},
		{name: "watermill", run: watermill.Run, writers: 1, short: true, terms: fullBooks},
		{name: "broken", run: broken.Run, writers: 1, short: true, terms: onlyStock},
	}
}

// The names of those that publish an outbox, beside onhand.
const (
	plainProducer = "producer"
	sqlForwarder  = "forwarder"
	eventRouter   = "debezium"
)

// publishers are all others that publish an outbox.
func publishers() []contestant {
	return []contestant{
		{name: plainProducer, run: producer.Run, writers: 1},
		{name: sqlForwarder, run: forwarder.Run, writers: 1, short: true},
		{name: eventRouter, run: debezium.Run, writers: 1},
	}
}

// everybody is both.
func everybody() []contestant { return append(contestants(), publishers()...) }

// contestantNamed returns that one, which exists.
func contestantNamed(name string) contestant {
	all := everybody()
	return all[slices.IndexFunc(all, func(c contestant) bool { return c.name == name })]
}

// contestantCmd is this program as a contestant, in a process of its own.
type contestantCmd struct {
	Name     string `arg:""`
	peer.Job `embed:""`
}

// Run applies the job and writes how many events are committed to stdout.
func (c *contestantCmd) Run(ctx context.Context, s *streams) error {
	for _, candidate := range everybody() {
		if candidate.name == c.Name && candidate.run != nil {
			return peer.Run(ctx, candidate.run, c.Job, s.stdout)
		}
	}
	return fmt.Errorf("there is no contestant %q to be", c.Name)
}
