package main

import (
	"context"
	"time"

	"onhand/internal/cliout"
	"onhand/internal/deadletter"
)

const maxListed = 100_000

type deadLettersCmd struct {
	List deadLettersListCmd `cmd:"" help:"List parked records, newest first."`
	Show deadLettersShowCmd `cmd:"" help:"Show one parked record: text, bytes, headers, and where reading stopped."`
}

func (deadLettersCmd) Help() string {
	return `Examples:

  onhand dead-letters list --reason unknown_kind
  onhand dead-letters show inventory.events 3 1200`
}

type deadLettersListCmd struct {
	databaseFlags
	Topic     string `placeholder:"NAME" help:"Only of this topic."`
	Partition *int32 `placeholder:"N" help:"Only of this partition."`
	Reason    string `placeholder:"CODE" help:"Only with this reason."`
	Limit     string `default:"50" placeholder:"N" help:"Most records listed (${default})."`

	limit int
}

func (deadLettersListCmd) Help() string {
	return `Examples:

  onhand dead-letters list
  onhand dead-letters list --topic inventory.events --partition 3 --limit 500
  onhand dead-letters list -o json | jq -r '.[].reason' | sort | uniq -c`
}

func (c *deadLettersListCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.limit = p.number("limit", c.Limit, 1, maxListed)
}

func (c *deadLettersListCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	letters, err := deadletter.List(ctx, pool, deadletter.Filter{
		Topic: c.Topic, Partition: c.Partition, Reason: c.Reason, Limit: c.limit,
	})
	if err != nil {
		return err
	}
	if letters == nil {
		letters = []deadletter.Summary{} // an empty list, not null
	}
	return con.out.Print(letters, func(t *cliout.Grid) {
		t.Row("PARKED", "TOPIC", "PARTITION", "INC", "OFFSET", "REASON", "BYTES", "DETAIL")
		for _, l := range letters {
			t.Row(l.ParkedAt.UTC().Format(time.RFC3339), l.Topic, l.Partition, l.Incarnation, l.Offset, l.Reason,
				orNull(l.ValueBytes), l.Detail)
		}
	})
}
