package outbox

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// place is how far messages have left: the id of the last one, and which turn (Kafka transaction) of which relay took
// it there. A turn may send messages again that were set aside, and so leave the id where it was. Two copies of a
// database may give the same ids and turns to different messages, but their relays have different tokens.
type place struct {
	id   int64
	turn int64
	by   uuid.UUID // the relay's token; nil before the first turn
}

func (p place) String() string { return fmt.Sprintf("%d (turn %d)", p.id, p.turn) }

// metadata is what goes with the group's offset: whose it is, and the turn.
func (p place) metadata(installation uuid.UUID) string {
	return fmt.Sprintf("%s %d %s", installation, p.turn, p.by)
}

// unknownTurn is a position whose metadata is not ours: somebody has set it by hand.
const unknownTurn = -1

// stored reads what the group has committed.
func stored(offset int64, metadata string, installation uuid.UUID) place {
	p := place{id: offset, turn: unknownTurn}
	words := strings.Fields(metadata)
	if len(words) != 3 || words[0] != installation.String() {
		return p
	}
	turn, err := strconv.ParseInt(words[1], 10, 64)
	by, byErr := uuid.Parse(words[2])
	if err == nil && byErr == nil && turn >= 0 {
		p.turn, p.by = turn, by
	}
	return p
}

// same reports whether Kafka's position is p.
func (p place) same(kafka place) bool {
	return kafka == p || kafka.id == p.id && kafka.turn == unknownTurn
}

// verdict is what a relay does about the positions that it finds.
type verdict int

const (
	goOn        verdict = iota // Kafka has what the database knows of: go on behind it
	commitAgain                // Kafka has forgotten, and nothing was under way: tell it
	stop                       // an operator has to decide
)

// Why a relay stops (outbox_relay.halt_reason).
const (
	// HaltDatabaseLost: Kafka has had messages that this database does not know to have sent. It has lost commits (a
	// failover to a replica that was behind, a restore), or it is a copy of the database that sent them.
	HaltDatabaseLost = "database_lost_commits"
	// HaltKafkaForgot: Kafka does not know the position, and whether the last messages are out cannot be told.
	HaltKafkaForgot = "kafka_forgot_position"
	// HaltKafkaBehind: Kafka's position is one that was passed for sure: it was set by hand, or Kafka was restored.
	HaltKafkaBehind = "kafka_position_behind"
	// HaltOutcomeUnknown: the last transaction is open in Kafka's position, and nobody knows how it was to end.
	HaltOutcomeUnknown = "outcome_unknown"
	// HaltNewIdentity: the database was given a new identity, and what its original has published is not known.
	HaltNewIdentity = "new_identity"
)

// finding is what decide came to. from is where to go on; reason and detail say why not.
type finding struct {
	verdict        verdict
	from           place
	reason, detail string
	// passed is the highest id that Kafka has had for sure, where a halt finds that: nothing may get it again.
	passed int64
}

// decide compares Kafka's position (nil = it has none) with what the database remembers: intent is stored before a
// Kafka transaction is committed, done after it. Ours was the last transaction if the position is intent, was aborted
// if it is done; the database is behind Kafka if it is neither.
func decide(done, intent place, kafka *place) finding {
	switch {
	case kafka == nil && done == intent:
		return finding{verdict: commitAgain, from: done}
	case kafka == nil:
		return finding{verdict: stop, reason: HaltKafkaForgot, detail: fmt.Sprintf(
			"Kafka has no position, so nobody knows if the messages after %d up to %d were published", done.id, intent.id)}
	case intent.same(*kafka):
		return finding{verdict: goOn, from: intent}
	case done.same(*kafka):
		return finding{verdict: goOn, from: done}
	case kafka.id >= intent.id || kafka.turn >= intent.turn:
		f := finding{verdict: stop, reason: HaltDatabaseLost, detail: fmt.Sprintf(
			"Kafka has messages up to %v, this database knows of %v: it has lost commits, or it is a copy of the one that "+
				"sent them", *kafka, intent)}
		if kafka.turn != unknownTurn { // a number that was set by hand may be any
			f.passed = kafka.id
		}
		return f
	default: // an older turn
		return finding{verdict: stop, reason: HaltKafkaBehind, detail: fmt.Sprintf(
			"Kafka's position is %v, this database knows of %v: it was set by hand, or Kafka was restored", *kafka, done)}
	}
}
