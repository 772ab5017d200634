// Package peer is what all contestants that live in this module have in common: each is one function, run in a process
// of its own so that its processor time and memory can be told from everybody else's.
package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// reportEvery is how often a contestant tells how far it is.
const reportEvery = 50 * time.Millisecond

// Job is what a contestant is to do: apply all events of a topic, whose partitions hold them from offset 0 on.
type Job struct {
	Brokers     []string `required:"" help:"Kafka's addresses."`
	DatabaseURL string   `required:"" help:"Postgres; the search_path leads to the product's empty tables."`
	Topic       string   `required:"" help:"Where the events are."`
	Group       string   `required:"" help:"A consumer group that nobody has used yet."`
	Events      int64    `required:"" help:"How many there are."`
	Writers     int      `default:"1" help:"Transactions at the same time, where a contestant lets that be chosen."`
	Batch       int      `default:"1" help:"Events a transaction, where a contestant lets that be chosen."`
	Shared      bool     `help:"The events of a SKU come from all partitions, not from one."`
	Commits     bool     `help:"Write when each record was committed, instead of how many are, if the contestant can."`

	commits *commits // nil: nobody asked
}

// Peer applies the events of a job, and adds to done once they are committed. It returns when ctx is cancelled; it may
// return before, without an error, once it has applied all.
type Peer func(ctx context.Context, job Job, done *atomic.Int64) error

// Run runs p. Meanwhile it writes how many events are applied to w, a number a line, or each commit. Once all are, it
// goes on until ctx is cancelled: whoever watches has seen the last line then.
func Run(ctx context.Context, p Peer, job Job, w io.Writer) error {
	var done atomic.Int64
	report := func() error {
		_, err := fmt.Fprintln(w, done.Load())
		return err
	}
	if job.Commits {
		job.commits = &commits{}
		report = func() error { return job.commits.flush(w) }
	}
	ended := make(chan error, 1)
	go func() { ended <- p(ctx, job, &done) }()

	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var last error
	for running := true; running || ctx.Err() == nil; {
		select {
		case last = <-ended:
			running = false
			if last != nil && ctx.Err() == nil {
				return last
			}
		case <-tick.C:
			if err := report(); err != nil {
				return fmt.Errorf("report progress: %w", err)
			}
		}
	}
	if n := done.Load(); n < job.Events {
		return errors.Join(last, fmt.Errorf("%d of %d events applied", n, job.Events))
	}
	return nil
}
