package verify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/inbox"
	"onhand/internal/testenv"
	"onhand/internal/verify"
	"onhand/inventory"
)

// forget drops the generation in which the history was decided up to e3, its fourth record of partition 0, and e9.
func (s *shop) forget(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for _, sql := range []string{
		`update offsets set remembered = applied + rejected`,
		`delete from inbox where event_id in ('e1', 'e2', 'e3', 'e9')`,
		`update movements set recorded_at = now() - interval '2 days' where event_id in ('e1', 'e2', 'e9')`,
		`update inbox_memory set dropped_rows = 4, dropped_until = now() - interval '1 day', horizon = '2026-01-31'`,
		`delete from inbox_forgotten`,
		// The copy of e2 in partition 1 came before the drop, and so did the conflict with e1.
		`insert into inbox_forgotten select topic, partition, 1, case partition when 0 then 7 else 2 end from offsets`,
	} {
		change(t, pool, sql)
	}
}

func TestWhatIsForgottenIsNotMissed(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	s.forget(t, pool)
	report := s.verify(t, pool)
	expect(t, report, verify.OK)
	// e1, e2, the copy of e1, and e3; e9 and the copy of e2.
	if a, b := report.Partitions[0].Unproven, report.Partitions[1].Unproven; a != 4 || b != 2 {
		t.Errorf("%d and %d records are unproven, want 4 and 2", a, b)
	}
	want := verify.Counters{Applied: 3, Parked: 3, Skipped: 3}
	if got := report.Partitions[0].Counted; got != want {
		t.Errorf("partition 0 counts %+v, want %+v", got, want)
	}
}

func TestAnEventThatWasForgottenMayGetAnotherAnswer(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	s.forget(t, pool)
	// e2 came again in partition 1, and there was not enough left.
	change(t, pool, `update inbox_forgotten set before = 1 where partition = 1`)
	change(t, pool, `update offsets set rejected = 1, duplicate = 0, remembered = 2 where partition = 1`)
	event, err := inventory.NewDecoder(inventory.DecoderConfig{}).Decode(&inbox.Record{Value: []byte(history[1].value)})
	if err != nil {
		t.Fatal(err)
	}
	change(t, pool, `insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition,
	    incarnation, "offset")
	  values ('', 'e2', '', $1, 'rejected', 'insufficient_stock', $2, 1, 1, 1)`, event.Fingerprint, s.topic)
	expect(t, s.verify(t, pool), verify.OK)
	// Had it moved something since, that would be wrong.
	change(t, pool, `update movements set recorded_at = now() where event_id = 'e2'`)
	expect(t, s.verify(t, pool), verify.Violation)
}

// What is left to prove beside dropped generations.
var afterADrop = []corruption{
	{"an event that is not forgotten is gone", `delete from inbox where event_id = 'e6'`, "I3", "inbox rows", "3"},
	{"one that others are read before", `delete from inbox where event_id = 'e8'`, "I5", "offset 11", "lost"},
	{
		"a row that nobody wrote",
		`insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition, incarnation, "offset")
		 select tenant, 'e9', source, 0, outcome, reason, topic, 1, 1, 1 from inbox where event_id = 'e7'`,
		"I3", "offset 1", `"e2"`,
	},
	{
		"a movement of an event that never was",
		`update movements set event_id = 'x' where event_id = 'e6'`, "I3", "version 3", "no inbox row",
	},
	{
		"an answer too many", `update offsets set applied = applied + 1, parked = parked - 1 where partition = 0`,
		"I5", "offsets row of", "applied, rejected or duplicate 7",
	},
	{
		"an answer too few", `update offsets set applied = 2, skipped = skipped + 3 where partition = 0`,
		"I5", "offsets row of", "applied 3",
	},
	{"more dropped than there were", `update inbox_memory set dropped_rows = 5`, "I3", "inbox rows", "2"},
	{"another incarnation's", `update inbox_forgotten set incarnation = 2 where partition = 0`, "I5", "offset 0", "lost"},
	{
		"parked for being old, and not old",
		`update dead_letters set reason = 'beyond_memory' where reason = 'id_conflict'`, "I5", "offset 5", "beyond_memory",
	},
}

