package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"onhand/inbox"
	"onhand/internal/health"
	"onhand/internal/installation"
	"onhand/internal/kafkalog"
	"onhand/inventory"
	"onhand/offsets"
	"onhand/outbox"
)

// Connections beside the lanes': claims and who watches them, positions, the schema's version; and the relay's.
const (
	spareConnections = 4
	relayConnections = 4
)

type runCmd struct {
	runFlags

	cfg Config
}

func (runCmd) Help() string {
	return `Joins the consumer group and applies events until it gets SIGTERM or SIGINT: then it finishes what is
in hand and leaves. A second signal ends it at once, and that is safe too. It waits for a database or a broker that is
away, and refuses to start (exit status 5) on a schema that does not fit this binary, or on a group that another
database holds.

Examples:

  onhand run --database-url postgres://onhand@127.0.0.1:5432/stock --brokers 127.0.0.1:9092
  onhand run --topic inventory.events --topic inventory.counts --start 2026-01-31T00:00:00Z
  ONHAND_DATABASE_URL=postgres://onhand@db/stock ONHAND_BROKERS=kafka:9092 onhand run --log-format json`
}

func (c *runCmd) settings(p *problems) { c.cfg = c.config(p) }

// Run wires the service up and waits for its end.
func (c *runCmd) Run(ctx context.Context, con *console) error {
	build := thisBuild()
	log := con.log.With().Str("member", c.cfg.Member).Logger()
	log.Info().Str("version", build.Version).Str("commit", build.Commit).
		Strs("brokers", c.cfg.Brokers).Strs("topics", c.cfg.Topics).Str("group", c.cfg.Group).
		Str("database", c.databaseFlags.config.ConnConfig.Database).Str("schema", c.schema).Msg("starting")

	pool, err := newPool(ctx, c.databaseFlags.config, offsets.ApplicationName(c.cfg.Member),
		int32(c.cfg.Lanes+spareConnections+relayConnections))
	if err != nil {
		return err
	}
	defer pool.Close()
	board := health.NewBoard(health.Database, health.Schema, health.Broker)
	server, err := health.Listen(ctx, c.cfg.Listen, board)
	if err != nil {
		return err
	}
	log.Info().Str("address", server.Address()).Msg("answering health checks")

	// The health server outlives the service by the service's own shutdown, so that an orderly end can be watched.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(serving) })
	group.Go(func() error {
		defer stopServing()
		return runService(running, c.cfg, log, pool, board)
	})
	err = group.Wait()
	if err == nil {
		log.Info().Msg("stopped")
	}
	return err
}

// runService waits for database and broker, makes sure that they belong together, and consumes until ctx ends.
func runService(ctx context.Context, cfg Config, log zerolog.Logger, pool *pgxpool.Pool, board *health.Board) error {
	if err := waitForSchema(ctx, pool, board, log); err != nil {
		return stopped(ctx, err)
	}
	own, err := waitForInstallation(ctx, cfg, pool, board, log)
	if err != nil {
		return stopped(ctx, err)
	}
	log.Info().Stringer("installation", own.ID).Str("cluster", own.ClusterID).Msg("database and group belong together")

	hints := &inventory.Hints{}
	handling := inventory.Config{OnPartitionMove: warnOfMoves(log), Grace: cfg.ExpiryGrace, Hints: hints}
	consumer, err := inbox.New(inbox.Config{
		Brokers: cfg.Brokers, Topics: cfg.Topics, Group: cfg.Group, Member: cfg.Member,
		Pool: pool, Installation: own.ID,
		Decoder: inventory.NewDecoder(inventory.DecoderConfig{
			MaxRecordBytes: cfg.MaxRecordBytes, IgnoreUnknownKinds: cfg.IgnoreUnknownKinds, Hints: hints,
		}),
		NewBatch: func() inbox.BatchHandler { return inventory.NewHandler(handling) },
		Start:    cfg.Start, Isolation: cfg.Isolation, SessionTimeout: cfg.SessionTimeout,
		CheckEvery: cfg.CheckEvery, Lanes: cfg.Lanes,
		MaxBatch: cfg.MaxBatch, Memory: cfg.Memory, Balance: cfg.Balance, AllowCompacted: cfg.AllowCompacted,
		DedupeRows: cfg.DedupeRows, DedupeAge: cfg.DedupeAge, Log: log,
	})
	if err != nil {
		return err
	}
	relay, err := newRelay(cfg, own, pool, log)
	if err != nil {
		return err
	}
	board.Ask(health.Broker, func() error { return consumer.State().Broker })
	board.Ask(health.Database, func() error { return consumer.State().Database })
	board.Ask(health.Partitions, func() error {
		state := consumer.State()
		state.Broker, state.Database = nil, nil // each speaks for itself
		return state.Ready()
	})
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return consumer.Run(running) })
	if relay != nil {
		group.Go(func() error { return relay.Run(running) })
	}
	group.Go(func() error { watchSchema(running, pool, board, log); return nil })
	group.Go(func() error { return watchGroup(running, cfg, own) })
	return group.Wait()
}

// newRelay returns what publishes the outbox, or nil if this member does not.
func newRelay(
	cfg Config, own installation.Installation, pool *pgxpool.Pool, log zerolog.Logger,
) (*outbox.Relay, error) {
	if !cfg.Relay {
		return nil, nil
	}
	// A session may be longer than brokers let a transaction be.
	timeout := min(cfg.SessionTimeout, outbox.MaxTimeout)
	return outbox.NewRelay(outbox.Config{
		Brokers: cfg.Brokers, Pool: pool, Installation: own.ID, Member: cfg.Member,
		// It exists, and we may read it: nothing more is asked of the topic that Kafka keeps the position for.
		PositionTopic:      cfg.Topics[0],
		TransactionTimeout: timeout, LeaseTime: timeout / 3, FollowRefused: cfg.Follow, Log: log,
	})
}

// kafkaSide is what Kafka says about itself and the group.
func kafkaSide(ctx context.Context, cfg Config) (installation.Kafka, error) {
	k := installation.Kafka{Group: cfg.Group}
	client, reader, err := kafkalog.Connect(ctx, cfg.Brokers, cfg.Member, cfg.SessionTimeout)
	if err != nil {
		return k, err
	}
	defer func() { _ = client.Close() }()
	if k.ClusterID, err = reader.ClusterID(ctx); err != nil {
		return k, err
	}
	committed, err := reader.Committed(ctx, cfg.Group)
	for _, c := range committed {
		k.Metadata = append(k.Metadata, c.Metadata)
	}
	return k, err
}

// warnOfMoves tells, at most once a minute, that a SKU's events come from several partitions.
func warnOfMoves(log zerolog.Logger) func(sku string, from, to inventory.Partition) {
	sampled := log.Sample(&zerolog.BurstSampler{Burst: 1, Period: movesPeriod})
	return func(sku string, from, to inventory.Partition) {
		sampled.Warn().Str("sku", sku).Str("topic", to.Topic).Int32("partition", to.ID).
			Str("from_topic", from.Topic).Int32("from_partition", from.ID).
			Msg("a SKU's events come from several partitions: their order is not defined; key them by SKU")
	}
}
