package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/internal/cliout"
	"onhand/internal/explain"
	"onhand/inventory"
)

type explainEventCmd struct {
	databaseFlags
	brokerFlags
	ID      string  `arg:"" help:"The event's id."`
	Source  *string `placeholder:"NAME" help:"Its source (any)."`
	Tenant  string  `placeholder:"NAME" help:"Its tenant (none)."`
	Parked  bool    `help:"Look among dead letters too if the event was decided: a copy may be parked."`
	Letters string  `default:"10000" placeholder:"N" help:"Most dead letters looked at, the newest (${default})."`

	letters int
}

func (explainEventCmd) Help() string {
	return `An event that was decided is found by its key, and its movements by the ids of their messages: in the ledger
and in its archive, as long as that is there. Published means that Kafka has the message, unless an operator has dropped
it or passed it over. The answer to a rejected event, and what a movement crossed, is shown as long as it is kept here:
until it has left, and some time longer.

An event that was never decided may be parked. Dead letters are kept by where they stood, so their values are read, the
newest first, as far as --letters goes; "perhaps" is one that is broken before its id, and has it somewhere. If nothing
is found, the exit status is 1, and all that this can mean is told; lag is part of it, if there are --brokers.

Examples:

  onhand explain event o-1001
  onhand explain event c-7 --source handheld-3 --tenant north
  onhand explain event o-1001 --parked --letters 1000000
  onhand explain event o-1001 -o json | jq '.events[].movements[].message'`
}

func (c *explainEventCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.brokerFlags.optional(p)
	c.letters = p.number("letters", c.Letters, 0, maxLetters)
}

// maxLetters bounds --letters: each letter's value is read.
const maxLetters = 100_000_000

// explainedEvent is what explain event prints.
type explainedEvent struct {
	Events  []explain.Event `json:"events"`
	Search  *explain.Search `json:"dead_letters"` // null = not searched
	Unknown []string        `json:"unknown"`      // what it can mean that nothing was found

	more bool
}

func (c *explainEventCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	var e explainedEvent
	err = explain.Read(ctx, pool, func(tx pgx.Tx) (err error) {
		if e.Events, e.more, err = explain.Events(ctx, tx, c.Tenant, c.ID, c.Source); err != nil {
			return err
		}
		if len(e.Events) > 0 && !c.Parked {
			return nil
		}
		s, err := explain.SearchParked(ctx, tx, c.Tenant, c.ID, c.Source, c.letters)
		e.Search = &s
		return err
	})
	if err != nil {
		return err
	}
	if e.more {
		con.say("more sources have an event of this id: give --source")
	}
	unknown := len(e.Events) == 0 && len(e.Search.Parked) == 0
	if unknown {
		if e.Unknown, err = whyUnknown(ctx, pool, &c.brokerFlags, e.Search); err != nil {
			return err
		}
	}
	if !unknown || con.out.Format() == cliout.JSON {
		if err := con.out.Print(e.lists(), e.table); err != nil {
			return err
		}
	}
	if unknown {
		return fmt.Errorf("no event %q of %s is known. Either\n  %s", c.ID, tenantWord(c.Tenant),
			strings.Join(e.Unknown, ", or\n  "))
	}
	return nil
}

// lists has empty lists where there would be null.
func (e *explainedEvent) lists() *explainedEvent {
	for i := range e.Events {
		e.Events[i].Movements = append([]explain.Movement{}, e.Events[i].Movements...)
		e.Events[i].Told = append([]explain.Told{}, e.Events[i].Told...)
	}
	e.Events = append([]explain.Event{}, e.Events...)
	e.Unknown = append([]string{}, e.Unknown...)
	if e.Search != nil {
		e.Search.Parked = append([]explain.Parked{}, e.Search.Parked...)
	}
	return e
}

func (e *explainedEvent) table(t *cliout.Grid) {
	for i, event := range e.Events {
		if i > 0 {
			t.Row()
		}
		eventTable(t, &event)
	}
	if e.Search == nil {
		return
	}
	if len(e.Events) > 0 {
		t.Row()
	}
	t.Row("PARKED", "TOPIC", "PARTITION", "INC", "OFFSET", "REASON", "THIS EVENT", "DETAIL")
	for _, p := range e.Search.Parked {
		word := "perhaps"
		if p.Certain {
			word = "yes"
		}
		t.Row(instantOrDash(&p.ParkedAt), p.Topic, p.Partition, p.Incarnation, p.Offset, p.Reason, word, p.Detail)
	}
	if !e.Search.Whole {
		t.Text("The newest %d dead letters were looked at; there may be others.", e.Search.Letters)
	}
}

func eventTable(t *cliout.Grid, e *explain.Event) {
	t.Row("event", e.EventID)
	t.Row("source", orDash(&e.Source))
	t.Row("tenant", orDash(&e.Tenant))
	if e.Source == inventory.ExpirySource {
		t.Row("lapsed before", e.Position) // no record says so
	} else {
		t.Row("record", e.Position)
	}
	if e.Reason != "" {
		t.Row("outcome", e.Outcome+": "+e.Reason)
	} else {
		t.Row("outcome", e.Outcome)
	}
	switch {
	case e.MessageID == nil || e.Reason != "":
		t.Row("movements", "none")
	case len(e.Movements) == 0:
		t.Row("movements", fmt.Sprintf("gone from the archive; the first was message %d", *e.MessageID))
	default:
		t.Row("movements", len(e.Movements))
		movementsTable(t, e.Movements)
	}
	toldTable(t, e)
}

func tenantWord(tenant string) string {
	if tenant == "" {
		return "no tenant"
	}
	return fmt.Sprintf("tenant %q", tenant)
}
