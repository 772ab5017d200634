package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/kafkalog"
)

// Config is what a Consumer needs. Zero values that have a default are filled in.
type Config struct {
	Brokers []string
	Topics  []string
	Group   string
	Member  string // shown as the owner of its partitions; also the Kafka client id

	Pool         *pgxpool.Pool
	Installation uuid.UUID // travels as metadata of the advisory commits

	Decoder Decoder
	// Exactly one of the two forms.
	Handler  Handler
	NewBatch func() BatchHandler // called once a lane

	Start          Start                  // where a topic begins that this installation never read; default oldest
	Isolation      pgx.TxIsoLevel         // default read committed
	SessionTimeout time.Duration          // default 15 s; every other timeout follows from it
	CheckEvery     time.Duration          // how often topics are compared with what is stored; default 1 min
	Lanes          int                    // batches at the same time; default 2
	MaxBatch       int                    // records in one batch, 1 to 2,000, which is the default
	MaxBatchBytes  int64                  // bytes in one batch; default 8 MiB; a larger record goes alone
	Memory         int64                  // bytes of records read and not yet committed; default 12 MiB
	Balance        sarama.BalanceStrategy // an eager one; default sticky
	AllowCompacted bool

	// What bounds a generation of the inbox, of which three are kept: copies of an event are known as such for at least
	// two of them. Members may differ; the smallest bound counts.
	DedupeRows int64         // default 50 million; negative = no bound
	DedupeAge  time.Duration // default 0: no bound

	Log zerolog.Logger
}

const (
	defaultSessionTimeout = 15 * time.Second
	defaultCheckEvery     = time.Minute
	defaultLanes          = 2
	defaultMaxBatch       = maxBatchLimit
	defaultMaxBatchBytes  = 8 << 20
	defaultMemory         = 12 << 20
	defaultDedupeRows     = 50_000_000

	// maxBatchLimit keeps the answer of a batch's first round trip small (512 KiB): a client that stops reading
	// must not leave the server blocked in the middle of it, with its locks held.
	maxBatchLimit = 2000
)

