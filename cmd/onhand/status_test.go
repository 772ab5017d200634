package main

import (
	"testing"

	"onhand/internal/testenv"
	"onhand/offsets"
)

func TestStatusShowsPositionsLagAndWhatStoppedAPartition(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.halt(offsets.HaltParkedStorm)
	args := []string{"status", "--database-url", s.url, "--brokers", testenv.Brokers(t)[0]}
	e := command(t, args...).expect(t, exitDone, s.topic, "HALTED parked_storm", "1 halted", "parked_storm: for a test")
	if e.stderr != "" {
		t.Errorf("stderr has %q", e.stderr)
	}
	report := decoded[statusReport](t, command(t, append(args, "-o", "json")...))
	p := report.Partitions[0]
	if p.Next != 4 || p.Applied != 4 || *p.LastStable != 10 || *p.Lag != 6 || *p.HaltReason != "parked_storm" {
		t.Errorf("%+v", p)
	}
	if report.Totals.Halted != 1 || report.Totals.Applied != 4 || *report.Totals.Lag != 6 {
		t.Errorf("%+v", report.Totals)
	}
}

func TestStatusShowsWhatIsRememberedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	args := []string{"status", "--database-url", s.url, "--brokers", testenv.Brokers(t)[0]}
	execute(t, s.pool, `update offsets set remembered = 7, timeless = 3`)
	command(t, args...).expect(t, exitDone, "open   7 ", "Every event that was decided is remembered",
		"3 events had no time")
	execute(t, s.pool, `
update inbox_generations set generation = 4, rows_before = 5, opened_at = '2026-02-03T00:00:00Z'`)
	execute(t, s.pool, `
insert into inbox_generations (generation, slot, rows_before, opened_at, closed_at, rows, horizon)
values (3, 2, 1, '2026-02-01T00:00:00Z', '2026-02-03T00:00:00Z', 4, '2026-02-02T00:00:00Z')`)
	execute(t, s.pool, `update inbox_memory set horizon = '2026-01-31T00:00:00Z', dropped_rows = 1, waiting_since = now(),
  waiting_for = 'somebody reads it'`)
	command(t, args...).expect(t, exitDone, "closed  4 ", "2026-02-02T00:00:00Z",
		"1 events are forgotten. One that is not known and not later than 2026-01-31T00:00:00Z is parked as beyond_memory.",
		"CANNOT BE OPENED", "somebody reads it")
	m := decoded[statusReport](t, command(t, append(args, "-o", "json")...)).Memory
	if g := m.Generations; len(g) != 2 || g[0].Rows != 4 || g[1].Rows != 2 || g[1].Bytes == 0 {
		t.Errorf("%+v", g)
	}
	if m.Timeless != 3 || *m.WaitingFor != "somebody reads it" || m.Horizon == nil {
		t.Errorf("%+v", m)
	}
}

func TestStatusWithoutKafkaShowsTheDatabasesPart(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	for _, brokers := range []string{"", "--brokers=127.0.0.1:1"} {
		args := []string{"status", "--database-url", s.url}
		if brokers != "" {
			args = append(args, brokers)
		}
		command(t, args...).expect(t, exitDone, s.topic, "unknown", "lag is unknown: ")
		report := decoded[statusReport](t, command(t, append(args, "-o", "json")...))
		if p := report.Partitions[0]; p.Next != 4 || p.Lag != nil || p.LastStable != nil || report.Totals.Lag != nil {
			t.Errorf("%+v, %+v", p, report.Totals)
		}
	}
}

func TestStatusOfATopicThatIsGoneHasNoLag(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	execute(t, s.pool, `insert into offsets (topic, partition, start, next) values ('gone', 0, 0, 0)`)
	report := decoded[statusReport](t,
		command(t, "status", "--database-url", s.url, "--brokers", testenv.Brokers(t)[0], "-o", "json"))
	for _, p := range report.Partitions {
		if known := p.Lag != nil; known != (p.Topic == s.topic) {
			t.Errorf("%s: lag %v", p.Topic, p.Lag)
		}
	}
	if report.Totals.Lag != nil {
		t.Error("the total knows what a partition does not")
	}
}
