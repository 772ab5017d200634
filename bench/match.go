package main

import (
	"context"
	"errors"
	"fmt"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/referee"
	"onhand/bench/internal/report"
)

// match is one run of one line: a fresh database, the run, the check.
func (t *tournament) match(ctx context.Context, l line) (result report.Result, err error) {
	j := job{line: l, contestant: contestantNamed(l.contestant)}
	t.runs++
	j.group = fmt.Sprintf("bench_%d_%s", t.runs, j.contestant.name)
	var drop func() error
	j.databaseURL, drop, err = t.stand.FreshDatabase(ctx, j.group, l.prefill)
	if drop != nil {
		defer func() { err = errors.Join(err, drop()) }()
	}
	if err == nil && l.mute {
		err = t.stand.Mute(ctx, j.databaseURL)
	}
	if err != nil {
		return result, err
	}
	if l.relay {
		if err := t.openOutgoing(ctx, &j); err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, t.dropOutgoing(j)) }()
	}
	var load *backlog.Backlog // nil: the outbox alone is at work
	switch {
	case l.publishes():
		result, err = t.publish(ctx, j)
	case l.appends:
		result, err = t.appendLoop(ctx, j)
	case l.open():
		load, result, err = t.openLoop(ctx, j)
	default:
		if load, err = t.load(ctx, l); err == nil {
			result, err = t.drain(ctx, j, load)
		}
	}
	if err == nil {
		result.Line = l.name
		err = t.check(ctx, j, load, &result)
	}
	return result, err
}

// check lets the referee look at what the contestant has left.
func (t *tournament) check(ctx context.Context, j job, load *backlog.Backlog, result *report.Result) error {
	if load != nil {
		result.Records = load.Books.Records
		if j.shape.OfShop() {
			result.Lines = load.Books.Lines
		}
		terms := j.contestant.terms
		if j.mute {
			terms = onlyStock
		}
		faults, err := referee.Check(ctx, j.databaseURL, load.Books, j.prefill.Rows, terms)
		if err != nil {
			return err
		}
		result.Faults = append(result.Faults, faults...)
	}
	if !j.relay || j.appends { // those note what comes while it does
		return nil
	}
	faults, err := referee.CheckTopic(ctx, t.stand.Brokers, j.outgoing, j.databaseURL)
	result.Faults = append(result.Faults, faults...)
	return err
}
