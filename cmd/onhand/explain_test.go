package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
)

// What is explained here the service itself has done.
func TestAnEventIsFollowedFromItsRecordToItsMessage(t *testing.T) {
	t.Parallel()
	url, topic, changes := testenv.Database(t), testenv.Topic(t, 1), testenv.Topic(t, 1)
	pool := connect(t, url)
	produce(t, topic, []string{
		`{"id":"e-1","kind":"stock.received","sku":"A","quantity":5,"source":"north"}`,
		`{"id":"e-1","kind":"stock.received","sku":"B","quantity":1}`,
		`{"id":"e-2","kind":"stock.sold","sku":"A","quantity":9}`,
		`{"id":"e-3","kind":"stock.lost","sku":"A"}`,
		`{"id":"d-1","kind":"sku.defined","sku":"A","backorder":"allow"}`,
		`{"id":"e-4","kind":"stock.sold","sku":"A","quantity":9}`,
		`{"id":"e-4","kind":"stock.sold","sku":"A","quantity":8}`,
	})
	start(t, append(serviceArgs(t, url, topic), "--outbox-topic", changes)...)
	testenv.Eventually(t, waitingTime, "all records are read, and all messages have left", func() bool {
		return query[bool](t, pool, `select coalesce(sum(next), 0) = 7
		  and (select done >= (select max(id) from outbox) from outbox_relay) from offsets`)
	})
	event := func(args ...string) ended {
		return command(t, append([]string{"explain", "event", "--database-url", url, "--brokers", testenv.Brokers(t)[0]},
			args...)...)
	}

	both := decoded[explainedEvent](t, event("e-1", "-o", "json").expect(t, exitDone)).Events
	if len(both) != 2 || both[0].Source != "" || both[1].Source != "north" {
		t.Fatalf("e-1 is %+v", both)
	}
	e := both[1]
	if e.Topic != topic || e.Offset != 0 || e.Incarnation != 1 || e.Outcome != "applied" || len(e.Movements) != 1 {
		t.Fatalf("e-1 of north is %+v", e)
	}
	m := e.Movements[0]
	if m.SKU != "A" || m.Delta != 5 || m.OnHand != 5 || m.Version != 1 || m.Message.State != "published" {
		t.Errorf("its movement is %+v, its message %+v", m, m.Message)
	}
	event("e-1", "--source", "north").
		expect(t, exitDone, topic+"/0 offset 0", "applied", "+5", "stock.received", "published")
	event("e-2").expect(t, exitDone, "rejected: insufficient_stock", "movements       none", "stock.rejected", "published",
		`"quantity":9,"on_hand":5,"reserved":0,"available":5,"version":1,"event_id":"e-2"`)
	told := decoded[explainedEvent](t, event("e-4", "-o", "json").expect(t, exitDone)).Events[0].Told
	if len(told) != 1 || told[0].Kind != "stock.depleted" || told[0].MessageID == 0 ||
		told[0].Message.State != "published" ||
		decoded[map[string]any](t, ended{stdout: string(told[0].Payload)})["available"] != float64(-4) {
		t.Errorf("e-4 has told %+v", told)
	}
	execute(t, pool, `truncate outbox_messages`)
	event("e-2").expect(t, exitDone, "stock.rejected", "published", "not kept here: it is in the topic")
	event("e-4").expect(t, exitDone, "What its movements crossed, if anything, has left")
	event("d-1").expect(t, exitDone, "applied", "movements  none")
	parked := event("e-3").expect(t, exitDone, "PARKED", "unknown_kind", "yes")
	if strings.Contains(parked.stdout, "outcome") {
		t.Errorf("a parked event has an outcome: %s", parked.stdout)
	}
	event("e-4").expect(t, exitDone, "offset 5")
	event("e-4", "--parked").expect(t, exitDone, "offset 5", "id_conflict", "yes")

	e9 := event("e-9").expect(t, exitFailed, `no event "e-9" of no tenant is known`, "no record of it was written")
	if e9.stdout != "" || strings.Contains(e9.stderr, "not read yet") || strings.Contains(e9.stderr, "dead letters") {
		t.Errorf("of an event that was never sent it says %s%s", e9.stdout, e9.stderr)
	}
	event("e-1", "--tenant", "x").expect(t, exitFailed, `tenant "x"`)

	sku := func(args ...string) ended {
		return command(t, append([]string{"explain", "sku", "--database-url", url}, args...)...)
	}
	sku("A").expect(t, exitDone, "allow", "-4", "-9", "+5", "e-4", "north", topic+"/0 offset 5")
	sku("Z").expect(t, exitFailed, `SKU "Z" of no tenant has no stock`)
}

