package workload

import (
	"context"
	"time"
)

// Pace decides when records leave: it returns when record i (counted from 0) may be sent, or false once ctx has ended.
type Pace func(ctx context.Context, i int) bool

// Unlimited sends as fast as it goes.
func Unlimited(ctx context.Context, _ int) bool { return ctx.Err() == nil }

// Steady sends at most rate records a second. Its waits are rare and long enough for the kernel's timers, so records
// leave in small groups. Time that was lost elsewhere is not made up for.
func Steady(rate int) Pace {
	const (
		shortestWait = 2 * time.Millisecond
		mostLate     = 50 * time.Millisecond
	)
	interval := time.Second / time.Duration(rate)
	var due time.Time // of the next record
	return func(ctx context.Context, _ int) bool {
		now := time.Now()
		if oldest := now.Add(-mostLate); due.Before(oldest) {
			due = oldest
		}
		early := due.Sub(now)
		due = due.Add(interval)
		if early < shortestWait {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(early)
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}
