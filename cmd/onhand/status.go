package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onhand/inbox"
	"onhand/internal/cliout"
	"onhand/internal/database"
	"onhand/internal/kafkalog"
	"onhand/offsets"
)

var errKafkaNotNamed = errors.New("no --brokers (ONHAND_BROKERS) given")

// rangesTimeout bounds how long status waits for Kafka before it shows what the database knows.
const rangesTimeout = 10 * time.Second

type statusCmd struct {
	databaseFlags
	brokerFlags
}

func (statusCmd) Help() string {
	return `Lag is measured against the last stable offset: what a read_committed reader can get to.
Without Kafka the database's part is shown and lag is unknown.

Examples:

  onhand status
  onhand status -o json | jq '.partitions[] | select(.halt_reason)'
  onhand status -o json | jq .outbox`
}

func (c *statusCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.brokerFlags.optional(p)
}

// partitionStatus is a partition's row and where its log stands; nil = unknown.
type partitionStatus struct {
	offsets.Row
	LastStable *int64 `json:"last_stable_offset"`
	Lag        *int64 `json:"lag"`
}

// statusReport is what status prints.
type statusReport struct {
	Partitions []partitionStatus `json:"partitions"`
	Totals     statusTotals      `json:"totals"`
	Memory     *inbox.Memory     `json:"memory"`
	Outbox     *outboxState      `json:"outbox"`
}

// statusTotals adds up the partitions. Lag is nil unless every partition's is known.
type statusTotals struct {
	Partitions int    `json:"partitions"`
	Halted     int    `json:"halted"`
	Lag        *int64 `json:"lag"`
	Applied    int64  `json:"applied"`
	Rejected   int64  `json:"rejected"`
	Duplicate  int64  `json:"duplicate"`
	Parked     int64  `json:"parked"`
	Ignored    int64  `json:"ignored"`
	Skipped    int64  `json:"skipped"`
	Jumped     int64  `json:"jumped"`
}

func (c *statusCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	rows, err := offsets.List(ctx, pool)
	if err != nil {
		return err
	}
	memory, err := inbox.ReadMemory(ctx, pool)
	if err != nil {
		return err
	}
	leaving, err := readOutbox(ctx, pool)
	if err != nil {
		return err
	}
	// The rows are read before the log: asked the other way round, next could be past the end.
	ranges, err := c.ranges(ctx, rows)
	if err != nil {
		con.say("lag is unknown: %s", database.Redact(err.Error()))
	}
	report := newStatusReport(rows, ranges)
	report.Memory, report.Outbox = memory, &leaving
	return con.out.Print(report, report.table)
}

// ranges asks where the logs of rows stand.
func (f *brokerFlags) ranges(ctx context.Context, rows []offsets.Row,
) (map[kafkalog.TopicPartition]kafkalog.Range, error) {
	if len(f.Brokers) == 0 {
		return nil, errKafkaNotNamed
	}
	client, reader, err := openKafka(ctx, f.Brokers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, rangesTimeout)
	defer cancel()
	tps := make([]kafkalog.TopicPartition, len(rows))
	for i, row := range rows {
		tps[i] = kafkalog.TopicPartition{Topic: row.Topic, Partition: row.Partition}
	}
	return reader.Ranges(ctx, tps)
}

func newStatusReport(rows []offsets.Row, ranges map[kafkalog.TopicPartition]kafkalog.Range) *statusReport {
	report := &statusReport{Partitions: make([]partitionStatus, len(rows))}
	t := &report.Totals
	t.Partitions = len(rows)
	totalLag, known := int64(0), true
	for i, row := range rows {
		p := partitionStatus{Row: row}
		if r, ok := ranges[kafkalog.TopicPartition{Topic: row.Topic, Partition: row.Partition}]; ok {
			lag := max(0, r.LastStable-row.Next)
			p.LastStable, p.Lag = &r.LastStable, &lag
			totalLag += lag
		} else {
			known = false
		}
		report.Partitions[i] = p
		if row.Halted() {
			t.Halted++
		}
		t.Applied += row.Applied
		t.Rejected += row.Rejected
		t.Duplicate += row.Duplicate
		t.Parked += row.Parked
		t.Ignored += row.Ignored
		t.Skipped += row.Skipped
		t.Jumped += row.Jumped
	}
	if known {
		t.Lag = &totalLag
	}
	return report
}

func (r *statusReport) table(t *cliout.Grid) {
	t.Row("TOPIC", "PARTITION", "INC", "START", "NEXT", "STABLE", "LAG", "APPLIED", "REJECTED", "DUPLICATE", "PARKED",
		"IGNORED", "SKIPPED", "JUMPED", "OWNER", "CLAIMED", "STATE")
	for _, p := range r.Partitions {
		state := "running"
		if p.Halted() {
			state = "HALTED " + *p.HaltReason
		}
		t.Row(p.Topic, p.Partition, p.Incarnation, p.Start, p.Next, orUnknown(p.LastStable), orUnknown(p.Lag),
			p.Applied, p.Rejected, p.Duplicate, p.Parked, p.Ignored, p.Skipped, p.Jumped,
			orDash(p.Owner), instantOrDash(p.ClaimedAt), state)
	}
	s := r.Totals
	t.Row("TOTAL", s.Partitions, "", "", "", "", orUnknown(s.Lag), s.Applied, s.Rejected, s.Duplicate, s.Parked,
		s.Ignored, s.Skipped, s.Jumped, "", "", fmt.Sprintf("%d halted", s.Halted))
	t.Row()
	memoryTable(t, r.Memory)
	t.Row()
	outboxTable(t, r.Outbox)
	for _, p := range r.Partitions {
		if p.Halted() {
			t.Text("%s/%d halted at %s: %s: %s", p.Topic, p.Partition, instantOrDash(p.HaltedAt), *p.HaltReason,
				orDash(p.HaltDetail))
		}
	}
}

func orUnknown(n *int64) any {
	if n == nil {
		return "unknown"
	}
	return *n
}

func orDash(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}

func instantOrDash(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
