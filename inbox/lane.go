package inbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/offsets"
)

// lane applies batches one after another. Between two batches it keeps nothing but its picture of the inbox: what a
// failed one has taught (run alone, run shorter, wait) travels with its claims.
type lane struct {
	dispatcher *dispatcher
	pool       *pgxpool.Pool
	isolation  pgx.TxIsoLevel
	timeouts   Timeouts
	batches    BatchHandler // nil: the simple form
	simple     Handler
	health     *health
	log        zerolog.Logger

	turns *turns // of all lanes
	trust *trust // of all lanes, in what others have decided
	last  *turn  // this one's

	picture picture // of the inbox's generations, as the last batch found them
}

// run applies batches until the dispatcher is closed.
func (l *lane) run() {
	for b := l.dispatcher.take(); b != nil; b = l.dispatcher.take() {
		l.dispatcher.finish(b, l.apply(b))
	}
}

// result is what became of one part of a batch: so many of its records are committed; the others are to be run again.
type result struct {
	done    int
	moved   bool // the position advanced
	halted  bool
	attempt attempt
	pause   time.Duration // before the rest is run again
}

// apply runs b once. It is not under the consumer's context: a shutdown lets the batch in hand finish.
func (l *lane) apply(b *batch) []result {
	ctx, cancel := context.WithTimeout(context.Background(), l.timeouts.Batch)
	defer cancel()
	t, err := l.transact(ctx, b)
	switch {
	case err == nil || t.committed:
		if t.ahead != nil {
			l.trust.gain()
		}
		l.health.databaseWorks()
		l.dispatcher.burden(b)
		return l.advanced(b)
	case t.unknown:
		l.log.Warn().Err(err).Msg("answer to a commit was lost: asking for its fate")
		if l.settled(b) {
			return l.advanced(b)
		}
	}
	if t.ahead != nil && !errors.Is(err, errAhead) {
		l.trust.lose()
		err = fmt.Errorf("%w: %w", errMisled, err)
	}
	return l.failed(b, err)
}

func (l *lane) transact(ctx context.Context, b *batch) (t *transaction, err error) {
	if l.last != nil {
		l.last.followers.Wait() // they still read what the handler is about to forget
	}
	l.last = b.turn
	t = &transaction{batch: b, isolation: l.isolation, timeouts: l.timeouts, picture: l.picture, letGo: func() {}}
	defer func() { // when the transaction has ended
		t.letGo()
		l.turns.give(b.turn, t.committed)
	}()
	if t.conn, err = l.pool.Acquire(ctx); err != nil {
		return t, err
	}
	defer func() {
		if p := recover(); p != nil {
			l.log.Error().Bytes("stack", debug.Stack()).Msgf("handler panicked: %v", p)
			_ = t.conn.Conn().Close(ctx) // wherever it stood in the protocol
			err = &handlerError{fmt.Errorf("panic: %v", p)}
		}
		t.unknown = t.unknownFate(err)
		t.abandon(ctx)
		if err != nil && classify(err) == classReconnect {
			_ = t.conn.Conn().Close(context.WithoutCancel(ctx))
		}
		t.conn.Release()
	}()
	lineUp := func(is []*Item) error { return l.lineUp(ctx, t, is) }
	if err := t.first(ctx, l.batches, lineUp); err != nil {
		if errors.Is(err, errPicture) {
			l.picture = t.found
		}
		return t, err
	}
	fresh := b.decide(t.known, t.promised())
	if l.simple != nil {
		if fresh, err = l.handle(ctx, t, fresh); err != nil {
			return t, err
		}
	}
	if !b.advances() && !b.passes() {
		return t, nil
	}
	return t, t.second(ctx, l.batches, fresh, func() { l.decided(t) })
}

// advances reports whether any part moves.
func (b *batch) advances() bool { return slices.ContainsFunc(b.parts, (*part).moves) }

// passes reports whether time passes in any part.
func (b *batch) passes() bool { return slices.ContainsFunc(b.parts, (*part).passes) }

// settled finds out whether the batch was committed whose answer was lost: ours and moved means it was. Anything else,
// an error included, means that it is safe to run again: if it was committed after all, the comparison of token and
// next misses, and the position is read anew; and what was due, where nothing but that was done, is not due any more.
func (l *lane) settled(b *batch) bool {
	ctx, cancel := context.WithTimeout(context.Background(), l.timeouts.Batch)
	defer cancel()
	es := b.expected()
	now, err := offsets.Settle(ctx, l.pool, es)
	if err != nil {
		l.log.Warn().Err(err).Msg("fate of a commit is still unknown")
		return false
	}
	for i, p := range b.parts {
		if p.moves() && p.decided.Next > p.from && now[i].Ours && now[i].Next == p.decided.Next {
			return true
		}
	}
	return false
}

// advanced says what became of the parts of a batch that was committed (or had nothing to commit).
func (l *lane) advanced(b *batch) []result {
	results := make([]result, len(b.parts))
	for i, p := range b.parts {
		r := &results[i]
		r.done, r.moved = p.keep, p.moves()
		switch {
		case p.locked == nil:
			// Not ours any more, or not where we thought: this member's picture is wrong, all of it is read anew.
			p.claim.session.end("the claim on " + p.claim.name() + " is lost")
			r.attempt, r.pause = p.attempt, time.Hour
		case p.decided.Halt != nil:
			r.halted = true
			p.claim.logHalt(l.log, p.decided.Next, *p.decided.Halt)
		case p.clock != nil && p.clock.short && !p.clock.Blocked:
			r.attempt = p.attempt
			if r.moved {
				r.attempt.failures = 0
			} else if r.attempt.failures++; r.attempt.failures > 1 {
				r.pause = backoff(contentionPause, r.attempt.failures)
			}
		case p.keep < len(p.works):
			// Cut before a record that needs a row another client holds: the rest waits outside the lane.
			r.attempt = attempt{skip: true, failures: p.attempt.failures + 1}
			if p.keep > 0 {
				r.attempt.failures = 1
			}
			r.pause = backoff(contentionPause, r.attempt.failures)
		case p.attempt.limit > 0 && p.attempt.condemn == nil:
			r.attempt = attempt{solo: true, limit: 2 * p.attempt.limit, skip: p.attempt.skip}
			if r.attempt.limit >= l.dispatcher.maxRecords {
				r.attempt = attempt{}
			}
		}
	}
	return results
}

