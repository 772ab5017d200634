package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/floor"
	"onhand/bench/internal/peer"
	"onhand/bench/internal/referee"
	"onhand/bench/internal/servers"
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
			faults, err := referee.Check(t.Context(), job.DatabaseURL, load.Books, 0, c.terms)
			if err != nil {
				t.Fatal(err)
			}
			if len(faults) > 0 {
				t.Errorf("left wrong rows: %q", faults)
			}
		})
	}
}

func TestTheFloorLeavesAShopsRows(t *testing.T) {
	t.Parallel()
	const events = 3000
	brokers := testenv.Brokers(t)
	for _, kind := range []backlog.Events{backlog.Orders, backlog.Reservations} {
		shape := backlog.Shape{Partitions: 4, SKUs: 20, Events: kind}
		name := "bench-" + strings.ToLower(rand.Text()[:12])
		load, err := backlog.Write(t.Context(), brokers, name, events, shape)
		if err != nil {
			t.Fatal(err)
		}
		for _, writers := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s by %d", kind, writers), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				job := peer.Job{
					Brokers: brokers, DatabaseURL: testenv.Database(t), Topic: load.Topic, Group: name, Events: events,
					Writers: writers, Batch: 100, Shared: true,
				}
				if err := servers.Fill(ctx, job.DatabaseURL, servers.Prefill{SKUs: shape.SKUs, Backorder: true}); err != nil {
					t.Fatal(err)
				}
				if err := peer.Run(ctx, floor.Run, job, &finished{events: events, tell: cancel}); err != nil {
					t.Fatal(err)
				}
				faults, err := referee.Check(t.Context(), job.DatabaseURL, load.Books, 0, onlyRows)
				if err != nil {
					t.Fatal(err)
				}
				if len(faults) > 0 {
					t.Errorf("left wrong rows: %q", faults)
				}
			})
		}
	}
}

func TestEveryPublisherLeavesEachMessageOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range publishers() {
		if c.name == eventRouter {
			continue // a hundred jars and a server of its own: the benchmark itself is its test
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			messages := 10_500 // some SKUs have a second version
			if c.short {
				messages = 1000
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			topic := testenv.Topic(t, 4)
			job := peer.Job{
				Brokers: testenv.Brokers(t), DatabaseURL: preparedOutbox(t, messages), Topic: topic, Group: topic,
				Events: int64(messages),
			}
			if err := peer.Run(ctx, c.run, job, &finished{events: job.Events, tell: cancel}); err != nil {
				t.Fatal(err)
			}
			faults, err := referee.CheckTopic(t.Context(), job.Brokers, topic, job.DatabaseURL)
			if err != nil || len(faults) > 0 {
				t.Errorf("published something else: %q, %v", faults, err)
			}
		})
	}
}

// preparedOutbox is a database with that many messages, and with an installation, which they name.
func preparedOutbox(t *testing.T, messages int) (databaseURL string) {
	t.Helper()
	databaseURL = testenv.Database(t)
	if err := servers.Fill(t.Context(), databaseURL, servers.Prefill{Messages: messages}); err != nil {
		t.Fatal(err)
	}
	if err := new(servers.Servers).Install(t.Context(), databaseURL, "g", "changes"); err != nil {
		t.Fatal(err)
	}
	return databaseURL
}

// told is a peer's output that ends the peer once so many commits were told of.
type told struct {
	commits
	records int64
	end     func()
}

func (o *told) Write(b []byte) (int, error) {
	n, err := o.commits.Write(b)
	if total, _ := o.Total(context.Background()); total >= o.records {
		o.end()
	}
	return n, err
}

func TestTheTextbookTellsWhenEachRecordWasCommitted(t *testing.T) {
	t.Parallel()
	const records = 200
	brokers, name := testenv.Brokers(t), "bench-"+strings.ToLower(rand.Text()[:12])
	load, err := backlog.Write(t.Context(), brokers, name, records, backlog.Shape{Partitions: 3, SKUs: 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	job := peer.Job{
		Brokers: brokers, DatabaseURL: testenv.Database(t), Topic: load.Topic, Group: name, Events: records, Commits: true,
	}
	begin, out := time.Now(), &told{records: records, end: cancel}
	if err := peer.Run(ctx, contestantNamed("textbook").run, job, out); err != nil {
		t.Fatal(err)
	}
	all, err := out.Seen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for partition, of := range all {
		for i, s := range of {
			if s.Next != int64(i)+1 || s.At.Before(begin) || s.At.After(time.Now()) {
				t.Errorf("partition %d: %+v", partition, s)
			}
			seen++
		}
	}
	if seen != records {
		t.Errorf("%d commits told of, want %d", seen, records)
	}
}
