package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

type offsetsResumeCmd struct{ partitionArgs }

func (offsetsResumeCmd) Help() string {
	return `The partition goes on where it stopped. After a topic was created again, or its log was cut back and grew anew
(topic_recreated, log_regrown), there is no such place: it goes on at the new log's first record, under a new
incarnation with counters from zero; events that were applied before count as duplicates.

While the position still lies outside the log (below_log_start, beyond_log_end) resuming would only stop it again, and
is refused: say with "offsets set" where to go on.

Examples:

  onhand offsets resume inventory.events 3 --because "upstream sends JSON again"
  onhand offsets resume inventory.events 0 --because "topic was created again on purpose" -o json`
}

func (c *offsetsResumeCmd) Run(ctx context.Context, con *console) error {
	// Asked before the row is locked: a broker that hangs must not hold up a batch.
	facts, err := c.facts(ctx)
	if err != nil {
		return err
	}
	command := fmt.Sprintf("offsets resume %s %d", c.Topic, c.Partition)
	return c.change(ctx, con, command, func(ctx context.Context, tx pgx.Tx, row offsets.Row) (offsets.Row, error) {
		if !row.Halted() {
			return row, refused("%s/%d is not halted", c.Topic, c.Partition)
		}
		switch *row.HaltReason {
		case offsets.HaltTopicRecreated, offsets.HaltLogRegrown:
			if facts == nil {
				return row, errNoBrokers
			}
			return offsets.Reopen(ctx, tx, c.name(), facts.known(row), facts.Start)
		case offsets.HaltBelowLogStart, offsets.HaltBeyondLogEnd:
			if facts == nil {
				return row, errNoBrokers
			}
			if row.Next < facts.Start || row.Next > facts.HighWatermark {
				return row, refused("next is %d and the log has %d to %d: it would stop again; say where to go on: "+
					"`onhand offsets set %s %d oldest --because TEXT`",
					row.Next, facts.Start, facts.HighWatermark, c.Topic, c.Partition)
			}
		}
		return offsets.Resume(ctx, tx, c.name())
	})
}
