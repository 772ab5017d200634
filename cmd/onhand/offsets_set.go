package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

type offsetsSetCmd struct {
	partitionArgs
	Where string `arg:"" name:"offset" help:"The offset to read next, or oldest or newest."`
	Force bool   `help:"Also while a member is at work on the partition, or to an offset outside the log."`

	offset int64 // if Where is a number
}

func (offsetsSetCmd) Help() string {
	return `Forward, the records in between are never read; they count as jumped. Backward, the partition begins
a new incarnation there, with counters from zero; events that were applied before count as duplicates. Either way it
is no longer halted, and a member that holds the partition loses it and claims it anew.

Refused while a member is at work on a partition that is not halted, unless --force says so: stop the member, or find
out first why the position is wrong.

Examples:

  onhand offsets set inventory.events 3 oldest --because "retention overtook us, the rest is lost"
  onhand offsets set inventory.events 3 1200 --because "apply the records since 1200 again"
  onhand offsets set inventory.events 3 newest --force --because "test data, not wanted"`
}

func (c *offsetsSetCmd) settings(p *problems) {
	c.partitionArgs.settings(p)
	if c.Where == "oldest" || c.Where == "newest" {
		if len(c.Brokers) == 0 {
			p.add("brokers", "is missing: %s is for Kafka to say", c.Where)
		}
		return
	}
	var err error
	if c.offset, err = strconv.ParseInt(c.Where, 10, 64); err != nil || c.offset < 0 {
		p.argument("offset", "%q is not an offset, oldest or newest", c.Where)
	}
}

func (c *offsetsSetCmd) Run(ctx context.Context, con *console) error {
	// Asked before the row is locked: a broker that hangs must not hold up a batch.
	facts, err := c.facts(ctx)
	if err != nil {
		return err
	}
	to := c.offset
	switch {
	case c.Where == "oldest":
		to = facts.Start
	case c.Where == "newest":
		to = facts.LastStable
	case facts != nil && !c.Force && (to < facts.Start || to > facts.HighWatermark):
		return refused("%d lies outside the log, which has %d to %d: the partition would stop there (--force to insist)",
			to, facts.Start, facts.HighWatermark)
	}
	command := fmt.Sprintf("offsets set %s %d %s", c.Topic, c.Partition, c.Where)
	if c.Force {
		command += " --force"
	}
	return c.change(ctx, con, command, func(ctx context.Context, tx pgx.Tx, row offsets.Row) (offsets.Row, error) {
		if err := c.guard(ctx, tx, row); err != nil {
			return row, err
		}
		if facts.otherLog(row) || to < row.Next {
			return offsets.Reopen(ctx, tx, c.name(), facts.known(row), to)
		}
		return offsets.Jump(ctx, tx, c.name(), to)
	})
}

// guard keeps an operator from moving a position under a member that is at work, by mistake. It is for people: what
// keeps such a member from writing is the token.
func (c *offsetsSetCmd) guard(ctx context.Context, tx pgx.Tx, row offsets.Row) error {
	if c.Force || row.Halted() {
		return nil
	}
	alive, err := row.OwnerAlive(ctx, tx)
	if err != nil || !alive {
		return err
	}
	return refused("member %s is at work on %s/%d, which is not halted: stop it first, or say --force",
		*row.Owner, c.Topic, c.Partition)
}
