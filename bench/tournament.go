package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/meter"
	"onhand/bench/internal/referee"
	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// runTimeout is how long one contestant may take; one that has not finished by then is stuck.
const runTimeout = 10 * time.Minute

// tournament is what all rounds share.
type tournament struct {
	stand       *servers.Servers
	binary      string // onhand's
	full, short *backlog.Backlog
	floorBatch  int
	streams     *streams
}

// play lets everybody run once a round, in an order that differs from round to round and is the same in each run of the
// benchmark.
func (t *tournament) play(ctx context.Context, taking []contestant, rounds int) ([]report.Result, [][]string, error) {
	var results []report.Result
	var orders [][]string
	rng := rand.New(rand.NewPCG(1, 0))
	for round := 1; round <= rounds; round++ {
		var order []string
		for _, i := range rng.Perm(len(taking)) {
			c := taking[i]
			order = append(order, c.name)
			result, err := t.match(ctx, c, round)
			if err != nil {
				return nil, nil, fmt.Errorf("%s in round %d: %w", c.name, round, err)
			}
			t.streams.say("round %d of %d: %-9s %7.0f events/s", round, rounds, c.name, result.PerSecond)
			results = append(results, result)
		}
		orders = append(orders, order)
	}
	return results, orders, nil
}

// match is one run of one contestant: a fresh database, the run, the check.
func (t *tournament) match(ctx context.Context, c contestant, round int) (result report.Result, err error) {
	load := t.full
	if c.short {
		load = t.short
	}
	result = report.Result{Contestant: c.name, Round: round, Events: load.Events}
	url, drop, err := t.stand.FreshDatabase(ctx, fmt.Sprintf("bench_%s_%d", c.name, round))
	if drop != nil {
		defer func() { err = errors.Join(err, drop()) }()
	}
	if err != nil {
		return result, err
	}
	if result.Reading, err = t.measure(ctx, c, load, url, fmt.Sprintf("bench-%s-%d", c.name, round)); err != nil {
		return result, err
	}
	result.Faults, err = referee.Check(ctx, url, load.Books, c.terms)
	return result, err
}

// measure starts the contestant, watches it and waits for its orderly end.
func (t *tournament) measure(
	ctx context.Context, c contestant, load *backlog.Backlog, url, group string,
) (meter.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	postmaster, err := t.stand.Postmaster()
	if err != nil {
		return meter.Reading{}, err
	}
	r, err := t.start(c, load, url, group)
	if err != nil {
		return meter.Reading{}, err
	}
	m := &meter.Meter{
		Client: r.process.Pid(), Postmaster: postmaster, Events: load.Events, Done: r.done,
	}
	err = m.Watch(ctx, url, r.process.Done())
	if err := errors.Join(err, r.end(ctx, err != nil)); err != nil {
		return meter.Reading{}, err
	}
	return m.Reading()
}
