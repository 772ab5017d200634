package main

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/peer"
	"onhand/bench/internal/referee"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// finished is told when a peer has reported that many events.
type finished struct {
	progress
	events int64
	tell   func()
}

func (f *finished) Write(b []byte) (int, error) {
	n, err := f.progress.Write(b)
	if f.count.Load() >= f.events {
		f.tell()
	}
	return n, err
}

func TestEveryPeerLeavesTheRowsThatTheEventsLeadTo(t *testing.T) {
	t.Parallel()
	const events = 600
	brokers, name := testenv.Brokers(t), "bench-"+strings.ToLower(rand.Text()[:12])
	load, err := backlog.Write(t.Context(), brokers, name, events, backlog.Shape{Partitions: 4, SKUs: 20})
	if err != nil {
		t.Fatal(err)
	}
	if load.Books.Rejected == 0 {
		t.Fatal("no event is to be rejected: that a peer decides right would not show")
	}
	for _, c := range contestants() {
		if c.run == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			job := peer.Job{
				Brokers: brokers, DatabaseURL: testenv.Database(t), Topic: load.Topic, Group: name + "-" + c.name,
				Events: events, Writers: c.writers, Batch: 50,
			}
			if err := peer.Run(ctx, c.run, job, &finished{events: events, tell: cancel}); err != nil {
				t.Fatal(err)
			}
			faults, err := referee.Check(t.Context(), job.DatabaseURL, load.Books, c.terms)
			if err != nil {
				t.Fatal(err)
			}
			if len(faults) > 0 {
				t.Errorf("left wrong rows: %q", faults)
			}
		})
	}
}
