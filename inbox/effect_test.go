package inbox

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// marking is tallyBatch that names what it did for each item by the record's offset, but for some words.
type marking struct{ tallyBatch }

func (m marking) Apply(q *pgx.Batch, fresh []*Item) error {
	for _, item := range fresh {
		if !strings.HasSuffix(item.Body.(string), "unmarked") {
			item.Effect = item.Record.Offset + 100
		}
	}
	return m.tallyBatch.Apply(q, fresh)
}

func TestTheInboxKeepsWhatTheHandlerDidForAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, "1 apple", "2 no-pear", "3 unmarked", "1 apple", "4 plum")
	cfg := w.config()
	cfg.NewBatch = func() BatchHandler { return marking{} }
	w.start(cfg)
	w.waitNext(0, 5)
	var got string
	w.scan([]any{&got}, `
select string_agg(event_id || ' ' || outcome || ' ' || coalesce(message_id::text, '-'), ', ' order by event_id)
from inbox`)
	if want := "1 applied 100, 2 rejected 101, 3 applied -, 4 applied 104"; got != want {
		t.Errorf("the inbox has %s, want %s", got, want)
	}
}

func TestAnItemThatRunsAgainHasNoEffectYet(t *testing.T) {
	t.Parallel()
	b := batch{parts: []*part{{works: []*work{{item: Item{Effect: 7}}}}}}
	if events := b.events(); len(events) != 1 || events[0].item.Effect != 0 {
		t.Errorf("an effect of the run before is left: %+v", events[0].item)
	}
}