func TestOneRowChangedByHandIsFoundBesideWhatIsForgotten(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	for _, c := range afterADrop {
		t.Run(c.name, func(t *testing.T) {
			s.writeBooks(t, pool)
			s.forget(t, pool)
			change(t, pool, c.sql)
			report := s.verify(t, pool)
			expect(t, report, verify.Violation)
			for _, d := range report.Differences {
				if d.Invariant == c.invariant && strings.Contains(d.Place, c.place) &&
					(strings.Contains(d.Expected, c.says) || strings.Contains(d.Found, c.says)) {
					return
				}
			}
			t.Errorf("no difference of %s at %q says %q\n%s", c.invariant, c.place, c.says, shown(report))
		})
	}
}

func TestNothingIsDroppedWhileItRuns(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	v, err := verify.Begin(t.Context(), s.config(pool))
	if err != nil {
		t.Fatal(err)
	}
	const drop = `do 'begin lock table only inbox in access exclusive mode nowait; end'`
	_, err = pool.Exec(t.Context(), drop)
	v.Close()
	if err == nil {
		t.Error("the inbox could be dropped")
	}
	change(t, pool, drop)
}

// serve runs the service on topic, with generations of so many rows.
func serve(t *testing.T, pool *pgxpool.Pool, topic string, rows int64) {
	t.Helper()
	consumer, err := inbox.New(inbox.Config{
		Brokers: testenv.Brokers(t), Topics: []string{topic}, Group: "verify-" + uuid.NewString(),
		Pool: pool, Installation: uuid.New(), Decoder: inventory.NewDecoder(inventory.DecoderConfig{}),
		NewBatch:       func() inbox.BatchHandler { return inventory.NewHandler(inventory.Config{}) },
		SessionTimeout: sessionTimeout, CheckEvery: time.Second, DedupeRows: rows,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- consumer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAServiceThatForgetsKeepsItsBooksRight(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	topic := testenv.Topic(t, 2)
	serve(t, pool, topic, 20)
	producer := producer(t, "")
	sent := 0
	send := func(partition int32, id string, said time.Time) {
		t.Helper()
		value := fmt.Sprintf(`{"id":%q,"kind":"stock.received","sku":"A","quantity":1`, id)
		if !said.IsZero() {
			value += `,"time":"` + said.Format(time.RFC3339Nano) + `"`
		}
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topic, Partition: partition, Value: sarama.StringEncoder(value + "}"),
		}); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	began := time.Now().Add(-time.Hour)
	for round := range 6 {
		for i := range 20 {
			id, said := fmt.Sprintf("%d-%d", round, i), began.Add(time.Duration(round)*time.Minute)
			if i%4 == 0 {
				said = time.Time{}
			}
			send(0, id, said)
			if i%5 == 0 {
				send(1, id, said) // a copy
			}
			if i%10 == 0 && round > 3 { // one that is forgotten, with a time or without
				send(1, fmt.Sprintf("%d-%d", round-4, i+i/10), time.Time{})
				send(1, fmt.Sprintf("%d-%d", round-4, i+1), began.Add(time.Duration(round-4)*time.Minute))
			}
		}
		testenv.Eventually(t, patience, "the round's generation is closed", func() bool {
			var next, newest int
			err := pool.QueryRow(t.Context(), `select coalesce(sum(next), 0), (select max(generation) from inbox_generations)
			  from offsets`).Scan(&next, &newest)
			return err == nil && next == sent && newest == round+2
		})
	}
	report := s.verify(t, pool)
	expect(t, report, verify.OK)
	if u := report.Partitions[0].Unproven; u < 60 {
		t.Errorf("%d records are unproven", u)
	}
	if n := report.Partitions[1].Counted; n.Parked == 0 || n.Applied == 0 {
		t.Errorf("partition 1 counts %+v: nothing forgotten came again", n)
	}
	// What came first in round 0 stands at a later record: right for an event that has no time, wrong for one that has.
	change(t, pool, `update inbox set event_id = '0-4' where event_id = '5-4'`)
	change(t, pool, `update inbox set event_id = '0-6' where event_id = '5-6'`)
	report = s.verify(t, pool)
	if !shows(report, `"0-6" with its inbox row at this offset`) || shows(report, `"0-4" with its inbox row at this`) {
		t.Error(shown(report))
	}
}

func shows(r *verify.Report, expected string) bool {
	for _, d := range r.Differences {
		if strings.Contains(d.Expected, expected) {
			return true
		}
	}
	return false
}