// recorded is a schema with the books of a few events: e-1 has left, e-2 is under way, e-3 is set aside, e-4 waits, and
// e-5 was dropped.
func recorded(t *testing.T) (url string, pool *pgxpool.Pool) {
	t.Helper()
	url = testenv.Database(t)
	pool = connect(t, url)
	execute(t, pool, `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id,
                       recorded_at)
select '', 'A', 'main', i, 1, i, 'stock.received', 'e-' || i, '', i * 1000 + 1, now() - interval '1 h' * (9 - i)
from generate_series(1, 5) i`)
	execute(t, pool, `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition)
values ('', 'A', 'main', 5, 5, 'deny', 't', 0)`)
	execute(t, pool, `
insert into inbox (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset", message_id)
select '', 'e-' || i, '', 1, 'applied', 't', 0, 1, i + 40, i * 1000 + 1 from generate_series(1, 5) i`)
	execute(t, pool, `select setval('outbox_id', 5001)`)
	execute(t, pool, `update outbox_relay set done = 1500, intent = 3500`)
	execute(t, pool, `insert into outbox_aside (id, topic, event_id, reason, detail, state)
		values (3001, 'changes', 'e-3', 'message_refused', 'too large', 'waiting'),
		       (5001, 'changes', 'e-5', 'message_refused', 'too large', 'dropped')`)
	return url, pool
}

func TestAMessagesStateIsTold(t *testing.T) {
	t.Parallel()
	url, _ := recorded(t)
	for id, want := range map[string]string{
		"e-1": "published", "e-2": "publishing", "e-3": "set aside: message_refused: too large", "e-4": "waiting",
		"e-5": "dropped",
	} {
		command(t, "explain", "event", id, "--database-url", url).expect(t, exitDone, "t/0 offset 4"+id[2:], want+"\n")
	}
}

func TestArchivedMovementsAreExplainedAndEmptiedOnesMissed(t *testing.T) {
	t.Parallel()
	url, pool := recorded(t)
	command(t, "ledger", "archive", "--older-than", "5h30m", "--because", "old", "--database-url", url).expect(t, exitDone)
	if n := query[int](t, pool, `select count(*) from movements_archive`); n != 3 {
		t.Fatalf("%d movements are archived", n)
	}
	event := func(id string) ended { return command(t, "explain", "event", id, "--database-url", url) }
	sku := func() (lines []string) {
		e := command(t, "explain", "sku", "A", "--database-url", url, "-o", "json").expect(t, exitDone)
		for _, l := range decoded[explainedSKU](t, e).Lines {
			lines = append(lines, fmt.Sprintf("%d:%s%+d=%d", l.Version, l.EventID, l.Delta, l.OnHand))
		}
		return lines
	}
	event("e-3").expect(t, exitDone, "stock.received", "3001")
	if got := fmt.Sprint(sku()); got != "[5:e-5+1=5 4:e-4+1=4 3:e-3+1=3 2:e-2+1=2 1:e-1+1=1]" {
		t.Errorf("with an archive, the lines are %s", got)
	}
	command(t, "explain", "sku", "A", "--database-url", url).expect(t, exitDone, "archived", "t/0 offset 41")

	testenv.EmptyArchive(t, pool, "true")
	event("e-3").expect(t, exitDone, "gone from the archive; the first was message 3001")
	if got := fmt.Sprint(sku()); got != "[5:e-5+1=5 4:e-4+1=4 3:+3=3]" {
		t.Errorf("without an archive, the lines are %s", got)
	}
}

func TestALedgerIsReadPageByPage(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	keepLedger(t, connect(t, url), 1, 11)
	var versions []string
	more := []string{}
	for range 10 {
		e := command(t, append([]string{
			"explain", "sku", "SKU-1", "--location", "main", "--limit", "4", "--database-url", url, "-o", "json",
		}, more...)...).expect(t, exitDone)
		page := decoded[explainedSKU](t, e)
		for _, l := range page.Lines {
			versions = append(versions, strconv.FormatInt(l.Version, 10))
		}
		if !page.More {
			break
		}
		_, before, _ := strings.Cut(strings.TrimSpace(e.stderr), "--before ")
		more = []string{"--before", before}
	}
	if got := strings.Join(versions, " "); got != "11 10 9 8 7 6 5 4 3 2 1" {
		t.Errorf("the pages are %s", got)
	}
}

func TestTheLocationsOfASKUAreMergedByTime(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := connect(t, url)
	// South's second line began before its first one, and waited for the row.
	execute(t, pool, `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, recorded_at)
values ('', 'A', 'north', 1, 1, 1, 'stock.received', 'n1', '', '2026-01-01T01:00:00Z'),
       ('', 'A', 'north', 2, 1, 2, 'stock.received', 'n2', '', '2026-01-01T05:00:00Z'),
       ('', 'A', 'south', 1, 1, 1, 'stock.received', 's1', '', '2026-01-01T03:00:00Z'),
       ('', 'A', 'south', 2, 1, 2, 'stock.received', 's2', '', '2026-01-01T02:00:00Z'),
       ('', 'A', 'west', 1, 1, 1, 'stock.received', 'w1', '', '2026-01-01T04:00:00Z'),
       ('x', 'A', 'west', 1, 1, 1, 'stock.received', 'x1', '', '2026-01-01T04:00:00Z')`)
	execute(t, pool, `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition)
select tenant, sku, location, max(version), max(version), 'deny', 't', 0 from movements group by 1, 2, 3`)
	for limit, want := range map[string]string{
		"50": "n2 w1 s2 s1 n1", "5": "n2 w1 s2 s1 n1", "2": "n2 w1", "1": "n2",
	} {
		e := command(t, "explain", "sku", "A", "--limit", limit, "--database-url", url, "-o", "json").expect(t, exitDone)
		got := decoded[explainedSKU](t, e)
		var ids []string
		for _, l := range got.Lines {
			ids = append(ids, l.EventID)
		}
		if strings.Join(ids, " ") != want || got.More != (len(ids) < 5) {
			t.Errorf("%s lines are %v, more is %t", limit, ids, got.More)
		}
	}
}

