package inbox

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
)

// keeper keeps the inbox within its bounds: it looks every few seconds whether the open generation is full or old, and
// rolls over. Every member has one, and none of them leads: the lock lets one at a time, and the second finds it done.
type keeper struct {
	pool *pgxpool.Pool
	rows int64         // of a generation; 0 = no bound
	age  time.Duration // of a generation; 0 = no bound
	log  zerolog.Logger

	waiting time.Time // since then a rollover is due and something is in the way; zero = nothing is
	said    time.Time // when that was logged last
}

func newKeeper(c Config) *keeper {
	return &keeper{pool: c.Pool, rows: max(c.DedupeRows, 0), age: max(c.DedupeAge, 0), log: c.Log}
}

const (
	keeperPoll     = 5 * time.Second
	rolloverTries  = 5                // in one turn, with pauses in between for the batches
	rolloverPause  = 2 * rolloverWait // at most; for batches to catch up
	rolloverBound  = 5 * time.Second  // one try, seen from here
	reminderPeriod = 10 * time.Minute
)

// run looks until ctx ends.
func (k *keeper) run(ctx context.Context, every time.Duration) {
	if k.rows == 0 && k.age == 0 {
		return
	}
	// Jitter: members that were started together need not all come for the lock at once.
	for sleep(ctx, every/2+rand.N(every)) {
		if err := k.turn(ctx); err != nil && ctx.Err() == nil {
			k.held(ctx, err)
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
		k.waiting = time.Time{}
		return nil
	}
	for try := 1; ; try++ {
		done, err := k.try(ctx, seen)
		if err == nil {
			k.waiting = time.Time{}
			if done {
				k.log.Info().Int64("generation", seen.Newest).Int64("rows", seen.Rows).
					Bool("dropped_oldest", seen.Live == maxLive).Msg("the inbox's generation was closed, the next one opened")
			}
			return nil
		}
		if try == rolloverTries || sqlstate(err) != "55P03" || !sleep(ctx, rand.N(rolloverPause)) {
			return err
		}
	}
}

func (k *keeper) try(ctx context.Context, seen generations) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, rolloverBound)
	defer cancel()
	return rollOver(ctx, k.pool, seen)
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
	switch classify(cause) {
	case classPause, classSlow, classReconnect:
		k.log.Debug().Err(cause).Msg("cannot look after the inbox's generations; trying again")
		return // the batches meet the same, and say so
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
	if _, err := k.pool.Exec(ctx, waitFor, cause.Error()); err != nil {
		k.log.Debug().Err(err).Msg("cannot note what a rollover waits for")
	}
}
