package outbox

import (
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// kafkaAt is a position of Kafka's; a negative turn is one that was set by hand.
func kafkaAt(id, turn int64) *Position {
	if turn < 0 {
		return &Position{ID: id}
	}
	return &Position{ID: id, Turn: &turn}
}

// newHalted is an outbox that stands still between done 1000 (turn 4) and intent 2000 (turn 5), and has drawn ids up to
// 4000.
func newHalted(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.do(`select count(nextval('outbox_id')) from generate_series(1, 4)`)
	d.message(900, 1500, 1800, 2500, 3500)
	d.do(`update outbox_relay set done = 1000, intent = 2000, done_turn = 4, intent_turn = 5, done_by = $1, intent_by = $1,
		position_topic = 'p', halt_reason = 'database_lost_commits', halt_detail = 'for a test', halted_at = now()`,
		uuid.New())
	return d
}

func TestAHaltedOutboxGoesOnWhereTheOperatorSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from                 From
		kafka                *Position
		id, turn             int64
		passed, again, drawn int64
	}{
		"behind done, Kafka not asked":          {FromDatabase, nil, 1000, 5, 0, 0, 0},
		"behind done, Kafka is at intent":       {FromDatabase, kafkaAt(2000, 5), 1000, 5, 0, 2, 0},
		"behind done, Kafka is further":         {FromDatabase, kafkaAt(3000, 9), 1000, 9, 0, 3, 0},
		"behind done, Kafka had higher ids":     {FromDatabase, kafkaAt(9500, 12), 1000, 12, 0, 4, 6},
		"behind done, a number set by hand":     {FromDatabase, kafkaAt(9500, -1), 1000, 5, 0, 4, 0},
		"behind intent":                         {FromIntent, nil, 2000, 5, 2, 0, 0},
		"behind intent, Kafka is further":       {FromIntent, kafkaAt(3000, 9), 2000, 9, 2, 1, 0},
		"behind Kafka":                          {FromKafka, kafkaAt(3000, 9), 3000, 9, 3, 0, 0},
		"behind Kafka, set back by hand":        {FromKafka, kafkaAt(500, -1), 500, 5, 0, 1, 0},
		"behind Kafka, at the last id of all":   {FromKafka, kafkaAt(4000, 5), 4000, 5, 4, 0, 0},
		"behind Kafka, at an id not drawn yet":  {FromKafka, kafkaAt(4001, 5), 4001, 5, 4, 0, 1},
		"behind Kafka, far beyond the sequence": {FromKafka, kafkaAt(9500, 12), 9500, 12, 4, 0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newHalted(t)
			var r Resumption
			d.within(func(tx pgx.Tx) (err error) {
				r, err = Resume(t.Context(), tx, c.from, c.kafka)
				return err
			})
			if r.Passed != c.passed || r.Again != c.again || r.Drawn != c.drawn {
				t.Errorf("passed %d, again %d, drawn %d", r.Passed, r.Again, r.Drawn)
			}
			now, err := ReadStanding(t.Context(), d.conn)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(now, r.After) || now.Done != c.id || now.Intent != c.id || now.DoneTurn != c.turn ||
				now.IntentTurn != c.turn || !now.Overruled || now.Halted() || now.HaltDetail != nil || now.HaltedAt != nil {
				t.Errorf("it is %+v, and was said to be %+v", now, r.After)
			}
			var next int64
			if err := d.conn.QueryRow(t.Context(), `select nextval('outbox_id')`).Scan(&next); err != nil {
				t.Fatal(err)
			}
			if next <= c.id || next%blockSize != 1 {
				t.Errorf("the next message is %d", next)
			}
		})
	}
}

func TestASequenceThatWasNeverUsedIsMovedPastThePosition(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.do(`update outbox_relay set halt_reason = 'database_lost_commits'`)
	d.within(func(tx pgx.Tx) error {
		r, err := Resume(t.Context(), tx, FromKafka, kafkaAt(1, 1))
		if r.Drawn != 1 {
			t.Errorf("%d numbers were drawn", r.Drawn)
		}
		return err
	})
	d.expect("1001", `select nextval('outbox_id')::text`)
}

func TestAPositionThatIsAbsurdIsNotDrawnUpTo(t *testing.T) {
	t.Parallel()
	d := newHalted(t)
	err := pgx.BeginFunc(t.Context(), d.conn, func(tx pgx.Tx) error {
		_, err := Resume(t.Context(), tx, FromKafka, kafkaAt(1<<60, 5))
		return err
	})
	if err == nil {
		t.Error("it went on")
	}
	d.expect("1000 database_lost_commits", `select format('%s %s', done, halt_reason) from outbox_relay`)
}

func TestOnlyAHaltedOutboxIsResumedAndOnlyFromAPositionThatThereIs(t *testing.T) {
	t.Parallel()
	d := newHalted(t)
	resume := func(from From) error {
		return pgx.BeginFunc(t.Context(), d.conn, func(tx pgx.Tx) error {
			_, err := Resume(t.Context(), tx, from, nil)
			return err
		})
	}
	if err := resume(FromKafka); !errors.Is(err, ErrNoPosition) {
		t.Errorf("without a position: %v", err)
	}
	d.do(`update outbox_relay set halt_reason = null`)
	if err := resume(FromDatabase); !errors.Is(err, ErrNotHalted) {
		t.Errorf("of one that runs: %v", err)
	}
	d.expect("1000 2000 f", `select format('%s %s %s', done, intent, overruled) from outbox_relay`)
}

