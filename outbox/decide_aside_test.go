package outbox

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// newRefused has messages of key k (10 and 40 were refused themselves, 20, 30 and 50 wait behind) and of key l (15 was
// refused, 25 waits behind) for topic t, one without a key (60), two for topic u, and what was decided before.
func newRefused(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.do(`insert into outbox_aside (id, topic, key, event_id, reason, detail, state) values
		(10, 't', 'k', 'e10', 'message_refused', 'too large', 'waiting'), (20, 't', 'k', '', 'behind_another', '', 'waiting'),
		(30, 't', 'k', '', 'behind_another', '', 'waiting'), (40, 't', 'k', '', 'message_refused', '', 'waiting'),
		(50, 't', 'k', '', 'behind_another', '', 'waiting'),
		(15, 't', 'l', '', 'message_refused', '', 'waiting'), (25, 't', 'l', '', 'behind_another', '', 'waiting'),
		(60, 't', null, '', 'message_refused', '', 'waiting'),
		(11, 'u', 'k', '', 'topic_refused', '', 'waiting'), (21, 'u', 'k', '', 'topic_refused', '', 'waiting'),
		(5, 'v', null, '', 'message_refused', '', 'dropped'), (6, 'v', null, '', 'message_refused', '', 'retry')`)
	return d
}

const decidedStates = `
select coalesce(string_agg(format('%s %s', id, state), ', ' order by id), '') from outbox_aside
where state <> 'waiting' and topic <> 'v'`

func TestDecisionsReachTheMessagesBehind(t *testing.T) {
	t.Parallel()
	drop := func(tx pgx.Tx, s Selection) (Decided, error) { return Drop(t.Context(), tx, s) }
	retry := func(tx pgx.Tx, s Selection) (Decided, error) { return Retry(t.Context(), tx, s) }
	for name, c := range map[string]struct {
		decide                 func(pgx.Tx, Selection) (Decided, error)
		which                  Selection
		want                   string
		messages, behind, held int64
	}{
		"retry the first": {retry, Selection{IDs: []int64{10}}, "10 retry, 20 retry, 30 retry", 1, 2, 0},
		"retry both that were refused": {
			retry, Selection{IDs: []int64{40, 10}}, "10 retry, 20 retry, 30 retry, 40 retry, 50 retry", 2, 3, 0,
		},
		"retry one that waits behind": {retry, Selection{IDs: []int64{30}}, "30 retry", 1, 0, 1},
		"retry a later one":           {retry, Selection{IDs: []int64{40}}, "40 retry", 1, 0, 1},
		"retry one without a key":     {retry, Selection{IDs: []int64{60}}, "60 retry", 1, 0, 0},
		"retry a topic":               {retry, Selection{Topic: "u"}, "11 retry, 21 retry", 2, 0, 0},
		"retry all": {
			retry,
			Selection{All: true},
			"10 retry, 11 retry, 15 retry, 20 retry, 21 retry, 25 retry, 30 retry, 40 retry, 50 retry, 60 retry", 10, 0, 0,
		},
		"retry a topic without any": {retry, Selection{Topic: "w"}, "", 0, 0, 0},
		"drop the first":            {drop, Selection{IDs: []int64{10}}, "10 dropped, 20 retry, 30 retry", 1, 2, 0},
		"drop a later one":          {drop, Selection{IDs: []int64{40}}, "40 dropped", 1, 0, 0},
		"drop one that waits behind": {
			drop, Selection{IDs: []int64{25}}, "25 dropped", 1, 0, 0,
		},
		"drop both that were refused": {
			drop,
			Selection{IDs: []int64{10, 40, 15}},
			"10 dropped, 15 dropped, 20 retry, 25 retry, 30 retry, 40 dropped, 50 retry", 3, 4, 0,
		},
		"drop a topic": {drop, Selection{Topic: "u"}, "11 dropped, 21 dropped", 2, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newRefused(t)
			var got Decided
			d.within(func(tx pgx.Tx) (err error) {
				got, err = c.decide(tx, c.which)
				return err
			})
			if got.Messages != c.messages || got.Behind != c.behind || got.Held != c.held ||
				len(got.Examples) != int(c.messages) {
				t.Errorf("it says %+v", got)
			}
			d.expect(c.want, decidedStates)
		})
	}
}

func TestADecisionTellsWhatTheMessagesWere(t *testing.T) {
	t.Parallel()
	d := newRefused(t)
	d.within(func(tx pgx.Tx) error {
		got, err := Drop(t.Context(), tx, Selection{IDs: []int64{10}})
		if a := got.Examples[0]; a.ID != 10 || a.State != "waiting" || a.EventID != "e10" || a.Detail != "too large" ||
			string(a.Key) != "k" {
			t.Errorf("%+v", a)
		}
		return err
	})
}

func TestMessagesThatDoNotWaitAreNamedAndNothingIsDecided(t *testing.T) {
	t.Parallel()
	d := newRefused(t)
	for _, decide := range []func(pgx.Tx) error{
		func(tx pgx.Tx) error {
			_, err := Retry(t.Context(), tx, Selection{IDs: []int64{10, 5, 77, 6}})
			return err
		},
		func(tx pgx.Tx) error {
			_, err := Drop(t.Context(), tx, Selection{IDs: []int64{10, 5, 77, 6}})
			return err
		},
	} {
		err := pgx.BeginFunc(t.Context(), d.conn, decide)
		if !errors.Is(err, ErrNotAside) || !strings.Contains(err.Error(), "5 (dropped), 6 (retry), 77 (not set aside)") {
			t.Errorf("got %v", err)
		}
	}
	d.expect("", decidedStates)
	ids := make([]int64, maxMissing+2)
	for i := range ids {
		ids[i] = int64(1000 + i)
	}
	d.within(func(tx pgx.Tx) error {
		if _, err := Drop(t.Context(), tx, Selection{IDs: ids}); err == nil || !strings.HasSuffix(err.Error(), "and 2 more") {
			t.Errorf("it names %v", err)
		}
		return nil
	})
}
