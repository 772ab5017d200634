package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/internal/audit"
	"onhand/internal/cliout"
	"onhand/outbox"
)

type outboxRetryCmd struct{ asideArgs }

func (outboxRetryCmd) Help() string {
	return `The messages are sent with one of the next turns of the member that leads; what Kafka refuses again is set
aside again. Mend the cause first: a topic's max.message.bytes, its existence, the right to write it. That a topic can
be written again is noticed without a retry.

Order per key: with --refused wait (the default of run) later messages of the same topic and key wait behind one that is
set aside, as behind_another. They are sent along, after it, unless another one that was refused still waits before
them; and a message that you name is sent only when no earlier one of its key waits any more. With --refused follow the
later messages of the key have left: what is sent now comes after them, and readers have to compare versions.

` + asideExamples("retry")
}

type outboxDropCmd struct{ asideArgs }

func (outboxDropCmd) Help() string {
	return `The messages will never be sent, and their rows are removed once the outbox has passed them: this cannot be
taken back. On record in operator_actions stay the ids of all of them, and topic, key, event and reason of the first
hundred, but not what was in them: read it before (table outbox_aside). The ledger keeps its movements.

Order per key: with --refused wait (the default of run) later messages of the same topic and key wait behind one that is
set aside. Those that wait for nothing else now are sent: readers see a gap, of a version for a change of stock, and
then the rest in order. With --refused follow they have left already.

` + asideExamples("drop")
}

func asideExamples(verb string) string {
	return strings.ReplaceAll(`Examples:

  onhand outbox VERB 1200345 1200377 --because "told the team of the topic"
  onhand outbox VERB --topic inventory.changes --because "the topic's limit was wrong"
  onhand outbox VERB --all --because "a test environment" -o json`, "VERB", verb)
}

// asideArgs name messages that are set aside, and who decides about them why.
type asideArgs struct {
	databaseFlags
	becauseFlag
	IDs   []int64 `arg:"" name:"id" optional:"" help:"Messages, by their ids."`
	Topic string  `placeholder:"NAME" help:"All messages of this topic that wait."`
	All   bool    `help:"All messages that wait."`
}

func (a *asideArgs) settings(p *problems) {
	a.databaseFlags.settings(p)
	a.becauseFlag.settings(p)
	ways := 0
	for _, given := range []bool{len(a.IDs) > 0, a.Topic != "", a.All} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		p.argument("id", "say which messages: give ids, or --topic, or --all; one of these")
	}
}

// maxTyped bounds how many ids go on record as part of the command.
const maxTyped = 20

// typed is the command as it goes on record.
func (a *asideArgs) typed(verb string) string {
	words := []string{"outbox", verb}
	for i, id := range a.IDs {
		if i == maxTyped {
			words = append(words, fmt.Sprintf("... (%d ids)", len(a.IDs)))
			break
		}
		words = append(words, strconv.FormatInt(id, 10))
	}
	if a.Topic != "" {
		words = append(words, "--topic", a.Topic)
	}
	if a.All {
		words = append(words, "--all")
	}
	return strings.Join(words, " ")
}

// decision is what the commands print, and keep on record.
type decision struct {
	Messages int64        `json:"messages"`
	Behind   int64        `json:"behind"`
	Held     int64        `json:"held"`
	IDs      []int64      `json:"ids"`      // of all messages
	Examples []shownAside `json:"examples"` // the first of them
}

// onceDecided is what goes on record of a decision, beside the first messages as they were. Verify reads the ids.
type onceDecided struct {
	Messages int64   `json:"messages"`
	Behind   int64   `json:"behind"`
	IDs      []int64 `json:"ids"`
}

// decide lets the outbox decide, and records it, in one transaction.
func (a *asideArgs) decide(ctx context.Context, con *console, verb, past string,
	decide func(ctx context.Context, tx pgx.Tx, which outbox.Selection) (outbox.Decided, error),
) error {
	pool, err := openDatabase(ctx, &a.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	var done decision
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		d, err := decide(ctx, tx, outbox.Selection{IDs: a.IDs, Topic: a.Topic, All: a.All})
		if err != nil {
			return err
		}
		done = decision{d.Messages, d.Behind, d.Held, d.IDs, showAsides(d.Examples)}
		if d.Messages == 0 {
			return nil // nothing was changed that could be told of
		}
		return audit.Write(ctx, tx, audit.Action{
			Actor: audit.Actor(), Command: a.typed(verb), Because: a.Because, Before: done.Examples,
			After: onceDecided{d.Messages, d.Behind, d.IDs},
		})
	})
	if err != nil {
		return err
	}
	return con.out.Print(done, func(t *cliout.Grid) { done.table(t, past) })
}

func (d *decision) table(t *cliout.Grid, past string) {
	if len(d.Examples) > 0 {
		t.Row("ID", "TOPIC", "KEY", "EVENT", "REASON", "TRIED", "DETAIL")
	}
	for _, m := range d.Examples {
		t.Row(m.ID, m.Topic, m.Key.line(), m.EventID, m.Reason, m.Attempts, m.Detail)
	}
	if more := d.Messages - int64(len(d.Examples)); more > 0 {
		t.Text("%d more are not listed; -o json has the ids of all, and so has operator_actions.", more)
	}
	t.Text("%d messages are %s.", d.Messages, past)
	if d.Held > 0 {
		t.Text("%d of them have an earlier message of their key that waits: with --refused wait they go after that one.",
			d.Held)
	}
	if d.Behind > 0 {
		t.Text("%d messages behind them are sent now.", d.Behind)
	}
}

func (c *outboxRetryCmd) Run(ctx context.Context, con *console) error {
	return c.decide(ctx, con, "retry", "sent again", outbox.Retry)
}

func (c *outboxDropCmd) Run(ctx context.Context, con *console) error {
	return c.decide(ctx, con, "drop", "dropped", outbox.Drop)
}
