package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
	"onhand/bench/internal/warmup"
)

// measureCmd is the benchmark. The sizes of 0 depend on whether all of it is asked for.
type measureCmd struct {
	Full        bool          `help:"All workloads, with more events: more than an hour."`
	Workload    []string      `placeholder:"NAME,..." help:"Which workloads, instead; list shows them."`
	Contestants []string      `placeholder:"NAME,..." help:"Who takes part: floor, onhand, textbook, watermill, broken, producer, forwarder, debezium (all)."`
	Rounds      int           `default:"3" placeholder:"N" help:"How often each line of a workload runs (${default})."`
	Events      int           `placeholder:"N" help:"Events for onhand and the floor (250000; 500000 with --full)."`
	ShortEvents int           `placeholder:"N" help:"Events for contestants that commit each one by itself (10000; 30000 with --full)."`
	Seconds     int           `placeholder:"N" help:"How long an open loop counts (15; 60 with --full)."`
	FloorBatch  int           `default:"20000" placeholder:"N" help:"Events a transaction of the floor (${default})."`
	WarmUp      time.Duration `default:"2m" help:"How long Kafka is used at most before anything is measured; less when its compiler rests sooner (${default})."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Where to write all readings."`
	Keep        bool          `help:"Keep what the file of --json has of workloads that are not measured now; the tables, too."`
	SVG         string        `name:"svg" placeholder:"FILE" help:"Where to draw the headline and the targets."`
	Text        string        `placeholder:"FILE" help:"Where to write the tables, beside stdout."`
}

// Help is shown below the flags' summary.
func (measureCmd) Help() string {
	return `It starts a Kafka broker and a Postgres cluster of its own, durable, writes topics of events, and lets each
contestant in turn apply them into a fresh database; what each left is compared with the events. The tables go to
stdout. Exit status 3 means that somebody's result is wrong; a target that is not reached is no failure.

Examples:

  go -C bench run .
  go -C bench run . --workload headline,zipf --rounds 5 --json /tmp/bench.json
  go -C bench run . --full --svg /tmp/bench.svg
  go -C bench run . --full --workload drain --json /tmp/bench.json --keep         (all others as they are there)
  go -C bench run . --rounds 1 --events 20000 --short-events 1000 --seconds 3 --warm-up 0     (only to see it work)`
}

// sizes are as told, or follow from --full.
func (m *measureCmd) sizes() sizes {
	s := sizes{events: 250_000, short: 10_000, seconds: 15}
	if m.Full {
		s = sizes{events: 500_000, short: 30_000, seconds: 60}
	}
	for told, n := range map[*int]int{&s.events: m.Events, &s.short: m.ShortEvents, &s.seconds: m.Seconds} {
		if n > 0 {
			*told = n
		}
	}
	return s
}

func (m *measureCmd) workloads() ([]workload, error) {
	ws, err := chosen(workloads(m.sizes()), m.Workload, m.Full)
	if err != nil {
		return nil, err
	}
	return among(ws, m.Contestants)
}

// Validate is called by kong.
func (m *measureCmd) Validate() error {
	for name, n := range map[string]int{"rounds": m.Rounds, "floor-batch": m.FloorBatch} {
		if n < 1 {
			return fmt.Errorf("--%s must be 1 or more", name)
		}
	}
	for name, n := range map[string]int{"events": m.Events, "short-events": m.ShortEvents, "seconds": m.Seconds} {
		if n < 0 {
			return fmt.Errorf("--%s must be 1 or more", name)
		}
	}
	if m.Keep && m.JSON == "" {
		return errors.New("--keep needs --json, the file that has what is to be kept")
	}
	_, err := m.workloads()
	return err
}

// Run measures and prints. When it is interrupted or something fails, it prints the workloads that were done, and
// writes no file, unless it is to keep what others have.
func (m *measureCmd) Run(ctx context.Context, s *streams) (err error) {
	taking, err := m.workloads()
	if err != nil {
		return err
	}
	older, err := m.earlier()
	if err != nil {
		return err
	}
	names := namesOf(workloads(m.sizes()))
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
	if err := m.warmUp(ctx, s, stand); err != nil {
		return err
	}
	conditions, err := m.conditions(ctx, stand)
	if err != nil {
		return err
	}
	t := &tournament{
		stand: stand, binary: binary, floorBatch: m.FloorBatch, sizes: m.sizes(), streams: s, conditions: conditions,
	}
	var played []report.Workload
	for _, w := range taking {
		result, err := t.play(ctx, w, m.Rounds)
		if err != nil && m.Keep {
			return errors.Join(err, m.publish(s, report.New(conditions, played).Keeping(older, names)))
		}
		if err != nil {
			return errors.Join(err, report.New(conditions, played).WriteText(s.stdout))
		}
		played = append(played, result)
	}
	return m.publish(s, report.New(conditions, played).Keeping(older, names))
}

func (m *measureCmd) warmUp(ctx context.Context, s *streams, stand *servers.Servers) error {
	if m.WarmUp <= 0 {
		return nil
	}
	s.say("warming Kafka up, for %s at most", m.WarmUp)
	pid, err := stand.Broker()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := warmup.Broker(ctx, stand.Brokers, pid, m.WarmUp); err != nil {
		return err
	}
	s.say("warm after %s", time.Since(start).Round(time.Second))
	return nil
}

// earlier is what the file of --json has, if that is to be kept.
func (m *measureCmd) earlier() (report.Report, error) {
	if !m.Keep {
		return report.Report{}, nil
	}
	file, err := os.Open(m.JSON)
	if errors.Is(err, os.ErrNotExist) {
		return report.Report{}, nil
	}
	if err != nil {
		return report.Report{}, err
	}
	defer func() { _ = file.Close() }()
	return report.Read(file)
}

// publish prints the tables, writes the files and says whether all was right.
func (m *measureCmd) publish(s *streams, r report.Report) error {
	if err := r.WriteText(s.stdout); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		m.Text: r.WriteText,
		m.SVG:  r.WriteSVG,
		m.JSON: r.WriteJSON,
	} {
		if name == "" {
			continue
		}
		if err := writeFile(name, write); err != nil {
			return fmt.Errorf("write the readings: %w", err)
		}
	}
	if r.Wrong() {
		return errWrong
	}
	return nil
}

func writeFile(name string, write func(io.Writer) error) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}
