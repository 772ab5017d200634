package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/openloop"
	"onhand/bench/internal/report"
)

const (
	// greeting is how many events are applied before the schedule starts: the contestant is at work then.
	greeting = 100
	// warmUp is the first part of the schedule, which does not count.
	warmUp = 2 * time.Second
	// patience is how long all events may take to be committed once the last one was sent: a rate that is too much
	// leaves a queue, which is a result and no failure.
	patience = 5 * time.Minute
)

// lingerAt: at a high rate a request for each record would cost the broker more than the contestant has to do, on the
// same cores. Kafka's own producers wait 5 ms by default since 4.0.
func lingerAt(rate float64) time.Duration {
	const high, linger = 1000, 5 * time.Millisecond
	if rate < high {
		return 0
	}
	return linger
}

// openLoop lets the contestant apply events while they come, each at its time, and measures how late each one is
// committed. Each run has a topic of its own.
func (t *tournament) openLoop(ctx context.Context, j job) (load *backlog.Backlog, result report.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	rate := j.rate
	if j.share > 0 {
		rate = j.share * t.peak
	}
	measured := int(rate * float64(t.sizes.seconds))
	cold := int(rate * warmUp.Seconds())
	j.topic, j.records = j.group, greeting+cold+measured
	if err := backlog.MakeTopic(ctx, t.stand.Brokers, j.topic, j.shape.Partitions); err != nil {
		return nil, result, err
	}
	w, err := t.watch(ctx, j)
	if err != nil {
		return nil, result, err
	}
	defer func() { err = errors.Join(err, w.stop(context.WithoutCancel(ctx), err != nil)) }()
	generator, err := j.shape.Generator()
	if err != nil {
		return nil, result, err
	}
	producer, err := openloop.NewProducer(t.stand.Brokers, j.topic, generator, lingerAt(rate))
	if err != nil {
		return nil, result, err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()

	now := time.Now()
	if _, err := producer.Send(ctx, greeting, func(int) time.Time { return now }); err != nil {
		return nil, result, err
	}
	if err := w.wait(ctx, greeting); err != nil {
		return nil, result, err
	}
	start := time.Now().Add(time.Second)
	sent, err := producer.Send(ctx, cold+measured, openloop.Steady(start, rate))
	if err != nil {
		return nil, result, err
	}
	if err := w.wait(ctx, int64(j.records)); err != nil {
		return nil, result, err
	}
	if result.Latency, err = w.latency(ctx, sent, start.Add(warmUp), rate); err != nil {
		return nil, result, err
	}
	load, err = backlog.Read(ctx, t.stand.Brokers, j.topic, j.shape)
	return load, result, err
}

// watcher is a contestant at work, and who notes when its records are committed.
type watcher struct {
	runner *runner
	seen   interface {
		Total(ctx context.Context) (int64, error)
		Seen(ctx context.Context) (map[int32][]openloop.Seen, error)
	}
	journal  *openloop.Journal // nil: a peer that tells itself
	watching errgroup.Group
	endWatch context.CancelFunc
}

// watch starts the contestant. onhand's commits are in the database's log; a peer that leaves no positions with its rows
// tells itself.
func (t *tournament) watch(ctx context.Context, j job) (*watcher, error) {
	watching, end := context.WithCancel(ctx)
	w := &watcher{endWatch: end}
	out := &commits{}
	if j.contestant.run == nil {
		journal, err := openloop.NewJournal(ctx, j.databaseURL, j.topic)
		if err != nil {
			end()
			return nil, err
		}
		w.seen, w.journal = journal, journal
		w.watching.Go(func() error { return journal.Watch(watching) })
	} else {
		w.seen = &out.Commits
	}
	var err error
	if w.runner, err = t.start(j, j.databaseURL, out); err != nil {
		return nil, errors.Join(err, w.endJournal())
	}
	return w, nil
}

// wait waits until that many records are committed.
func (w *watcher) wait(ctx context.Context, records int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		total, err := w.seen.Total(ctx)
		if err != nil || total >= records {
			return err
		}
		select {
		case <-tick.C:
		case <-w.runner.ended:
			return errors.New("it ended early")
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records committed: %w", total, records, ctx.Err())
		}
	}
}

// latency is that of the records due from then on.
func (w *watcher) latency(
	ctx context.Context, sent []openloop.Sent, from time.Time, rate float64,
) (*openloop.Latency, error) {
	if w.journal != nil {
		if err := w.journal.CatchUp(ctx); err != nil {
			return nil, err
		}
	}
	w.endWatch()
	if err := w.watching.Wait(); err != nil {
		return nil, err
	}
	seen, err := w.seen.Seen(ctx)
	if err != nil {
		return nil, err
	}
	counting := sent[:0]
	for _, s := range sent {
		if !s.Due.Before(from) {
			counting = append(counting, s)
		}
	}
	all, err := openloop.Latencies(counting, seen)
	if err != nil {
		return nil, err
	}
	l := openloop.Summarize(all, rate)
	return &l, nil
}

// stop ends the contestant, in order unless something has failed.
func (w *watcher) stop(ctx context.Context, failed bool) error {
	return errors.Join(w.endJournal(), w.runner.end(ctx, failed))
}

func (w *watcher) endJournal() error {
	w.endWatch()
	err := w.watching.Wait()
	if w.journal != nil {
		err = errors.Join(err, w.journal.Close())
	}
	return err
}

// commits is a peer's output that tells of each commit.
type commits struct{ openloop.Commits }

func (c *commits) latest(ctx context.Context, _ *pgx.Conn) (int64, error) { return c.Total(ctx) }
