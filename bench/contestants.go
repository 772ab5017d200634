package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"onhand/bench/internal/broken"
	"onhand/bench/internal/floor"
	"onhand/bench/internal/peer"
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
	everything = referee.Terms{Decides: true, Books: true}
	onlyRows   = referee.Terms{Books: true}
	onlyStock  = referee.Terms{Decides: true}
)

// contestants are all there are. The order is that of the table.
func contestants() []contestant {
	return []contestant{
		{name: report.FloorPrefix + "1", run: floor.Run, writers: 1, terms: onlyRows},
		{name: report.FloorPrefix + "2", run: floor.Run, writers: 2, terms: onlyRows},
		{name: report.FloorPrefix + "4", run: floor.Run, writers: 4, terms: onlyRows},
		{name: report.Onhand, terms: everything},
		{name: "textbook", run: textbook.Run, writers: 1, short: true, terms: everything},
		{name: "watermill", run: watermill.Run, writers: 1, short: true, terms: everything},
		{name: "broken", run: broken.Run, writers: 1, short: true, terms: onlyStock},
	}
}

// chosen returns those that names ask for, all if there are none. floor means each size of it.
func chosen(names []string) ([]contestant, error) {
	all := contestants()
	if len(names) == 0 {
		return all, nil
	}
	wanted := func(c contestant) bool {
		return slices.Contains(names, c.name) ||
			slices.Contains(names, report.Floor) && strings.HasPrefix(c.name, report.FloorPrefix)
	}
	for _, name := range names {
		known := func(c contestant) bool { return c.name == name }
		if name != report.Floor && !slices.ContainsFunc(all, known) {
			return nil, fmt.Errorf("there is no contestant %q", name)
		}
	}
	return slices.DeleteFunc(all, func(c contestant) bool { return !wanted(c) }), nil
}

// contestantCmd is this program as a contestant, in a process of its own.
type contestantCmd struct {
	Name     string `arg:""`
	peer.Job `embed:""`
}

// Run applies the job and writes how many events are committed to stdout.
func (c *contestantCmd) Run(ctx context.Context, s *streams) error {
	for _, candidate := range contestants() {
		if candidate.name == c.Name && candidate.run != nil {
			return peer.Run(ctx, candidate.run, c.Job, s.stdout)
		}
	}
	return fmt.Errorf("there is no contestant %q to be", c.Name)
}
