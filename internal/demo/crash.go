package demo

import (
	"context"
	"fmt"
	"time"

	"onhand/internal/workload"
)

// What the feed is like.
const (
	skus           = 1000
	duplicateShare = 0.02
	badShare       = 0.005
)

// feedAndKill feeds the topic and kills the service while it works on that, at random points of its progress: one in
// each portion of the load, of which there is one more than there are kills. It returns once the service has accounted
// for everything.
func (d *Demo) feedAndKill(ctx context.Context, sender *workload.Sender) (counters, error) {
	generator, err := workload.New(workload.Config{
		Seed: d.cfg.Seed, SKUs: skus, Duplicates: duplicateShare, Bad: badShare,
	})
	if err != nil {
		return counters{}, err
	}
	portion := d.cfg.Events / (d.cfg.Kills + 1)
	d.cfg.Say("feeding   %d events on %d SKUs; kills of the service meanwhile: %d", d.cfg.Events, skus, d.cfg.Kills)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		if err := sender.Send(ctx, generator, d.cfg.Events, d.pace(portion)); err != nil {
			cancel(fmt.Errorf("feed: %w", err))
		}
	}()

	err = d.kills(ctx, sender, int64(portion))
	var end counters
	if err == nil {
		// Looking also tells the feed how far it may go.
		end, err = d.watch.until(ctx, d.service, func(c counters) bool { return c.accounted >= int64(d.cfg.Events) })
	}
	cancel(err)
	<-fed
	return end, err
}

// pace feeds so that the load lasts through all kills, however long the group takes to move on after each: steadily,
// and never more than a portion ahead of the service.
func (d *Demo) pace(portion int) workload.Pace {
	const between = 10 * time.Millisecond
	seconds := secondsPerKill * (d.cfg.Kills + 1)
	steady := workload.Steady(max(1, d.cfg.Events/seconds))
	return func(ctx context.Context, i int) bool {
		for int64(i) >= d.watch.accounted.Load()+int64(portion) {
			select {
			case <-time.After(between):
			case <-ctx.Done():
				return false
			}
		}
		return steady(ctx, i)
	}
}

func (d *Demo) kills(ctx context.Context, sender *workload.Sender, portion int64) error {
	for k := range int64(d.cfg.Kills) {
		// The middle half of the portion: not so early that nothing happened since the restart.
		target := k*portion + portion/4 + d.rng.Int64N(portion/2+1)
		c, err := d.watch.until(ctx, d.service, func(c counters) bool { return c.accounted >= target })
		if err != nil {
			return err
		}
		pid := d.service.pid()
		if err := d.service.kill(); err != nil {
			return err
		}
		d.crashes++
		d.cfg.Say("kill %d/%d  SIGKILL to process %d after %d records, with %d in the topic",
			k+1, d.cfg.Kills, pid, c.accounted, sender.Counts().Total())
		if err := d.service.start(); err != nil {
			return err
		}
	}
	return nil
}
