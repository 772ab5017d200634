package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/outbox"
)

type outboxCmd struct {
	Show   outboxShowCmd   `cmd:"" help:"Show how far messages have left, and what holds them up."`
	Resume outboxResumeCmd `cmd:"" help:"Let a halted outbox go on."`
	Retry  outboxRetryCmd  `cmd:"" help:"Send messages again that are set aside."`
	Drop   outboxDropCmd   `cmd:"" help:"Give messages up that are set aside."`
}

func (outboxCmd) Help() string {
	return `Examples:

  onhand outbox show
  onhand outbox retry --topic inventory.changes --because "the topic takes 2 MB now"
  onhand outbox drop 1200345 --because "a picture instead of a link; the sender is repaired"
  onhand outbox resume --from database --because "the replica that took over lacks the last second"`
}

// outboxState is what the database knows of the outbox.
type outboxState struct {
	outbox.Standing
	outbox.Backlog
	Aside []outbox.AsideCount `json:"aside"`
}

func readOutbox(ctx context.Context, pool *pgxpool.Pool) (s outboxState, err error) {
	if s.Standing, err = outbox.ReadStanding(ctx, pool); err != nil {
		return s, err
	}
	if s.Backlog, err = outbox.ReadBacklog(ctx, pool, s.Done); err != nil {
		return s, err
	}
	s.Aside, err = outbox.CountAsides(ctx, pool)
	return s, err
}

// waiting says how many messages wait.
func (s *outboxState) waiting() string {
	if s.More {
		return fmt.Sprintf("more than %d", s.Messages)
	}
	return strconv.FormatInt(s.Messages, 10)
}

// age is how long the oldest movement among them has waited.
func (s *outboxState) age() string {
	if s.AgeSeconds == nil {
		return "-"
	}
	return fmt.Sprintf("%.1fs", *s.AgeSeconds)
}

// leader is who publishes now.
func (s *outboxState) leader() string {
	if !s.Leading {
		return "-"
	}
	return orDash(s.Owner)
}

// word is the state in a word or two.
func (s *outboxState) word() string {
	switch {
	case s.Halted():
		return "HALTED " + *s.HaltReason
	case !s.Leading:
		return "NOBODY PUBLISHES"
	case s.WaitingFor != nil:
		return "waiting"
	}
	return "running"
}

// aside is how many messages are set aside.
func (s *outboxState) aside() (n int64) {
	for _, c := range s.Aside {
		n += c.Messages
	}
	return n
}

// advice says what an operator can do about a halt.
var advice = map[string]string{
	outbox.HaltDatabaseLost: "Make sure that this is the database to go on with, and that no other one is in use. Then " +
		"`onhand outbox resume --from database` publishes again what it has behind done (readers see some messages twice, " +
		"none is missing), `--from kafka` begins behind Kafka's position (what this database has up to there is not " +
		"published).",
	outbox.HaltKafkaForgot: "Look for the messages behind done in their topics. If they are missing there, `onhand " +
		"outbox resume --from database`; if they are there, `--from intent`.",
	outbox.HaltKafkaBehind: "If Kafka has lost messages, `onhand outbox resume --from kafka` publishes again what it " +
		"lacks, as far as this database still has it. If only its position was set back, `--from database`.",
	outbox.HaltOutcomeUnknown: "Look for the messages after done in their topics, with read_uncommitted and with " +
		"read_committed. If a reader of committed records has none of them, `onhand outbox resume --from database`: what " +
		"is open is aborted, and they are sent again. If it has some, `--from intent`: what is open is committed. If Kafka " +
		"has forgotten whose transaction it is, end it first, with `kafka-transactions.sh find-hanging` and `abort` (topic " +
		"__consumer_offsets, and those of messages): aborted by hand, `--from database`.",
	outbox.HaltNewIdentity: "If the original had stopped for good when this copy was made, `onhand outbox resume --from " +
		"database`. If it went on, `--from kafka --of` its identity begins behind what it has published.",
}
