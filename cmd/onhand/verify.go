package main

import (
	"context"
	"errors"
	"fmt"
	"math"

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

	Outbox            bool     `env:"ONHAND_OUTBOX" help:"Also read the topic that messages leave to, and prove that each is there once and in order."`
	OutboxOnly        bool     `env:"ONHAND_OUTBOX_ONLY" help:"Prove that alone."`
	FormerOutboxTopic []string `placeholder:"NAME" env:"ONHAND_FORMER_OUTBOX_TOPIC" help:"A topic that messages left to before --outbox-topic of run was changed; repeat, oldest first."`
	Refused           string   `default:"wait" placeholder:"wait|follow" env:"ONHAND_REFUSED" help:"The setting of run; follow if it ever was (${default})."`

	maxRecordBytes, differences int
	followRefused               bool
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

With --outbox it then reads the outgoing topic as a reader of committed records does, and proves that the message of
each movement that has left is there exactly once, in the order of its row's versions and without a gap, in one
partition, with what the ledger says; and that there is no message of this installation beside these. Messages that
have not left yet are counted. So are those that are set aside or were given up (onhand outbox), and what an operator
had published again: they are no fault. Records of others may share the topic. What is told beside changes of stock is
compared with the movement that crossed the line, or with the inbox, and with its place among the messages of its row;
that none is missing is proved of stock.depleted and stock.rejected. Messages that are not about stock are only counted:
the database forgets them when they have left.
Of messages that retention, or compaction, has removed from the topic nothing can be told: see --from-log-start. After a
failover that lost commits, what Kafka has and the database lost is shown as a fault, because readers have seen it.
It takes some 120 bytes of memory a row of stock, and 8 bytes a rejection.

Exit status: 0 all is right, 3 something is not (the first differences are shown), 4 it could not be told: a server is
away, or records are no longer in the log.

Examples:

  onhand verify --brokers 127.0.0.1:9092
  onhand verify --from-log-start -o json
  onhand verify --differences 1000
  onhand verify --outbox --from-log-start
  onhand verify --outbox-only --former-outbox-topic stock.changes.v1 -o json`
}

func (c *verifyCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.brokerFlags.settings(p)
	c.maxRecordBytes = int(p.size("max-record-bytes", c.MaxRecordBytes, 1, math.MaxInt32))
	c.differences = p.number("differences", c.Differences, 0, math.MaxInt32)
	c.followRefused = p.oneOf("refused", c.Refused, "wait", "follow") == "follow"
	for _, topic := range c.FormerOutboxTopic {
		p.topic("former-outbox-topic", topic)
	}
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
	client, log, err := openKafka(ctx, c.Brokers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	v, err := verify.Begin(ctx, verify.Config{
		Pool: pool, Log: log, MaxRecordBytes: c.maxRecordBytes, Differences: c.differences, FromLogStart: c.FromLogStart,
		Outbox: c.Outbox, OutboxOnly: c.OutboxOnly, FormerTopics: c.FormerOutboxTopic, FollowRefused: c.followRefused,
	})
	if err != nil {
		return nil, err
	}
	defer v.Close()
	stop := con.progress("offsets", v.Offsets(), v.Done)
	defer stop()
	return v.Run(ctx)
}
