package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/kafkalog"
)

// Config is what a Relay needs to know. Zero values mean what the comments say.
type Config struct {
	Brokers []string
	Pool    *pgxpool.Pool // up to 4 connections of it are used
	// Installation names the outbox towards Kafka: transactional id and group are made of it. Two outboxes with one
	// Installation fence each other.
	Installation uuid.UUID
	// PositionTopic is a topic that exists, and that the relay may read: its partition 0 is what the group's offset is
	// committed for. Nothing is written to it.
	PositionTopic string
	// Member is this process's name, shown as the owner of the lease.
	Member string

	// TransactionTimeout is how long Kafka keeps a transaction open whose relay is gone, when no other takes over;
	// readers of committed records wait for it. From 1 s to MaxTimeout; 15 s.
	TransactionTimeout time.Duration
	// LeaseTime is how long a relay may be silent before another takes over. From 1 s to MaxTimeout; 10 s.
	LeaseTime time.Duration
	// FollowRefused lets messages go on whose key has an earlier one set aside: order per key is lost then. By default
	// they wait behind it.
	FollowRefused bool
	// RefuseAfter is how long a topic that is missing or forbidden is tried before its messages are set aside so that
	// others can go on. 10 s.
	RefuseAfter time.Duration
	// RecommitEvery is how often an idle relay commits its position again, because Kafka forgets the offsets of a group
	// without members, after a week by default. 1 h.
	RecommitEvery time.Duration

	Log zerolog.Logger

	steps steps
}

const minTimeout = time.Second

// MaxTimeout is the most that TransactionTimeout and LeaseTime may be: a broker's bound for transactions, by default.
const MaxTimeout = 15 * time.Minute

func (c Config) withDefaults() Config {
	c.TransactionTimeout = cmp.Or(c.TransactionTimeout, 15*time.Second)
	c.LeaseTime = cmp.Or(c.LeaseTime, 10*time.Second)
	c.RefuseAfter = cmp.Or(c.RefuseAfter, 10*time.Second)
	c.RecommitEvery = cmp.Or(c.RecommitEvery, time.Hour)
	return c
}

func (c *Config) validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("no brokers"))
	}
	if c.Pool == nil {
		errs = append(errs, errors.New("no pool"))
	}
	if c.Installation == uuid.Nil {
		errs = append(errs, errors.New("no installation"))
	}
	if err := checkTopic(c.PositionTopic); err != nil {
		errs = append(errs, fmt.Errorf("position topic: %w", err))
	}
	for name, d := range map[string]time.Duration{
		"transaction timeout": c.TransactionTimeout, "lease time": c.LeaseTime,
	} {
		if d < minTimeout || d > MaxTimeout {
			errs = append(errs, fmt.Errorf("%s is %v, not between %v and %v", name, d, minTimeout, MaxTimeout))
		}
	}
	if c.RefuseAfter < 0 || c.RecommitEvery < 0 {
		errs = append(errs, errors.New("a negative duration"))
	}
	return errors.Join(errs...)
}

// id is the transactional id, and the group whose offset is the position.
func (c *Config) id() string { return ProducerID(c.Installation) }

// ProducerID is an outbox's name towards Kafka: its transactional id, and the group whose offset is its position.
func ProducerID(installation uuid.UUID) string { return "onhand-outbox-" + installation.String() }

// Relay publishes an outbox. Any number of them may run on one; the one that holds the lease works.
type Relay struct {
	cfg   Config
	lease lease

	// What a session has learned for the next one. One session runs at a time.
	carefulUntil time.Time // one message a request, to find out which one is refused
	carefulMost  int       // messages of a turn then; 0 = carefulMessages
	topics       map[string]*topicTrouble
	silent       map[kafkalog.TopicPartition]bool // waited for long enough: nobody knows what is open there

	trouble    string // what ended the last session; empty = nothing did
	reported   string // the last trouble that was logged, so that it is not said every few seconds
	reportedAt time.Time

	mu    sync.Mutex
	state State
}

// State is what a relay does at the moment.
type State struct {
	Leading bool  // this relay holds the lease
	Err     error // why its last session ended, or what it waits for; nil = nothing
}

// NewRelay returns a relay that is to be Run.
func NewRelay(cfg Config) (*Relay, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("outbox relay: %w", err)
	}
	token, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("outbox relay: draw a token: %w", err)
	}
	return &Relay{
		cfg:    cfg,
		lease:  lease{pool: cfg.Pool, token: token, owner: cfg.Member, time: cfg.LeaseTime},
		topics: make(map[string]*topicTrouble),
		silent: make(map[kafkalog.TopicPartition]bool),
	}, nil
}

// State returns what the relay does at the moment.
func (r *Relay) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func (r *Relay) setState(s State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = s
}

// The pauses between attempts: to get the lease, and after a session that failed, when they double up to maxPause.
const (
	leasePause    = time.Second
	sessionPause  = 100 * time.Millisecond
	maxPause      = 5 * time.Second
	healthySpan   = 30 * time.Second // a session that lasted so long is not held against the next one
	releaseWithin = 2 * time.Second
	failuresAlone = 5 // sessions in a row that fail before another relay is let try
)

// Run publishes until ctx ends; then it finishes the Kafka transaction that is under way, gives the lease back and
// returns nil. It waits for a database or a broker that is away, and for another relay that holds the lease; nothing of
// this ends it.
func (r *Relay) Run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		row, ok, err := r.lease.take(ctx)
		if !ok {
			// Nothing to be said when another relay leads, or an operator has to decide: the row says it.
			r.setState(State{Err: err})
			pause(ctx, jitter(leasePause))
			continue
		}
		began := time.Now()
		r.setState(State{Leading: true})
		err = r.lead(ctx, row)
		if err == nil || errors.Is(err, errPace) || errors.Is(err, errSlow) {
			failures, r.trouble = 0, ""
			continue
		}
		r.trouble = err.Error()
		r.lessCare()
		if time.Since(began) > healthySpan {
			failures = 0
		}
		failures++
		r.setState(State{Leading: true, Err: err})
		r.report(err)
		if fenced(err) || errors.Is(err, errLease) {
			// Somebody else has begun. Two that fence each other would publish nothing: whoever has the lease goes on.
			r.giveBack()
			pause(ctx, jitter(r.cfg.LeaseTime))
			continue
		}
		if failures%failuresAlone == 0 {
			r.giveBack() // perhaps another member gets through
		} else {
			r.explain(ctx)
		}
		pause(ctx, jitter(min(sessionPause<<min(failures-1, 10), maxPause)))
	}
	r.giveBack()
	r.setState(State{})
	return nil
}

// reportEvery is how often the same trouble is logged.
const reportEvery = time.Minute

func (r *Relay) report(err error) {
	text := err.Error()
	if text == r.reported && time.Since(r.reportedAt) < reportEvery {
		return
	}
	r.reported, r.reportedAt = text, time.Now()
	r.cfg.Log.Warn().Err(err).Msg("publishing messages was interrupted; nothing is lost, it is tried again")
}

// explain keeps the lease, and says in the row what messages wait for.
func (r *Relay) explain(ctx context.Context) {
	if err := r.lease.renew(ctx, r.trouble); err != nil && ctx.Err() == nil {
		r.cfg.Log.Debug().Err(err).Msg("the lease on the outbox was not renewed")
	}
}

// giveBack lets another relay begin at once.
func (r *Relay) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
	defer cancel()
	if err := r.lease.release(ctx); err != nil {
		r.cfg.Log.Debug().Err(err).Msg("the lease on the outbox was not given back; it runs out by itself")
	}
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
