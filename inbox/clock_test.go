package inbox

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/offsets"
)

// alarms is a Timekeeper: each row of the table alarms rings once, when the log of its partition has passed it. What
// rings and what is applied is written down in its order.
type alarms struct {
	tallyBatch
	most   int // of a partition in a batch
	clocks []*Clock
	due    map[int32][]string
	at     map[string]time.Time
}

func (a *alarms) LoadDue(q *pgx.Batch, clocks []*Clock) {
	a.clocks, a.due, a.at = clocks, make(map[int32][]string), make(map[string]time.Time)
	for _, c := range clocks {
		q.Queue(`select name, at from alarms where partition = $1 and at < $2 and not rung order by at limit $3`,
			c.Partition, c.Until, a.most+1).Query(func(rows pgx.Rows) error {
			var name string
			var at time.Time
			_, err := pgx.ForEachRow(rows, []any{&name, &at}, func() error {
				if len(a.due[c.Partition]) == a.most {
					c.Enough = at
					return nil
				}
				a.due[c.Partition], a.at[name] = append(a.due[c.Partition], name), at
				return nil
			})
			return err
		})
	}
}

func (a *alarms) Apply(q *pgx.Batch, fresh []*Item) error {
	left := a.clocks
	for _, item := range fresh {
		for left[0].Partition != item.Record.Partition {
			a.pass(q, left[0], left[0].Now)
			left = left[1:]
		}
		a.pass(q, left[0], item.Now)
		q.Queue(`insert into story (what) values ($1)`, item.ID)
	}
	for _, c := range left {
		a.pass(q, c, c.Now)
	}
	return nil
}

func (a *alarms) pass(q *pgx.Batch, c *Clock, now time.Time) {
	for len(a.due[c.Partition]) > 0 && a.at[a.due[c.Partition][0]].Before(now) {
		name := a.due[c.Partition][0]
		a.due[c.Partition] = a.due[c.Partition][1:]
		q.Queue(`update alarms set rung = true where name = $1`, name)
		q.Queue(`insert into story (what) values ($1)`, name)
		c.Made = append(c.Made, Made{ID: name, Source: "alarms", Fingerprint: 1, Effect: 42})
	}
}

func (a *alarms) Overdue(
	ctx context.Context, pool *pgxpool.Pool, tps []offsets.TopicPartition,
) (map[offsets.TopicPartition]time.Time, error) {
	overdue := make(map[offsets.TopicPartition]time.Time)
	for _, tp := range tps {
		var until *time.Time
		err := pool.QueryRow(ctx, `select max(now()) from alarms where partition = $1 and at < now() and not rung`,
			tp.Partition).Scan(&until)
		if err != nil {
			return nil, err
		}
		if until != nil {
			overdue[tp] = *until
		}
	}
	return overdue, nil
}

func TestTimePassesRecordByRecordWhereverABatchIsCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ batch, most int }{{1, 1}, {1, 100}, {3, 2}, {2000, 1}, {2000, 100}} {
		t.Run(fmt.Sprintf("batches of %d, %d alarms", tt.batch, tt.most), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.exec(`create table story (n bigint generated always as identity, what text not null)`)
			w.exec(`create table alarms (partition integer, at timestamptz, name text, rung boolean default false)`)
			noon := time.Now().Add(-time.Hour).Truncate(time.Second)
			for name, second := range map[string]int{"A": 1, "B": 2, "C": 2, "D": 5, "E": 7, "F": 8, "never": 7200} {
				// Of two at the same moment the first by name is a little earlier.
				at := noon.Add(time.Duration(second)*time.Second + time.Duration(name[0])*time.Microsecond)
				w.exec(`insert into alarms (partition, at, name) values (0, $1, $2)`, at, name)
			}
			sendAt := func(second int, value string) {
				_, _, err := w.producer.SendMessage(&sarama.ProducerMessage{
					Topic: w.topic, Value: sarama.StringEncoder(value), Timestamp: noon.Add(time.Duration(second) * time.Second),
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			sendAt(0, "zero apple")
			sendAt(1, "one apple")
			sendAt(3, "one apple") // a duplicate
			sendAt(2, "two apple") // earlier than the one before
			sendAt(6, "wrong !code")
			sendAt(4, "three apple")
			sendAt(8, "eight apple")
			cfg := w.config()
			cfg.MaxBatch = tt.batch
			cfg.NewBatch = func() BatchHandler { return &alarms{most: tt.most} }
			_, stop := w.start(cfg)
			w.waitNext(0, 7)
			story := func() (s string) {
				w.scan([]any{&s}, `select coalesce(string_agg(what, ' ' order by n), '') from story`)
				return s
			}
			// F is due by the clock alone: no record is later.
			const want = "zero one A B C two D three E eight F"
			w.eventually("all has rung", func() bool { return len(story()) >= len(want) })
			if got := story(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			stop()
			var rows string
			w.scan([]any{&rows}, `
select string_agg(event_id || ' ' || outcome || ' ' || message_id || ' ' || partition, ', ' order by event_id)
from inbox where source = 'alarms'`)
			if got := strings.ReplaceAll(rows, " applied 42 0", ""); got != "A, B, C, D, E, F" {
				t.Errorf("the inbox has %s, want A to F, applied, with the effect 42 in partition 0", rows)
			}
			var counted string
			w.scan([]any{&counted}, `
select concat_ws(' ', next, applied, duplicate, parked, remembered, last_hash is not null) from offsets`)
			if want := "7 5 1 1 11 t"; counted != want {
				t.Errorf("next, applied, duplicate, parked, remembered, hash: %s, want %s", counted, want)
			}
		})
	}
}

// A part that only let something ring has not moved: that says nothing of what the same batch has read elsewhere.
func TestAPositionThatStayedDoesNotProveACommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.send(0, "1 apple")
	w.send(1, "2 apple")
	_, stop := w.start(w.config())
	w.waitNext(0, 1)
	w.waitNext(1, 1)
	stop()
	c, err := New(w.config())
	if err != nil {
		t.Fatal(err)
	}
	l := c.newLane(newDispatcher(1, 1), &turns{}, &trust{}, nil, c.cfg.NewBatch)
	claims, err := offsets.Claim(t.Context(), w.pool, []offsets.TopicPartition{{Topic: w.topic, Partition: 0}}, "me")
	if err != nil {
		t.Fatal(err)
	}
	p := &part{
		claim: &claim{TopicPartition: claims[0].TopicPartition, token: claims[0].Token, next: 1}, from: 1,
		locked: &offsets.Locked{}, decided: offsets.Advance{Next: 1}, clock: &Clock{Made: []Made{{}}},
	}
	if l.settled(&batch{parts: []*part{p}}) {
		t.Error("it is taken for committed")
	}
	p.from, p.keep = 0, 1
	if !l.settled(&batch{parts: []*part{p}}) {
		t.Error("one that has moved is not")
	}
}

func TestAHandlerThatKeepsNoTimeGetsNoClocks(t *testing.T) {
	t.Parallel()
	b := &batch{parts: []*part{{works: []*work{{record: Record{Timestamp: time.Now()}}}}}}
	if clocks := b.clocks(nil); clocks != nil || b.parts[0].clock != nil {
		t.Errorf("there are clocks: %v", clocks)
	}
	var c *Clock
	if w := (&work{}); !c.admits(w) || strings.TrimSpace(w.item.ID) != "" {
		t.Error("a record waits for a clock that is not there")
	}
}