// The pauses start here and double with each failure in a row, up to 50 times as long, with jitter.
const (
	contentionPause     = 10 * time.Millisecond
	infrastructurePause = 100 * time.Millisecond
)

func backoff(base time.Duration, failures int) time.Duration {
	d := min(base<<min(max(failures-1, 0), 10), 50*base)
	return d/2 + rand.N(d/2+1)
}

// failed says how the parts of a batch that was rolled back are to be run again (I8: a fault uses up no record).
func (l *lane) failed(b *batch, err error) []result {
	cause := classify(err)
	var refused *refusedError
	if errors.As(err, &refused) {
		return b.isolate(refused)
	}
	if errors.Is(err, errPicture) || errors.Is(err, errRollover) || errors.Is(err, errAhead) {
		return b.again()
	}
	if errors.Is(err, ErrRunAgain) {
		results := b.again()
		for i := range results {
			r := &results[i]
			r.attempt.failures++ // should what Load finds never suffice, this must not become a busy loop
			r.pause = backoff(contentionPause, r.attempt.failures)
			if r.attempt.failures > 2 { // less of it may be found at once
				r.attempt.solo, r.attempt.limit = true, max(len(b.parts[i].works)/2, 1)
			}
		}
		return results
	}
	if errors.Is(err, errMisled) {
		l.log.Debug().Err(err).Int("records", b.records()).Msg("batch rolled back that followed another; it is run again")
		return b.again()
	}
	l.health.databaseFailed(cause, err)
	level := zerolog.DebugLevel
	if cause.infrastructure() {
		level = zerolog.WarnLevel
	}
	if sqlstate(err) == lockNotAvailable {
		l.dispatcher.lighten()
	}
	l.log.WithLevel(level).Err(err).Int("records", b.records()).Msg("batch rolled back; it is run again")
	results := make([]result, len(b.parts))
	for i, p := range b.parts {
		r := &results[i]
		r.attempt = p.attempt
		r.attempt.failures++
		r.pause = backoff(contentionPause, r.attempt.failures)
		switch cause {
		case classContention:
			l.contended(b, p, r, err)
		case classPoison, classBroken:
			l.suspect(b, p, r, cause, err)
		case classReconnect:
		case classSlow:
			// A batch that is too slow for its timeouts would be too slow for ever: less of it.
			r.pause = backoff(infrastructurePause, r.attempt.failures)
			if len(p.works) > 1 {
				r.attempt.limit = len(p.works) / 2
			}
			r.attempt.solo = true
		default:
			r.pause = backoff(infrastructurePause, r.attempt.failures)
			// The database answers: one record may be at fault, and must not hold up other partitions'.
			r.attempt.solo = r.attempt.solo || sqlstate(err) != "" || errors.As(err, new(*handlerError))
		}
	}
	return results
}

// again has a batch run as it was, at once: nothing failed.
func (b *batch) again() []result {
	results := make([]result, len(b.parts))
	for i, p := range b.parts {
		results[i].attempt = p.attempt
	}
	return results
}

// contended: run again; rows that stay locked are met with SKIP LOCKED, and what even that cannot pass (a key that
// another client inserted and did not commit) is narrowed down, partition by partition, so that only the records that
// need it wait.
func (l *lane) contended(b *batch, p *part, r *result, err error) {
	if sqlstate(err) != lockNotAvailable {
		return
	}
	switch {
	case !r.attempt.skip:
		r.attempt.skip, r.pause = true, 0
	case len(b.parts) > 1:
		r.attempt.solo, r.pause = true, 0
	case len(p.works) > 1:
		r.attempt.limit = len(p.works) / 2
	}
}

// suspect narrows down to the one record that the database refuses: each partition alone, then half of its records, and
// at last it alone, which is then parked (its value is at fault) or stops its partition (we are).
func (l *lane) suspect(b *batch, p *part, r *result, cause class, err error) {
	r.attempt.solo, r.pause = true, 0
	switch {
	case len(b.parts) > 1:
	case len(p.works) == 0: // time passes: no record is at fault
		r.pause = backoff(infrastructurePause, r.attempt.failures)
	case len(p.works) > 1:
		r.attempt.limit = len(p.works) / 2
	case cause == classPoison && p.attempt.condemn == nil:
		r.attempt.limit = 1
		r.attempt.condemn = &Refusal{
			Code: "refused_by_database", Detail: err.Error(), Position: -1, Parked: true,
		}
	default:
		h := offsets.Halt{Reason: offsets.HaltConstraintViolated, Detail: err.Error()}
		stopped, haltErr := l.stop(p, h)
		if haltErr != nil {
			r.pause = backoff(infrastructurePause, r.attempt.failures)
			return
		}
		if r.halted = stopped; stopped {
			p.claim.logHalt(l.log, p.from, h)
		}
	}
}

func (l *lane) stop(p *part, h offsets.Halt) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.timeouts.Batch)
	defer cancel()
	return offsets.StopPartition(ctx, l.pool,
		offsets.Expected{TopicPartition: p.claim.TopicPartition, Token: p.claim.token, Next: p.from}, h)
}
