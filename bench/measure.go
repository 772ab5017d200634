package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// measureCmd is the benchmark.
type measureCmd struct {
	Rounds      int      `default:"3" placeholder:"N" help:"How often each contestant runs (${default})."`
	Events      int      `default:"600000" placeholder:"N" help:"Events for onhand and the floor (${default})."`
	ShortEvents int      `default:"30000" placeholder:"N" help:"Events for contestants that commit each one by itself (${default})."`
	Contestants []string `placeholder:"NAME,..." help:"Who takes part: floor, onhand, textbook, watermill, broken (all)."`
	JSON        string   `name:"json" placeholder:"FILE" help:"Where to write all readings."`
	Partitions  int      `default:"12" placeholder:"N" help:"Of each topic (${default})."`
	SKUs        int      `name:"skus" default:"10000" placeholder:"N" help:"Different SKUs, drawn evenly (${default})."`
	FloorBatch  int      `default:"20000" placeholder:"N" help:"Events a transaction of the floor (${default})."`
}

// Help is shown below the flags' summary.
func (measureCmd) Help() string {
	return `It starts a Kafka broker and a Postgres cluster of its own, durable, writes a topic of events, and lets each
contestant in turn apply them into a fresh database; what each left is compared with the events. The table goes to
stdout. Exit status 3 means that a contestant's result is wrong.

Examples:

  go -C bench run .
  go -C bench run . --rounds 5 --json /tmp/bench.json
  go -C bench run . --contestants onhand,floor --events 1000000
  go -C bench run . --rounds 1 --events 5000 --short-events 1000     (only to see it work)`
}

// Validate is called by kong.
func (m *measureCmd) Validate() error {
	for name, n := range map[string]int{
		"rounds": m.Rounds, "events": m.Events, "short-events": m.ShortEvents, "partitions": m.Partitions,
		"skus": m.SKUs, "floor-batch": m.FloorBatch,
	} {
		if n < 1 {
			return fmt.Errorf("--%s must be 1 or more", name)
		}
	}
	_, err := chosen(m.Contestants)
	return err
}

// Run measures and prints. Interrupted, it leaves nothing behind and prints nothing.
func (m *measureCmd) Run(ctx context.Context, s *streams) (err error) {
	taking, err := chosen(m.Contestants)
	if err != nil {
		return err
	}
	root, err := servers.ProjectRoot()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "onhand-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	s.say("building onhand and starting Kafka and Postgres")
	binary := filepath.Join(work, "onhand")
	if err := build(ctx, root, binary); err != nil {
		return err
	}
	stand, err := servers.Start(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stand.Stop()) }()

	t := &tournament{stand: stand, binary: binary, floorBatch: m.FloorBatch, streams: s}
	if err := m.prepare(ctx, t, taking); err != nil {
		return err
	}
	conditions, err := m.conditions(ctx, stand)
	if err != nil {
		return err
	}
	results, order, err := t.play(ctx, taking, m.Rounds)
	if err != nil {
		return err
	}
	conditions.Order = order
	names := make([]string, len(taking))
	for i, c := range taking {
		names[i] = c.name
	}
	return m.publish(s, report.New(conditions, names, results))
}

// prepare writes the topics that are needed.
func (m *measureCmd) prepare(ctx context.Context, t *tournament, taking []contestant) (err error) {
	shape := backlog.Shape{Partitions: m.Partitions, SKUs: m.SKUs}
	isShort := func(c contestant) bool { return c.short }
	if slices.ContainsFunc(taking, isShort) {
		t.streams.say("writing %d events for those who commit each one by itself", m.ShortEvents)
		if t.short, err = backlog.Write(ctx, t.stand.Brokers, "bench.short", m.ShortEvents, shape); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(taking, func(c contestant) bool { return !c.short }) {
		t.streams.say("writing %d events", m.Events)
		t.full, err = backlog.Write(ctx, t.stand.Brokers, "bench.full", m.Events, shape)
	}
	return err
}

// publish prints the table, writes the JSON and says whether all was right.
func (m *measureCmd) publish(s *streams, r report.Report) error {
	if err := r.WriteTable(s.stdout); err != nil {
		return err
	}
	if m.JSON != "" {
		if err := writeJSON(m.JSON, r); err != nil {
			return fmt.Errorf("write the readings: %w", err)
		}
	}
	if slices.ContainsFunc(r.Lines, func(l report.Line) bool { return l.Wrong }) {
		return errWrong
	}
	return nil
}

func writeJSON(name string, r report.Report) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	encoder := json.NewEncoder(file)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
