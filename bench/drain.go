package main

import (
	"context"
	"errors"
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/meter"
	"onhand/bench/internal/network"
	"onhand/bench/internal/report"
)

// runTimeout is how long one contestant may take; one that has not finished by then is stuck.
const runTimeout = 20 * time.Minute

// job is one run of one line.
type job struct {
	line
	contestant  contestant
	databaseURL string
	group       string
	topic       string // of the events; with nothing in it if only the outbox is at work
	outgoing    string // where the outbox publishes; empty = the relay is off
}

// drain lets the contestant apply what is there, and measures that.
func (t *tournament) drain(ctx context.Context, j job, load *backlog.Backlog) (result report.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	j.topic, j.records = load.Topic, int(load.Books.Records)
	way, counter, err := t.way(j)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, way.close()) }()
	if counter != nil {
		if err := t.stand.Observe(ctx, j.databaseURL); err != nil {
			return result, err
		}
	}
	m, err := t.observe(ctx, j, way.databaseURL, func(r *runner) (err error) {
		if j.relay {
			result.Behind, err = t.behind(ctx, j, r)
		}
		return err
	})
	if err != nil {
		return result, err
	}
	if counter != nil {
		batches := counter.Batches()
		result.Batches = &batches
		result.Statements, err = t.stand.Statements(ctx, j.databaseURL)
		return result, err
	}
	reading, err := m.Reading()
	if err != nil {
		return result, err
	}
	result.Reading = &reading
	if j.ways.drain {
		drain, err := m.Drain()
		if err != nil {
			return result, err
		}
		result.Drain = &drain
	}
	return result, nil
}

// observe lets the contestant do everything, which the meter watches, calls then, and ends the contestant.
func (t *tournament) observe(
	ctx context.Context, j job, databaseURL string, then func(*runner) error,
) (*meter.Meter, error) {
	r, err := t.start(j, databaseURL, &progress{})
	if err != nil {
		return nil, err
	}
	postmaster, err := t.stand.Postmaster()
	if err != nil {
		return nil, errors.Join(err, r.end(ctx, true))
	}
	m := &meter.Meter{
		Clients: r.pids(), Postmaster: postmaster, Records: int64(j.records), From: j.from, Done: r.done,
	}
	if err = m.Watch(ctx, j.databaseURL, r.ended); err == nil {
		err = then(r)
	}
	return m, errors.Join(err, r.end(ctx, err != nil))
}

// way leads to the database.
type way struct {
	databaseURL string
	close       func() error
}

// way builds the one that j asks for. The counter is nil if nothing is to be counted.
func (t *tournament) way(j job) (way, *network.Counter, error) {
	straight := way{j.databaseURL, func() error { return nil }}
	switch {
	case j.counted:
		c, err := network.NewCounter(j.databaseURL)
		if err != nil {
			return straight, nil, err
		}
		through, err := network.Through(j.databaseURL, c.Address())
		return way{through, c.Close}, c, err
	case j.roundTrip > 0:
		d, err := network.NewDelay(j.databaseURL, j.roundTrip)
		if err != nil {
			return straight, nil, err
		}
		through, err := network.Through(j.databaseURL, d.Address())
		return way{through, d.Close}, nil, err
	}
	return straight, nil, nil
}
