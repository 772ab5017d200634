package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/report"
)

// openOutgoing makes the topic that j's outbox publishes to, each run has its own, and the installation that names it.
// If nothing but the outbox is at work, onhand's inbox has a topic without events.
func (t *tournament) openOutgoing(ctx context.Context, j *job) error {
	j.outgoing = j.group + ".out"
	if err := backlog.MakeTopic(ctx, t.stand.Brokers, j.outgoing, headlinePartitions); err != nil {
		return err
	}
	if j.publishes() || j.appends {
		j.topic = j.group + ".in"
		if err := backlog.MakeTopic(ctx, t.stand.Brokers, j.topic, 1); err != nil {
			return err
		}
	}
	return t.stand.Install(ctx, j.databaseURL, j.group, j.outgoing)
}

// dropOutgoing removes it: a million messages each time are too much for the disk and for the machine's memory of it.
func (t *tournament) dropOutgoing(j job) error { return backlog.DropTopic(t.stand.Brokers, j.outgoing) }

// publish lets the contestant publish what waits in a prepared outbox, and measures that.
func (t *tournament) publish(ctx context.Context, j job) (result report.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	m, err := t.observe(ctx, j, j.databaseURL, func(*runner) error { return nil })
	if err != nil {
		return result, err
	}
	reading, err := m.Reading()
	result.Reading, result.Records = &reading, int64(j.records)
	return result, err
}

const (
	unpublished = `select count(*) from outbox where id > (select done from outbox_relay)`
	caughtUp    = `select not exists (select from outbox where id > (select done from outbox_relay))`
)

// behind is how far the relay is from what the inbox has committed, now, and how long it takes to get there.
func (t *tournament) behind(ctx context.Context, j job, r *runner) (*report.Behind, error) {
	begin := time.Now()
	conn, err := pgx.Connect(ctx, j.databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	b := &report.Behind{}
	if err := conn.QueryRow(ctx, unpublished).Scan(&b.Messages); err != nil {
		return nil, fmt.Errorf("count what is not published yet: %w", err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var done bool
		if err := conn.QueryRow(ctx, caughtUp).Scan(&done); err != nil {
			return nil, fmt.Errorf("read the relay's position: %w", err)
		}
		if done {
			b.Seconds = time.Since(begin).Seconds()
			return b, nil
		}
		select {
		case <-tick.C:
		case <-r.ended:
			return nil, errors.New("it ended early")
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the relay: %w", ctx.Err())
		}
	}
}
