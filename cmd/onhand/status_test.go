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
