package main

import (
	"context"
	"slices"

	"onhand/internal/cliout"
	"onhand/offsets"
)

type offsetsCmd struct {
	Show   offsetsShowCmd   `cmd:"" help:"Show everything that is stored about positions."`
	Resume offsetsResumeCmd `cmd:"" help:"Let a halted partition go on."`
	Set    offsetsSetCmd    `cmd:"" help:"Move a position by hand."`
}

func (offsetsCmd) Help() string {
	return `Examples:

  onhand offsets show
  onhand offsets resume inventory.events 3 --because "upstream sends JSON again"
  onhand offsets set inventory.events 3 oldest --because "retention overtook us, the rest is lost"`
}

type offsetsShowCmd struct {
	databaseFlags
	Topic     string `arg:"" optional:"" help:"Only this topic."`
	Partition *int32 `arg:"" optional:"" help:"Only this partition of it."`
}

func (offsetsShowCmd) Help() string {
	return `Examples:

  onhand offsets show
  onhand offsets show inventory.events 3
  onhand offsets show inventory.events -o json`
}

// shownOffsets is one row of offsets, with the storm guard's memory in words.
type shownOffsets struct {
	offsets.Row
	StormSeen   int `json:"storm_seen"`
	StormParked int `json:"storm_parked"`
}

func (c *offsetsShowCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	rows, err := offsets.List(ctx, pool)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r offsets.Row) bool {
		return (c.Topic != "" && r.Topic != c.Topic) || (c.Partition != nil && r.Partition != *c.Partition)
	})
	if len(rows) == 0 && c.Topic != "" {
		return errNoPosition
	}
	shown := make([]shownOffsets, len(rows))
	for i, row := range rows {
		shown[i].Row = row
		shown[i].StormSeen, shown[i].StormParked = row.Storm()
	}
	return con.out.Print(shown, func(t *cliout.Grid) {
		for i, s := range shown {
			if i > 0 {
				t.Row()
			}
			s.table(t)
		}
	})
}

func (s shownOffsets) table(t *cliout.Grid) {
	t.Row("topic", s.Topic)
	t.Row("partition", s.Partition)
	t.Row("incarnation", s.Incarnation)
	t.Row("topic id", orNull(s.TopicID))
	t.Row("start", s.Start)
	t.Row("next", s.Next)
	t.Row("applied", s.Applied)
	t.Row("rejected", s.Rejected)
	t.Row("duplicate", s.Duplicate)
	t.Row("parked", s.Parked)
	t.Row("ignored", s.Ignored)
	t.Row("skipped", s.Skipped)
	t.Row("jumped", s.Jumped)
	t.Row("owner", orDash(s.Owner))
	t.Row("token", orNull(s.Token))
	t.Row("claimed at", instantOrDash(s.ClaimedAt))
	t.Row("latest records", s.StormSeen)
	t.Row("of these parked", s.StormParked)
	t.Row("last hash", orNull(s.LastHash))
	t.Row("updated at", instantOrDash(&s.UpdatedAt))
	if !s.Halted() {
		t.Row("state", "running")
		return
	}
	t.Row("state", "HALTED")
	t.Row("halt reason", *s.HaltReason)
	t.Row("halt detail", orDash(s.HaltDetail))
	t.Row("halted at", instantOrDash(s.HaltedAt))
}

func orNull[T any](v *T) any {
	if v == nil {
		return "-"
	}
	return *v
}
