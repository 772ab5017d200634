package verify

import (
	"context"
	"fmt"
	"time"

	"onhand/internal/kafkalog"
)

// read reads one partition to where it ended before the snapshot was taken.
func (o *outgoing) read(ctx context.Context, p *outPartition) error {
	if p.cut {
		return nil
	}
	end, err := o.awaitStable(ctx, p)
	if err != nil {
		return err
	}
	err = o.v.cfg.Log.Scan(ctx, p.tp(), p.Start, end, o.record(ctx, p))
	switch {
	case err == nil:
		o.v.done.Add(end - p.next)
		p.next = end
	case logAway(err): // retention, or an operator, was faster
		p.cutAt(err.Error())
	default:
		return err
	}
	return nil
}

// stablePoll is how often an open transaction is asked about.
const stablePoll = 100 * time.Millisecond

// awaitStable waits until readers of committed records get to the partition's end, as it was: Kafka says that a
// transaction is committed before it lets them. It returns how far they get, which is less when somebody keeps a
// transaction open.
func (o *outgoing) awaitStable(ctx context.Context, p *outPartition) (int64, error) {
	poll := time.NewTicker(stablePoll)
	defer poll.Stop()
	for deadline := time.Now().Add(o.v.cfg.Patience); ; {
		ranges, err := o.v.cfg.Log.Ranges(ctx, []kafkalog.TopicPartition{p.tp()})
		if err != nil {
			return 0, err
		}
		r, known := ranges[p.tp()]
		o.beginAt(p, r.Start)
		if p.stable = max(p.stable, r.LastStable); p.stable >= p.End {
			return p.End, nil
		}
		if time.Now().After(deadline) {
			p.cutAt(hidden(p.stable, known))
			return max(p.Start, p.stable), nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func hidden(stable int64, led bool) string {
	if !led {
		return "no broker leads the partition"
	}
	return fmt.Sprintf("a transaction that stays open hides what comes after offset %d", stable)
}

// beginAt takes in that retention went on since the partition was found.
func (o *outgoing) beginAt(p *outPartition, start int64) {
	if start = min(start, p.End); start <= p.Start {
		return
	}
	o.v.done.Add(start - p.Start)
	p.Start, p.next, p.lossy = start, start, true
	o.inherit()
}
