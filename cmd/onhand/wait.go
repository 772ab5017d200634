package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/health"
	"onhand/internal/installation"
	"onhand/migrations"
)

const (
	firstPause  = 250 * time.Millisecond
	longestWait = 10 * time.Second
	schemaEvery = 5 * time.Second
	// An answer slower than this is as good as none.
	schemaTimeout = 5 * time.Second
	movesPeriod   = time.Minute
	// By then a member that claimed partitions has committed something.
	firstGroupCheck = 10 * time.Second
)

// waitForSchema returns when the database answers and its schema fits this binary. A database that is away is waited
// for; one that refuses us, or a schema that does not fit, is an error.
func waitForSchema(ctx context.Context, pool *pgxpool.Pool, board *health.Board, log zerolog.Logger) error {
	return retry(ctx, log, func(ctx context.Context) error {
		err := checkSchema(ctx, pool, board)
		if errors.Is(err, migrations.ErrSchema) || hopeless(err) {
			return final{err}
		}
		return err
	})
}

// watchSchema keeps the board's word on the database up to date until ctx ends. A schema that stops fitting while the
// service runs makes it not ready; it does not end it, because the migration may be taken back.
func watchSchema(ctx context.Context, pool *pgxpool.Pool, board *health.Board, log zerolog.Logger) {
	fine := true
	for sleep(ctx, schemaEvery) {
		err := checkSchema(ctx, pool, board)
		if errors.Is(err, migrations.ErrSchema) && fine {
			log.Error().Err(err).Msg("not ready")
		}
		fine = err == nil
	}
}

func checkSchema(ctx context.Context, pool *pgxpool.Pool, board *health.Board) error {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	err := migrations.Check(ctx, pool)
	if errors.Is(err, migrations.ErrSchema) {
		board.Set(health.Database, nil)
		board.Set(health.Schema, err)
		return err
	}
	board.Set(health.Database, err)
	if err == nil {
		board.Set(health.Schema, nil)
	}
	return err
}

// hopeless are answers of a database that waiting will not change: wrong password, no such database or role, no right
// to read our tables.
func hopeless(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	return strings.HasPrefix(pg.Code, "28") || pg.Code == "3D000" || pg.Code == "42501"
}

// waitForInstallation returns when broker and database have said who they are and belong together, and the outbox's
// topic is set. The broker is waited for; the guard's no is an error.
func waitForInstallation(ctx context.Context, cfg Config, pool *pgxpool.Pool, board *health.Board, log zerolog.Logger,
) (own installation.Installation, err error) {
	err = retry(ctx, log, func(ctx context.Context) error {
		k, err := kafkaSide(ctx, cfg)
		board.Set(health.Broker, err)
		if err != nil {
			return err
		}
		own, err = installation.Ensure(ctx, pool, k)
		if err == nil {
			err = installation.SetOutboxTopic(ctx, pool, cfg.OutboxTopic)
		}
		if errors.Is(err, installation.ErrGuard) || hopeless(err) {
			return final{err}
		}
		return err
	})
	return own, err
}

// watchGroup ends the service with the guard's no when another installation turns up in the group: two that begin at
// the same moment find no trace of each other. That the broker is away is the consumer's to say.
func watchGroup(ctx context.Context, cfg Config, own installation.Installation) error {
	for pause := firstGroupCheck; sleep(ctx, pause); pause = cfg.CheckEvery {
		k, err := kafkaSide(ctx, cfg)
		if err != nil {
			continue
		}
		if err := own.CheckGroup(k); err != nil {
			return err
		}
	}
	return nil
}

// final is an error that retry hands on.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// retry calls do until it succeeds, fails for good, or ctx ends; pauses grow, with jitter.
func retry(ctx context.Context, log zerolog.Logger, do func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		err := do(ctx)
		var last final
		switch {
		case err == nil:
			return nil
		case errors.As(err, &last):
			return last.error
		case ctx.Err() != nil:
			return ctx.Err()
		}
		wait := pause/2 + rand.N(pause)
		log.Warn().Err(err).Dur("retry_in_ms", wait).Msg("not ready yet")
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// stopped is nil when the service ended because it was told to.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// sleep waits for d; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
