// Package demo shows on one machine, in less than a minute, what onhand promises: it feeds the real service from a
// broker inside this process, kills it again and again while events flow, and then counts everything again.
package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"onhand/internal/workload"
)

const (
	topic      = "inventory.events"
	changes    = "inventory.changes"
	partitions = 12

	// deadline ends a demo that hangs, whatever the reason.
	deadline = 3 * time.Minute

	// secondsPerKill is how much feeding belongs to one kill: about what the group takes to notice it and to move on.
	secondsPerKill = 4
)

// Config says what to show.
type Config struct {
	Binary      string // the onhand to run
	DatabaseURL string // where to make a schema for the demo; empty = a private Postgres
	Events      int    // records to feed
	Kills       int
	Seed        uint64 // the same seed feeds the same events and kills at the same points of progress

	// Say tells people what happens, a line at a time. It may be called from several goroutines.
	Say func(format string, args ...any)
}

// Demo is a running broker, database and service. Its methods are for one goroutine.
type Demo struct {
	cfg      Config
	dir      string
	rng      *rand.Rand
	broker   *broker
	database *place
	service  *service
	watch    *watch
	crashes  int
	closed   bool
}

// Start brings up the broker, the database with its tables, and the service. When that fails nothing stays behind;
// afterwards Close is the caller's duty.
func Start(ctx context.Context, cfg Config) (*Demo, error) {
	dir, err := os.MkdirTemp("", "onhand-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the demo: %w", err)
	}
	d := &Demo{cfg: cfg, dir: dir, rng: rand.New(rand.NewPCG(cfg.Seed, 1))}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Demo) start(ctx context.Context) (err error) {
	// Postgres may run as another account, which has to pass through.
	if err := os.Chmod(d.dir, 0o711); err != nil {
		return fmt.Errorf("open the demo's folder: %w", err)
	}
	if d.broker, err = startBroker(filepath.Join(d.dir, "kafka")); err != nil {
		return err
	}
	d.cfg.Say("broker    in this process, on %s", d.broker.address)
	if d.database, err = openPlace(ctx, d.cfg.DatabaseURL, d.dir, d.cfg.Say); err != nil {
		return err
	}
	d.cfg.Say("database  %s", d.database.description)

	d.service = newService(d.cfg.Binary, filepath.Join(d.dir, "service.log"), d.Environment())
	if err := d.service.once(ctx, "migrate", "up"); err != nil {
		return err
	}
	if d.watch, err = startWatch(ctx, d.database); err != nil {
		return err
	}
	if err := d.service.start(); err != nil {
		return err
	}
	d.cfg.Say("service   runs as process %d", d.service.pid())
	return nil
}

// Environment is what a command needs to work with this demo's broker and database, as NAME=value.
func (d *Demo) Environment() []string {
	return []string{
		"ONHAND_BROKERS=" + d.broker.address,
		"ONHAND_DATABASE_URL=" + d.database.url,
		"ONHAND_SCHEMA=" + d.database.schema,
		"ONHAND_TOPIC=" + topic,
		"ONHAND_OUTBOX_TOPIC=" + changes,
	}
}

// Run feeds, kills, waits for the last record and checks. An error means that the demo could not be finished; what the
// check found is in the Result.
func (d *Demo) Run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, deadline, fmt.Errorf("not finished within %s", deadline))
	defer cancel()
	result, err := d.run(ctx)
	if err != nil && ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	return result, err
}

func (d *Demo) run(ctx context.Context) (Result, error) {
	sender, err := workload.NewSender([]string{d.broker.address}, topic)
	if err != nil {
		return Result{}, err
	}
	defer sender.Close() //nolint:errcheck // the broker ends with us

	begin := time.Now()
	counters, err := d.feedAndKill(ctx, sender)
	if err != nil {
		return Result{}, err
	}
	took := time.Since(begin)
	sent := sender.Counts().Total()
	d.cfg.Say("checking  all %d records are accounted for", sent)

	verdict, err := d.service.verify(ctx)
	if err != nil {
		return Result{}, err
	}
	recount, err := recount(ctx, d.broker.address, d.database)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Sent: sent, Applied: counters.applied, Rejected: counters.rejected, Duplicates: counters.duplicate,
		Parked: counters.parked, Crashes: d.crashes, Recount: recount,
		PerSecond: float64(sent) / took.Seconds(), FastestSecond: d.watch.fastestSecond(), Verify: verdict,
	}, nil
}

// Wait blocks until ctx is cancelled or the service ends by itself, which is an error.
func (d *Demo) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.service.done():
		return d.service.unexpectedEnd()
	}
}

// Close ends the service in order, however it fares, then the broker and the database, and removes every trace. A
// second call does nothing.
func (d *Demo) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	if d.service != nil {
		errs = append(errs, d.service.stop())
	}
	if d.watch != nil {
		d.watch.stop()
	}
	if d.broker != nil {
		d.broker.Close()
	}
	if d.database != nil {
		errs = append(errs, d.database.Close())
	}
	if err := os.RemoveAll(d.dir); err != nil {
		errs = append(errs, fmt.Errorf("remove the demo's folder: %w", err))
	}
	return errors.Join(errs...)
}
