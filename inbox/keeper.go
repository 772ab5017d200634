package inbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/kafkalog"
)

// keeper keeps the inbox within its bounds: it looks every few seconds whether the open generation is full or old, and
// rolls over. Every member has one, and none of them leads: the lock lets one at a time, and the second finds it done.
type keeper struct {
	pool *pgxpool.Pool
	rows int64         // of a generation; 0 = no bound
	age  time.Duration // of a generation; 0 = no bound
	log  zerolog.Logger

	topics []string
	ranges rangesOf
	ends   map[kafkalog.TopicPartition]int64 // where logs ended when caughtUp first asked

	wait    time.Duration // for the batches under way, the next time
	waiting time.Time     // since then a rollover is due and something is in the way; zero = nothing is
	said    time.Time     // when that was logged last
}

func newKeeper(c Config, ranges rangesOf) *keeper {
	return &keeper{
		pool: c.Pool, rows: max(c.DedupeRows, 0), age: max(c.DedupeAge, 0), log: c.Log, topics: c.Topics, ranges: ranges,
	}
}

const (
	keeperPoll     = 5 * time.Second
	turnWait       = 5 * rolloverWait // in one turn, if a rollover waits that long at all
	rolloverBound  = 5 * time.Second  // one try, seen from here
	reminderPeriod = 10 * time.Minute
)

// run looks until ctx ends.
func (k *keeper) run(ctx context.Context, every time.Duration) {
	// Jitter: members that were started together need not all come for the lock at once.
	pause := func() bool { return sleep(ctx, every/2+rand.N(every)) }
	// One that has no bound has nothing to do but to say so once, at its start.
	unbounded := k.rows == 0 && k.age == 0
	for unbounded || pause() {
		err := k.turn(ctx)
		if err != nil && ctx.Err() == nil {
			k.held(ctx, err)
		}
		if unbounded && (err == nil || !pause()) {
			return
		}
	}
}

// turn rolls over if that is due.
func (k *keeper) turn(ctx context.Context) error {
	seen, err := look(ctx, k.pool)
	if err != nil {
		return err
	}
	if !k.due(seen) {
		k.rest()
		if seen.Waiting { // for a bound that is not there any more
			_, err = k.pool.Exec(ctx, stopWaiting)
		}
		return err
	}
	if err := k.droppable(ctx, seen); err != nil {
		return err
	}
	k.wait = max(k.wait, rolloverWait)
	for waited := k.wait; ; waited += k.wait {
		done, err := k.try(ctx, seen)
		if err == nil {
			k.rest()
			if done {
				k.log.Info().Int64("generation", seen.Newest).Int64("rows", seen.Rows).
					Bool("dropped_oldest", seen.Live == maxLive).Msg("the inbox's generation was closed, the next one opened")
			}
			return nil
		}
		if sqlstate(err) != lockNotAvailable {
			return err
		}
		if waited >= turnWait || !sleep(ctx, rand.N(2*k.wait)) { // for batches to catch up
			if errors.Is(err, errUnderWay) {
				k.wait = min(2*k.wait, maxRolloverWait)
			}
			return err
		}
	}
}

// rest is how a keeper is when nothing is due.
func (k *keeper) rest() { k.wait, k.waiting, k.ends = 0, time.Time{}, nil }

// droppable asks before the lock is taken, which batches would wait for in vain.
func (k *keeper) droppable(ctx context.Context, seen generations) error {
	if err := seen.droppable(); err != nil {
		k.ends = nil // its log grows while it stands still
		return err
	}
	if seen.Live < maxLive {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, rolloverBound)
	defer cancel()
	return k.caughtUp(ctx)
}

func (k *keeper) try(ctx context.Context, seen generations) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, rolloverBound)
	defer cancel()
	return rollOver(ctx, k.pool, seen, k.wait)
}

// due: an old generation without a row is left alone, because closing it would only bring older ones nearer to the end.
func (k *keeper) due(g generations) bool {
	full := k.rows > 0 && g.Rows >= k.rows
	old := k.age > 0 && g.Rows > 0 && time.Duration(g.Age)*time.Microsecond >= k.age
	return full || old
}

const waitFor = `
update inbox_memory set waiting_since = coalesce(waiting_since, clock_timestamp()), waiting_for = $1
where waiting_for is distinct from $1`

// held says that a rollover is due and cannot be done. The generation goes on growing; nothing else is the matter.
func (k *keeper) held(ctx context.Context, cause error) {
	if elsewhere(cause) {
		k.log.Debug().Err(cause).Msg("cannot look after the inbox's generations; trying again")
		return
	}
	if k.waiting.IsZero() {
		k.waiting, k.said = time.Now(), time.Time{}
	}
	if time.Since(k.said) >= reminderPeriod {
		level := zerolog.InfoLevel
		if !k.said.IsZero() {
			level = zerolog.WarnLevel
		}
		k.said = time.Now()
		k.log.WithLevel(level).Err(cause).Msg("the inbox's generation is full and the next one cannot be opened: it grows on")
	}
	ctx, cancel := context.WithTimeout(ctx, rolloverBound)
	defer cancel()
	if _, err := k.pool.Exec(ctx, waitFor, cause.Error()); err != nil {
		k.log.Debug().Err(err).Msg("cannot note what a rollover waits for")
	}
}

// elsewhere reports whether the batches meet cause as well, and say so. A timeout is the rollover's own, and so is
// being ended for sitting idle in its transaction (25P03).
func elsewhere(cause error) bool {
	if errors.Is(cause, errBehind) || sqlstate(cause) == "25P03" {
		return false
	}
	c := classify(cause)
	return c == classPause || c == classReconnect
}