func TestAnIDThatCameAgainIsNotTakenForTheRecordOfTheFirstTime(t *testing.T) {
	t.Parallel()
	url, pool := recorded(t)
	execute(t, pool, `update inbox set message_id = 9001 where event_id = 'e-2'`)
	e := command(t, "explain", "sku", "A", "--database-url", url, "-o", "json").expect(t, exitDone)
	for _, l := range decoded[explainedSKU](t, e).Lines {
		if (l.Record == nil) != (l.EventID == "e-2") {
			t.Errorf("the record of %s is %v", l.EventID, l.Record)
		}
	}
}

func TestAllThatAnUnknownEventCanMeanIsTold(t *testing.T) {
	t.Parallel()
	url := parked(t)
	pool := connect(t, url)
	event := func(args ...string) ended {
		return command(t, append([]string{"explain", "event", "--database-url", url}, args...)...)
	}
	event("e-9").expect(t, exitFailed, "it was not read yet: nothing was")
	execute(t, pool, `insert into offsets (topic, partition, start, next, ignored, jumped, halt_reason, halt_detail)
		values ('stock', 0, 0, 12, 5, 7, 'parked_storm', '')`)
	execute(t, pool, `update inbox_memory set dropped_rows = 77, horizon = '2026-01-31T00:00:00Z', dropped_until = now()`)
	e := event("e-9", "--letters", "2", "-o", "json").expect(t, exitFailed, "77 events", "2026-01-31T00:00:00Z",
		"5 records that were ignored", "7 offsets", "newest 2 dead letters", "with --brokers", "1 partitions are halted")
	if got := decoded[explainedEvent](t, e); len(got.Unknown) != 6 || len(got.Events) != 0 || got.Search.Whole {
		t.Errorf("the JSON says %+v", got)
	}
	event("e-9", "--letters", "few").expect(t, exitUsage, "--letters")
}

func TestAParkedEventIsSearchedForAmongTheNewestDeadLetters(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := connect(t, url)
	execute(t, pool, `
insert into dead_letters (topic, partition, incarnation, "offset", reason, value, parked_at)
values ('stock', 0, 1, 1, 'unknown_kind', '{"id":"e-1","kind":"x"}', now() - interval '9 min'),
       ('stock', 0, 1, 2, 'unknown_kind', '{"id":"e-1","tenant":"north","kind":"x"}', now() - interval '8 min'),
       ('stock', 0, 1, 3, 'not_json', '{"sku":x,"id":"e-1"}', now() - interval '7 min'),
       ('stock', 0, 1, 4, 'unknown_kind', convert_to('{"id":"e\u002d1","kind":"y"}', 'UTF8'), now() - interval '6 min'),
       ('stock', 0, 1, 5, 'unknown_kind', '{"id":"e-2","note":"e-1"}', now() - interval '5 min'),
       ('stock', 0, 1, 6, 'tombstone', null, now() - interval '4 min')`)
	search := func(args ...string) string {
		var found []string
		e := command(t, append([]string{"explain", "event", "e-1", "-o", "json", "--database-url", url}, args...)...)
		for _, p := range decoded[explainedEvent](t, e).Search.Parked {
			found = append(found, fmt.Sprintf("%d:%t", p.Offset, p.Certain))
		}
		return strings.Join(found, " ")
	}
	for _, c := range []struct{ args, want string }{
		{"", "4:true 3:false 1:true"},
		{"--letters 6", "4:true 3:false 1:true"},
		{"--letters 3", "4:true"},
		{"--letters 0", ""},
		{"--tenant north", "3:false 2:true"},
		{"--source south", "3:false"},
	} {
		if got := search(strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s finds %s, want %s", c.args, got, c.want)
		}
	}
	command(t, "explain", "event", "e-1", "--letters", "3", "--database-url", url).
		expect(t, exitDone, "The newest 3 dead letters were looked at; there may be others.")
}

func TestWrongSettingsOfExplainAreReported(t *testing.T) {
	t.Parallel()
	command(t, "explain", "sku", "A", "--limit", "0", "--before", "x").
		expect(t, exitUsage, "--database-url", "--limit", "not a version", "give --location")
	command(t, "explain", "event", "a", "--brokers", "nowhere").expect(t, exitUsage, "--database-url", "--brokers")
}
