package demo

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// counters are the sums over all partitions of what became of records.
type counters struct {
	applied, rejected, duplicate, parked int64
	accounted                            int64 // next - start: all of the above, ignored and skipped too
}

// watch looks at the offsets table over a connection of its own.
type watch struct {
	conn      *pgx.Conn
	accounted atomic.Int64 // as of the last look
	samples   []sample
}

type sample struct {
	at        time.Time
	accounted int64
}

func startWatch(ctx context.Context, p *place) (*watch, error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &watch{conn: conn}, nil
}

func (w *watch) stop() { _ = w.conn.Close(context.Background()) } // nothing is in flight

// until looks 40 times a second until reached says so. It fails when ctx ends, the service ends by itself, or a
// partition is stopped.
func (w *watch) until(ctx context.Context, s *service, reached func(counters) bool) (counters, error) {
	const between = 25 * time.Millisecond
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		c, err := w.look(ctx)
		if err != nil || reached(c) {
			return c, err
		}
		select {
		case <-tick.C:
		case <-s.done():
			return counters{}, s.unexpectedEnd()
		case <-ctx.Done():
			return counters{}, context.Cause(ctx)
		}
	}
}

const sumCounters = `
select coalesce(sum(applied), 0)::bigint, coalesce(sum(rejected), 0)::bigint, coalesce(sum(duplicate), 0)::bigint,
       coalesce(sum(parked), 0)::bigint, coalesce(sum(next - start), 0)::bigint,
       coalesce(string_agg(format('partition %s: %s: %s', partition, halt_reason, halt_detail), '; ')
         filter (where halt_reason is not null), '')
from offsets`

func (w *watch) look(ctx context.Context) (counters, error) {
	var c counters
	var halted string
	err := w.conn.QueryRow(ctx, sumCounters).
		Scan(&c.applied, &c.rejected, &c.duplicate, &c.parked, &c.accounted, &halted)
	if err != nil {
		return counters{}, fmt.Errorf("read the positions: %w", err)
	}
	if halted != "" {
		return counters{}, fmt.Errorf("the service stopped %s", halted)
	}
	w.accounted.Store(c.accounted)
	w.samples = append(w.samples, sample{at: time.Now(), accounted: c.accounted})
	return c, nil
}

// fastestSecond is the most records that were accounted for within any one second.
func (w *watch) fastestSecond() int64 {
	var most int64
	first := 0
	for _, s := range w.samples {
		for s.at.Sub(w.samples[first].at) > time.Second {
			first++
		}
		most = max(most, s.accounted-w.samples[first].accounted)
	}
	return most
}
