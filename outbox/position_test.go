package outbox

import (
	"testing"

	"github.com/google/uuid"
)

// All positions that a done, an intent and a Kafka within reach of each other can have, against the table of
// ARCHITECTURE.md ("Exactly once").
func TestEveryCombinationOfPositionsIsDecidedByTheTable(t *testing.T) {
	t.Parallel()
	one, other := uuid.New(), uuid.New()
	var places []place
	for id := range int64(4) {
		for turn := range int64(4) {
			places = append(places, place{id, turn, one}, place{id, turn, other})
		}
	}
	rows := 0
	for _, done := range places {
		for _, intent := range places {
			if intent != done && (intent.id < done.id || intent.turn <= done.turn) {
				continue // the row cannot say that: an intent is a further turn
			}
			rows++
			if got, want := decide(done, intent, nil), missing(done, intent); !alike(got, want) {
				t.Errorf("done %v, intent %v, Kafka has nothing: %+v, want %+v", done, intent, got, want)
			}
			for _, kafka := range places {
				if got, want := decide(done, intent, &kafka), present(done, intent, kafka); !alike(got, want) {
					t.Errorf("done %v, intent %v, Kafka has %v: %+v, want %+v", done, intent, kafka, got, want)
				}
			}
		}
	}
	if rows < 200 {
		t.Fatalf("%d rows: the test is too small", rows)
	}
}

// alike compares all but the words. Whoever stops says why.
func alike(got, want finding) bool {
	return got.verdict == want.verdict && got.from == want.from && got.reason == want.reason &&
		(got.detail != "") == (got.verdict == stop)
}

func missing(done, intent place) finding {
	if done != intent {
		return finding{verdict: stop, reason: HaltKafkaForgot}
	}
	return finding{verdict: commitAgain, from: done}
}

func present(done, intent, kafka place) finding {
	switch {
	case kafka == intent, kafka == done:
		return finding{verdict: goOn, from: kafka}
	case kafka.id < intent.id && kafka.turn < intent.turn:
		return finding{verdict: stop, reason: HaltKafkaBehind}
	}
	return finding{verdict: stop, reason: HaltDatabaseLost}
}

func TestAPositionIsReadBackAsItWasStored(t *testing.T) {
	t.Parallel()
	own := uuid.New()
	p := place{4711, 12, uuid.New()}
	foreign := place{id: 4711, turn: unknownTurn}
	for _, c := range []struct {
		name, metadata string
		want           place
	}{
		{"ours", p.metadata(own), p},
		{"of before the first turn", place{id: 4711}.metadata(own), place{id: 4711}},
		{"another installation's", p.metadata(uuid.New()), foreign},
		{"none, set by hand", "", foreign},
		{"half", own.String(), foreign},
		{"without a relay", own.String() + " 12", foreign},
		{"nonsense", own.String() + " x " + p.by.String(), foreign},
		{"a relay of nonsense", own.String() + " 12 x", foreign},
		{"a negative turn", own.String() + " -1 " + p.by.String(), foreign},
	} {
		if got := stored(p.id, c.metadata, own); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAPositionSetByHandIsTakenByItsIDAlone(t *testing.T) {
	t.Parallel()
	relay := uuid.New()
	done, intent := place{10, 3, relay}, place{20, 4, relay}
	for _, c := range []struct {
		id   int64
		want finding
	}{
		{9, finding{verdict: stop, reason: HaltKafkaBehind}},
		{10, finding{verdict: goOn, from: done}},
		{15, finding{verdict: stop, reason: HaltKafkaBehind}},
		{20, finding{verdict: goOn, from: intent}},
		{21, finding{verdict: stop, reason: HaltDatabaseLost}},
	} {
		got := decide(done, intent, &place{id: c.id, turn: unknownTurn})
		if got.verdict != c.want.verdict || got.from != c.want.from || got.reason != c.want.reason {
			t.Errorf("Kafka has %d: %+v, want %+v", c.id, got, c.want)
		}
	}
}
