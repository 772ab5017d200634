package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// tournament is what all workloads share.
type tournament struct {
	stand      *servers.Servers
	binary     string // onhand's
	floorBatch int
	sizes      sizes
	streams    *streams
	conditions report.Conditions

	backlogs map[backlogKey]*backlog.Backlog
	runs     int     // so far, for names that are not taken
	peak     float64 // the median of onhand's rates on the headline; 0 = not measured
}

// backlogKey names a topic's content.
type backlogKey struct {
	shape   backlog.Shape
	records int
}

// play lets every line of w run once a round, in an order that differs from round to round and is the same in each run
// of the benchmark.
func (t *tournament) play(ctx context.Context, w workload, rounds int) (result report.Workload, err error) {
	if w.rounds > 0 {
		rounds = min(rounds, w.rounds)
	}
	result = report.Workload{Name: w.name, About: w.about, Rounds: rounds, Conditions: t.conditions}
	result.Conditions.Started = time.Now().UTC()
	if len(w.settings) > 0 {
		var leave func() error
		if t, leave, err = t.elsewhere(ctx, w.settings); err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, leave()) }()
	}
	if err := t.prepare(ctx, w); err != nil {
		return result, err
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for round := 1; round <= rounds; round++ {
		var order []string
		for _, i := range rng.Perm(len(w.lines)) {
			l := w.lines[i]
			order = append(order, l.name)
			r, err := t.match(ctx, l)
			if err != nil {
				return result, fmt.Errorf("%s, %s in round %d: %w", w.name, l.name, round, err)
			}
			r.Round = round
			t.streams.say("%s, round %d of %d: %s: %s", w.name, round, rounds, l.name, r.Brief())
			result.Results = append(result.Results, r)
		}
		result.Order = append(result.Order, order)
	}
	headings := make([]report.Heading, len(w.lines))
	for i, l := range w.lines {
		headings[i] = report.Heading{Name: l.name, Shape: l.shape}
	}
	result.Sum(headings)
	if w.name == report.Reference {
		t.peak = result.Rate(report.Onhand)
	}
	return result, nil
}

// elsewhere is the tournament on servers of its own, with more settings of Postgres; leave stops them.
func (t *tournament) elsewhere(ctx context.Context, settings []string) (_ *tournament, leave func() error, err error) {
	t.streams.say("starting another Kafka and another Postgres: %v", settings)
	stand, err := servers.Start(ctx, t.stand.Root, settings...)
	if err != nil {
		return nil, nil, err
	}
	return &tournament{
		stand: stand, binary: t.binary, floorBatch: t.floorBatch, sizes: t.sizes, streams: t.streams, conditions: t.conditions,
		peak: t.peak,
	}, stand.Stop, nil
}

// prepare writes the topics that w's lines drain, and measures the peak if one of them runs at a share of it.
func (t *tournament) prepare(ctx context.Context, w workload) error {
	for _, l := range w.lines {
		if l.open() || l.publishes() {
			continue
		}
		if _, err := t.load(ctx, l); err != nil {
			return err
		}
	}
	asksForPeak := func(l line) bool { return l.share > 0 }
	if t.peak > 0 || !slices.ContainsFunc(w.lines, asksForPeak) {
		return nil
	}
	t.streams.say("measuring the peak that %s is a share of", w.name)
	r, err := t.match(ctx, reference(t.sizes.events))
	if err == nil {
		t.peak = r.PerSecond
	}
	return err
}

// load returns the topic that l drains; lines with the same records share it.
func (t *tournament) load(ctx context.Context, l line) (*backlog.Backlog, error) {
	key := backlogKey{l.shape, l.records}
	if b := t.backlogs[key]; b != nil {
		return b, nil
	}
	t.streams.say("writing %d records: %+v", l.records, l.shape)
	b, err := backlog.Write(ctx, t.stand.Brokers, fmt.Sprintf("bench.%d", len(t.backlogs)), l.records, l.shape)
	if err != nil {
		return nil, err
	}
	if t.backlogs == nil {
		t.backlogs = make(map[backlogKey]*backlog.Backlog)
	}
	t.backlogs[key] = b
	return b, nil
}