func TestWhatWasBeingSentAgainIsDecidedWithThePosition(t *testing.T) {
	t.Parallel()
	// Messages 1, 2 and 3 were sent again by the turns 4, which is done, 5, the one intended, and 9.
	for name, c := range map[string]struct {
		from  From
		kafka *Position
		want  string
	}{
		"database":          {FromDatabase, kafkaAt(3000, 9), "1 retry 4, 2 retry -, 3 retry -"},
		"intent":            {FromIntent, nil, "1 retry 4, 2 retry 5, 3 retry -"},
		"Kafka":             {FromKafka, kafkaAt(3000, 9), "1 retry 4, 2 retry 5, 3 retry 9"},
		"Kafka, earlier":    {FromKafka, kafkaAt(1000, 4), "1 retry 4, 2 retry -, 3 retry -"},
		"Kafka, by hand":    {FromKafka, kafkaAt(3000, -1), "1 retry 4, 2 waiting -, 3 waiting -"},
		"database, no word": {FromDatabase, nil, "1 retry 4, 2 retry -, 3 retry -"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newHalted(t)
			d.do(`insert into outbox_aside (id, topic, event_id, reason, detail, state, turn) values
				(1, 't', '', 'message_refused', '', 'retry', 4), (2, 't', '', 'message_refused', '', 'retry', 5),
				(3, 't', '', 'message_refused', '', 'retry', 9)`)
			d.within(func(tx pgx.Tx) error {
				_, err := Resume(t.Context(), tx, c.from, c.kafka)
				return err
			})
			d.expect(c.want, `
select string_agg(format('%s %s %s', id, state, coalesce(turn::text, '-')), ', ' order by id) from outbox_aside`)
		})
	}
}

func TestAPositionIsReadWithItsTurn(t *testing.T) {
	t.Parallel()
	own := uuid.New()
	ours := ReadPosition(7, place{7, 3, uuid.New()}.metadata(own), own)
	if ours.ID != 7 || ours.Turn == nil || *ours.Turn != 3 {
		t.Errorf("ours is %+v", ours)
	}
	for _, metadata := range []string{"", "by hand", place{7, 3, uuid.New()}.metadata(uuid.New())} {
		other := ReadPosition(7, metadata, own)
		if other.ID != 7 || other.Turn != nil {
			t.Errorf("%q is %+v", metadata, other)
		}
		if other.Newer(ours) || !ours.Newer(other) || other.Newer(other) {
			t.Errorf("%q is newer than one with a turn", metadata)
		}
	}
	later := ReadPosition(7, place{7, 4, uuid.New()}.metadata(own), own)
	if !later.Newer(ours) || ours.Newer(later) || ours.Newer(ours) {
		t.Error("a later turn is not newer")
	}
}

func TestOfPositionsForSeveralTopicsTheOneThatTheDatabaseKnowsOrANewerOneCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		positions map[string]Position
		topic     string
		want      string
	}{
		"none":                              {nil, "a", ""},
		"the only one":                      {map[string]Position{"a": *kafkaAt(1, 4)}, "a", "a"},
		"one left behind":                   {map[string]Position{"a": *kafkaAt(2, 5), "b": *kafkaAt(1, 4)}, "a", "a"},
		"one left behind, its own is gone":  {map[string]Position{"b": *kafkaAt(1, 4)}, "a", ""},
		"one that came later":               {map[string]Position{"a": *kafkaAt(2, 5), "b": *kafkaAt(1, 6)}, "a", "b"},
		"one that came later, alone":        {map[string]Position{"b": *kafkaAt(9, 5)}, "a", "b"},
		"two that came later":               {map[string]Position{"b": *kafkaAt(9, 7), "c": *kafkaAt(8, 6)}, "a", "b"},
		"another of the same turn":          {map[string]Position{"b": *kafkaAt(2, 5), "a": *kafkaAt(3, 5)}, "b", "b"},
		"set by hand, one left behind":      {map[string]Position{"a": *kafkaAt(2, -1), "b": *kafkaAt(1, 4)}, "a", "a"},
		"set by hand, one that came later":  {map[string]Position{"a": *kafkaAt(2, -1), "b": *kafkaAt(1, 5)}, "a", "b"},
		"another set by hand":               {map[string]Position{"a": *kafkaAt(2, 4), "b": *kafkaAt(9, -1)}, "a", "a"},
		"no topic is known":                 {map[string]Position{"a": *kafkaAt(9, 3), "b": *kafkaAt(1, 4)}, "", "b"},
		"no topic is known, set by hand":    {map[string]Position{"a": *kafkaAt(9, -1)}, "", "a"},
		"no topic is known, one is by hand": {map[string]Position{"a": *kafkaAt(9, -1), "b": *kafkaAt(1, 1)}, "", "b"},
	} {
		if got, ok := Newest(c.positions, c.topic, 4); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, c.want)
		}
	}
}

func TestANewIdentityHaltsAnOutboxThatHasPublished(t *testing.T) {
	t.Parallel()
	former := uuid.New()
	for _, published := range []bool{false, true} {
		d := newDesk(t)
		d.do(`update outbox_relay set token = $1, owner = 'm', position_topic = 'p', overruled = true,
			lease_until = now() + interval '1 h'`, uuid.New())
		if published {
			d.do(`update outbox_relay set intent = 1`)
		}
		d.within(func(tx pgx.Tx) error {
			halted, err := HaltForNewIdentity(t.Context(), tx, former)
			if halted != published {
				t.Errorf("published %v, halted %v", published, halted)
			}
			return err
		})
		want := "running t p t"
		if published {
			want = "new_identity f - f"
			d.expect("1", `select count(*)::text from outbox_relay where halt_detail like '%`+former.String()+`%'`)
		}
		d.expect(want, `select format('%s %s %s %s', coalesce(halt_reason, 'running'), token is not null,
			coalesce(position_topic, '-'), overruled) from outbox_relay`)
	}
}
