package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"onhand/bench/internal/openloop"
	"onhand/bench/internal/report"
)

// appendLoop has messages appended to the outbox, each at its time, while the contestant publishes, and measures when a
// reader of committed records gets each of them.
func (t *tournament) appendLoop(ctx context.Context, j job) (result report.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	r, err := t.start(j, j.databaseURL, &progress{})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.end(context.WithoutCancel(ctx), err != nil)) }()
	appender, err := openloop.NewAppender(ctx, j.databaseURL, j.outgoing)
	if err != nil {
		return result, err
	}
	defer appender.Close()
	arrivals, err := openloop.NewArrivals(t.stand.Brokers, j.outgoing)
	if err != nil {
		return result, err
	}
	var reading errgroup.Group
	running, end := context.WithCancel(ctx)
	reading.Go(func() error { return arrivals.Run(running) })
	defer func() {
		end()
		err = errors.Join(err, reading.Wait())
	}()

	now := time.Now()
	if _, err := appender.Append(ctx, greeting, func(int) time.Time { return now }); err != nil {
		return result, err
	}
	if err := r.arrived(ctx, arrivals, greeting); err != nil {
		return result, err
	}
	start := time.Now().Add(time.Second)
	n := int(j.rate * (warmUp.Seconds() + float64(t.sizes.seconds)))
	appended, err := appender.Append(ctx, n, openloop.Steady(start, j.rate))
	if err != nil {
		return result, err
	}
	if err := r.arrived(ctx, arrivals, greeting+n); err != nil {
		return result, err
	}
	result.Records = int64(greeting + n)
	for _, twice := range arrivals.Again() {
		result.Faults = append(result.Faults, fmt.Sprintf("message %d came twice", twice))
	}
	result.Latency, result.Whole = outboxLatencies(appended, arrivals, start.Add(warmUp), j.rate)
	return result, nil
}

// arrived waits until n messages have come.
func (r *runner) arrived(ctx context.Context, arrivals *openloop.Arrivals, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for arrivals.Total() < n {
		select {
		case <-tick.C:
		case <-r.ended:
			return errors.New("it ended early")
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages have come: %w", arrivals.Total(), n, ctx.Err())
		}
	}
	return nil
}

// outboxLatencies are those of the messages due from then on: from their COMMIT, and from when they were due.
func outboxLatencies(
	appended []openloop.Appended, arrivals *openloop.Arrivals, from time.Time, rate float64,
) (committed, due *openloop.Latency) {
	var sinceCommit, sinceDue []time.Duration
	for i, a := range appended {
		if at, ok := arrivals.At(greeting + i); ok && !a.Due.Before(from) {
			sinceCommit, sinceDue = append(sinceCommit, at.Sub(a.Committed)), append(sinceDue, at.Sub(a.Due))
		}
	}
	c, d := openloop.Summarize(sinceCommit, rate), openloop.Summarize(sinceDue, rate)
	return &c, &d
}
