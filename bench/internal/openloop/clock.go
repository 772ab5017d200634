package openloop

import (
	"context"
	"time"
)

// clock waits for what is due. One timer serves all waits.
type clock struct{ timer *time.Timer }

func newClock() clock { return clock{time.NewTimer(0)} }

func (c clock) stop() { c.timer.Stop() }

// until waits until at, if that is still to come; its error is ctx's, which ended first.
func (c clock) until(ctx context.Context, at time.Time) error {
	early := time.Until(at)
	if early <= 0 {
		return nil
	}
	c.timer.Reset(early)
	select {
	case <-c.timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
