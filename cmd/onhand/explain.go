package main

import (
	"fmt"
	"slices"

	"onhand/internal/cliout"
	"onhand/internal/explain"
)

type explainCmd struct {
	Event  explainEventCmd  `cmd:"" help:"Show what became of an event: where it stood, what was decided, what it moved."`
	Record explainRecordCmd `cmd:"" help:"Show what became of the record at an offset."`
	SKU    explainSKUCmd    `cmd:"" name:"sku" help:"Show what made the stock of a SKU what it is: its ledger, newest first."`
}

func (explainCmd) Help() string {
	return `Examples:

  onhand explain event o-1001
  onhand explain record inventory.events 3 1200
  onhand explain sku SKU-1 --location main`
}

// movementsTable lists movements and how far their messages are.
func movementsTable(t *cliout.Grid, ms []explain.Movement) {
	t.Row()
	t.Row("SKU", "LOCATION", "VERSION", "DELTA", "ON HAND", "RESERVED", "KIND", "RECORDED", "MESSAGE", "WHERE IT IS")
	for _, m := range ms {
		state := "-"
		if m.Message != nil {
			state = messageWord(m.Message)
		}
		t.Row(m.SKU, m.Location, m.Version, signed(m.Delta), m.OnHand, m.Reserved, m.Kind,
			instantOrDash(&m.RecordedAt), orNull(m.MessageID), state)
	}
}

// toldTable shows the other messages, and says so where there may have been some that are not kept any more.
func toldTable(t *cliout.Grid, e *explain.Event) {
	if len(e.Told) == 0 {
		left := func(m explain.Movement) bool { return m.Message != nil && m.Message.State == explain.Published }
		if slices.ContainsFunc(e.Movements, left) {
			t.Text("What its movements crossed, if anything, has left, and is not kept here.")
		}
		return
	}
	t.Row()
	t.Row("TOLD", "MESSAGE", "WHERE IT IS", "WHAT IT SAYS")
	for _, m := range e.Told {
		says := string(m.Payload)
		if m.Payload == nil {
			says = "not kept here: it is in the topic"
		}
		t.Row(m.Kind, m.MessageID, messageWord(m.Message), says)
	}
}

func messageWord(m *explain.Message) string {
	switch m.State {
	case explain.SetAside:
		return fmt.Sprintf("set aside: %s: %s", m.Reason, m.Detail)
	case explain.Publishing:
		return "publishing"
	}
	return m.State
}

// signed is a change with its sign.
func signed(delta int64) string { return fmt.Sprintf("%+d", delta) }
