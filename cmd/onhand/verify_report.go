package main

import (
	"fmt"
	"strings"

	"onhand/internal/cliout"
	"onhand/internal/verify"
)

func reportTable(t *cliout.Grid, r *verify.Report) {
	if len(r.Partitions) > 0 || r.Outbox == nil {
		partitionTable(t, r)
		t.Row()
	}
	if r.Outbox != nil {
		outgoingTable(t, r.Outbox)
		t.Row()
	}
	t.Text("")
	ledgerText(t, &r.Ledger)
	var unproven int64
	for _, p := range r.Partitions {
		unproven += p.Unproven
	}
	if unproven > 0 {
		t.Text("%d records have an answer that the inbox has forgotten; their number is as counted", unproven)
	}
	if r.Outbox != nil {
		outboxText(t, r.Outbox)
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

func partitionTable(t *cliout.Grid, r *verify.Report) {
	t.Row("TOPIC", "PARTITION", "START", "NEXT", "APPLIED", "REJECTED", "DUPLICATE", "PARKED", "IGNORED", "SKIPPED",
		"JUMPED", "VERDICT")
	for _, p := range r.Partitions {
		n := p.Counted
		t.Row(p.Topic, p.Partition, p.Start, p.Next, n.Applied, n.Rejected, n.Duplicate, n.Parked, n.Ignored, n.Skipped,
			n.Jumped, withReason(p.Verdict, p.Untold))
	}
}

func withReason(v verify.Verdict, untold string) string {
	if untold == "" {
		return string(v)
	}
	return string(v) + ": " + untold
}

func ledgerText(t *cliout.Grid, l *verify.Ledger) {
	t.Text("%d rows of stock, %d movements, %d messages", l.Stock, l.Movements, l.Messages)
	if l.Opened > 0 {
		t.Text("%d opening balances for %d archived movements", l.Opened, l.Archived+l.Removed)
	}
	if l.Removed > 0 {
		t.Text("%d of these are no longer in the archive: what their events moved was not compared", l.Removed)
	}
}

func outgoingTable(t *cliout.Grid, o *verify.Outbox) {
	t.Row("OUTGOING TOPIC", "PARTITION", "START", "END", "MESSAGES", "ANNOUNCEMENTS", "OTHER", "FOREIGN", "VERDICT")
	for _, p := range o.Partitions {
		t.Row(p.Topic, p.Partition, p.Start, p.End, p.Messages, p.Announcements, p.Other, p.Foreign,
			withReason(p.Verdict, p.Untold))
	}
	if o.Untold != "" {
		t.Row(o.Untold)
	}
}

// outboxText says what was counted, and leaves out what was not.
func outboxText(t *cliout.Grid, o *verify.Outbox) {
	t.Text("%d messages of movements are in the topic; by the database all up to message %d have left", o.Messages,
		o.Published)
	for _, line := range []struct {
		n    int64
		says string
	}{
		{o.Announced, "%d messages beside these tell what movements crossed, and what was rejected"},
		{o.Ahead, "%d of them have left since, or were about to"},
		{o.Waiting, "%d movements have messages that have not left yet"},
		{o.Aside, "%d messages are set aside (onhand outbox show)"},
		{o.Excused, "%d messages are not in the topic: they are set aside, or an operator gave them up"},
		{o.Late, "%d messages come behind later ones of their row: Kafka had refused them"},
		{o.Repeated, "%d messages are in the topic once more, because an operator had them published again"},
		{o.Unproven, "%d messages cannot be asked for any more: that part of the topic is gone, or cannot be read"},
		{o.Removed, "%d messages are of movements that are no longer in the archive: their order is right, what they say " +
			"was not compared"},
		{o.Forgotten, "%d messages are of rejections that the inbox has forgotten: they were not compared"},
	} {
		if line.n > 0 {
			t.Text(line.says, line.n)
		}
	}
	if o.Halted != "" {
		t.Text("the outbox is halted: %s (onhand outbox show)", o.Halted)
	}
}
