package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"onhand/internal/cliout"
	"onhand/internal/verify"
	"onhand/migrations"
)

// verifyCmd proves the books against the log.
type verifyCmd struct {
	databaseFlags
	brokerFlags
	MaxRecordBytes string `default:"1MiB" placeholder:"SIZE" env:"ONHAND_MAX_RECORD_BYTES" help:"The setting of run; if it was changed, the smallest (${default})."`
	Differences    string `default:"20" placeholder:"N" env:"ONHAND_DIFFERENCES" help:"Differences to show; all are counted (${default})."`
	FromLogStart   bool   `env:"ONHAND_FROM_LOG_START" help:"Judge only what retention has left in the log, and do not call that unfinished."`

	maxRecordBytes, differences int
}

func (verifyCmd) Help() string {
	return `Reads the topics again, as far as the database says they were read, and compares every record with what
became of it: applied or rejected once, a duplicate, parked with its bytes, or passed over. Then stock is compared with
the sum of its movements, and movements, archived ones too, with the outgoing messages. It changes nothing, and may run
while the service runs; on the database it is a long transaction that reads whole tables, and as
long as it runs the inbox does not drop its oldest generation.

Of movements that were removed from the archive it proves how many there were, and that the rows of stock they belong to
have an opening balance; not what they moved, nor that they came to that balance.

Records whose inbox rows were dropped are counted, not compared.

Exit status: 0 all is right, 3 something is not (the first differences are shown), 4 it could not be told: a server is
away, or records are no longer in the log.

Examples:

  onhand verify --brokers 127.0.0.1:9092
  onhand verify --from-log-start -o json
  onhand verify --differences 1000`
}

func (c *verifyCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.brokerFlags.settings(p)
	c.maxRecordBytes = int(p.size("max-record-bytes", c.MaxRecordBytes, 1, math.MaxInt32))
	c.differences = p.number("differences", c.Differences, 0, math.MaxInt32)
}

func (c *verifyCmd) Run(ctx context.Context, con *console) error {
	report, err := c.verify(ctx, con)
	if errors.Is(err, migrations.ErrSchema) {
		return err
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return &ExitError{Status: exitUnfinished, Err: fmt.Errorf("could not tell: %w", err)}
	}
	if err := con.out.Print(report, func(t *cliout.Grid) { reportTable(t, report) }); err != nil {
		return err
	}
	switch report.Verdict {
	case verify.OK:
		return nil
	case verify.Violation:
		return &ExitError{Status: exitViolation}
	default:
		return &ExitError{Status: exitUnfinished}
	}
}

func (c *verifyCmd) verify(ctx context.Context, con *console) (*verify.Report, error) {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	client, log, err := openKafka(c.Brokers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	v, err := verify.Begin(ctx, verify.Config{
		Pool: pool, Log: log, MaxRecordBytes: c.maxRecordBytes, Differences: c.differences, FromLogStart: c.FromLogStart,
	})
	if err != nil {
		return nil, err
	}
	defer v.Close()
	stop := con.progress("offsets", v.Offsets(), v.Done)
	defer stop()
	return v.Run(ctx)
}

func reportTable(t *cliout.Grid, r *verify.Report) {
	t.Row("TOPIC", "PARTITION", "START", "NEXT", "APPLIED", "REJECTED", "DUPLICATE", "PARKED", "IGNORED", "SKIPPED",
		"JUMPED", "VERDICT")
	for _, p := range r.Partitions {
		n := p.Counted
		verdict := string(p.Verdict)
		if p.Untold != "" {
			verdict += ": " + p.Untold
		}
		t.Row(p.Topic, p.Partition, p.Start, p.Next, n.Applied, n.Rejected, n.Duplicate, n.Parked, n.Ignored, n.Skipped,
			n.Jumped, verdict)
	}
	t.Row()
	l := r.Ledger
	t.Text("")
	t.Text("%d rows of stock, %d movements, %d messages", l.Stock, l.Movements, l.Messages)
	if l.Opened > 0 {
		t.Text("%d opening balances for %d archived movements", l.Opened, l.Archived+l.Removed)
	}
	if l.Removed > 0 {
		t.Text("%d of these are no longer in the archive: what their events moved was not compared", l.Removed)
	}
	var unproven int64
	for _, p := range r.Partitions {
		unproven += p.Unproven
	}
	if unproven > 0 {
		t.Text("%d records have an answer that the inbox has forgotten; their number is as counted", unproven)
	}
	t.Text("")
	for _, d := range r.Differences {
		t.Text("%s %s", d.Invariant, d.Place)
		t.Text("   expected: %s", d.Expected)
		t.Text("   found:    %s", d.Found)
	}
	verdict := strings.ToUpper(string(r.Verdict))
	if r.Found > 0 {
		verdict += fmt.Sprintf(": %d differences, %d shown", r.Found, len(r.Differences))
	}
	t.Text("%s", verdict)
}
