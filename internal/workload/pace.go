package workload

import (
	"context"
	"time"
)

// pace holds a stream to a rate. Its waits are rare and long enough for the kernel's timers, so records leave in small
// groups; over any tenth of a second the rate is right.
type pace struct {
	begin time.Time
	rate  int // a second; 0 = unlimited
}

const shortestWait = 2 * time.Millisecond

func newPace(rate int) pace { return pace{begin: time.Now(), rate: rate} }

// wait returns when record i is due, and whether ctx still lives.
func (p pace) wait(ctx context.Context, i int) bool {
	if p.rate <= 0 {
		return ctx.Err() == nil
	}
	due := p.begin.Add(time.Duration(float64(i) / float64(p.rate) * float64(time.Second)))
	early := time.Until(due)
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