func (c Config) withDefaults() Config {
	c.Isolation = orDefault(c.Isolation, pgx.ReadCommitted)
	c.SessionTimeout = orDefault(c.SessionTimeout, defaultSessionTimeout)
	c.CheckEvery = orDefault(c.CheckEvery, defaultCheckEvery)
	c.Lanes = orDefault(c.Lanes, defaultLanes)
	c.MaxBatch = orDefault(c.MaxBatch, defaultMaxBatch)
	c.MaxBatchBytes = orDefault(c.MaxBatchBytes, defaultMaxBatchBytes)
	c.Memory = orDefault(c.Memory, defaultMemory)
	c.DedupeRows = orDefault(c.DedupeRows, defaultDedupeRows)
	c.Member = orDefault(c.Member, "onhand-"+uuid.NewString()[:8])
	if c.Balance == nil {
		c.Balance = sarama.NewBalanceStrategySticky()
	}
	return c
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func (c Config) validate() error {
	var errs []error
	check := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	check(len(c.Brokers) > 0, "no brokers")
	check(len(c.Topics) > 0, "no topics")
	check(c.Group != "", "no consumer group")
	check(c.Pool != nil, "no database pool")
	check(c.Decoder != nil, "no decoder")
	check((c.Handler == nil) != (c.NewBatch == nil), "exactly one of Handler and NewBatch is needed")
	check(c.MaxBatch >= 1 && c.MaxBatch <= maxBatchLimit, fmt.Sprintf("max batch must be 1 to %d", maxBatchLimit))
	// Repeatable read would let a batch decide on a snapshot from before its locks, and nothing would abort it.
	check(c.Isolation == pgx.ReadCommitted || c.Isolation == pgx.Serializable,
		"isolation must be read committed or serializable")
	check(c.Lanes >= 1, "at least one lane is needed")
	check(c.Memory >= 1, "memory must be at least 1 byte")
	check(c.DedupeAge >= 0, "the age of a generation cannot be negative")
	check(c.Balance.Name() != sarama.CooperativeStickyBalanceStrategyName,
		"cooperative rebalancing starts partitions without a hook to seek in: use sticky, range or roundrobin")
	return errors.Join(errs...)
}

// Consumer is a member of a consumer group that applies records to Postgres, each exactly once.
type Consumer struct {
	cfg      Config
	timeouts Timeouts
	handOver time.Duration
	health   health
}

// New checks cfg and connects to nothing.
func New(cfg Config) (*Consumer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	cfg.Topics = slices.Compact(slices.Sorted(slices.Values(cfg.Topics)))
	return &Consumer{cfg: cfg, timeouts: TimeoutsFor(cfg.SessionTimeout), handOver: handOver}, nil
}

// State is how the consumer stands at this moment. It may be called at any time.
func (c *Consumer) State() State { return c.health.snapshot() }

// Run consumes until ctx ends: then it stops fetching, finishes the batches in hand, writes the advisory commit, leaves
// the group and returns nil; a broker that hangs is given up for that after the session timeout. Faults of the broker
// and of the database are waited out (I8); only a configuration that Kafka's client refuses is an error.
func (c *Consumer) Run(ctx context.Context) error {
	client, err := c.connect(ctx, c.saramaConfig())
	if err != nil || client == nil {
		return err
	}
	defer func() { _ = client.Close() }()
	// What asks about topics has connections of its own: on the group's an answer waits behind the fetches.
	asking, err := c.connect(ctx, kafkalog.Config(c.cfg.Member, c.cfg.SessionTimeout))
	if err != nil || asking == nil {
		return err
	}
	defer func() { _ = asking.Close() }()
	log, err := kafkalog.NewReader(asking)
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	d, turns, trust := newDispatcher(c.cfg.MaxBatch, c.cfg.MaxBatchBytes), &turns{}, &trust{}
	idle := c.newLane(d, turns, trust, nil, c.cfg.NewBatch)
	d.follows = idle.follows()
	var lanes sync.WaitGroup
	for range c.cfg.Lanes {
		lanes.Go(c.newLane(d, turns, trust, c.cfg.Handler, c.cfg.NewBatch).run)
	}
	keeping, stopKeeping := context.WithCancel(ctx)
	defer stopKeeping()
	lanes.Go(func() { newKeeper(c.cfg, log.Ranges).run(keeping, min(keeperPoll, c.cfg.CheckEvery/4)) })
	m := &member{
		Consumer: c, dispatcher: d, client: client, kafka: log, idle: idle,
		shown: make(map[string]string), missed: make(map[string]bool),
	}
	err = m.run(ctx)
	d.close()
	stopKeeping()
	lanes.Wait()
	return err
}

func (c *Consumer) newLane(
	d *dispatcher, turns *turns, trust *trust, simple Handler, batches func() BatchHandler,
) *lane {
	l := &lane{
		dispatcher: d, turns: turns, trust: trust, pool: c.cfg.Pool, isolation: c.cfg.Isolation, timeouts: c.timeouts,
		simple: simple, health: &c.health, log: c.cfg.Log, picture: firstPicture,
	}
	if batches != nil {
		l.batches = batches()
	}
	return l
}

// connect waits for a broker to answer; nil without an error means that ctx ended first.
func (c *Consumer) connect(ctx context.Context, config *sarama.Config) (sarama.Client, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	connections := kafkalog.ConnectionsOf(config)
	for failures := 1; ctx.Err() == nil; failures++ {
		keep := connections.CutAt(ctx) // there is nothing to leave in order yet
		client, err := sarama.NewClient(c.cfg.Brokers, config)
		keep()
		if err == nil {
			// By then the group has expelled this member in any case.
			context.AfterFunc(ctx, func() { time.AfterFunc(c.timeouts.Session, connections.Cut) })
			return client, nil
		}
		c.health.broker(fmt.Errorf("no broker of %v answers: %w", c.cfg.Brokers, err))
		c.cfg.Log.Warn().Err(err).Strs("brokers", c.cfg.Brokers).Msg("no broker answers; trying again")
		sleep(ctx, backoff(infrastructurePause, failures))
	}
	return nil, nil
}
