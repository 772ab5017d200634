package main

import (
	"testing"

	"onhand/internal/testenv"
)

func TestARecordIsExplainedByWhereItStood(t *testing.T) {
	t.Parallel()
	url, topic := testenv.Database(t), testenv.Topic(t, 1)
	pool := connect(t, url)
	produce(t, topic, []string{
		`{"id":"e-1","kind":"stock.received","sku":"A","quantity":5}`,
		`{"id":"e-2","kind":"stock.sold","sku":"A","quantity":9}`,
		`{"id":"e-1","kind":"stock.received","sku":"A","quantity":5}`,
		`junk`,
		`{"id":"e-3","kind":"stock.lost","sku":"A"}`,
	})
	s := start(t, append(serviceArgs(t, url, topic), "--relay", "off", "--unknown-kinds", "ignore")...)
	testenv.Eventually(t, waitingTime, "all records are read", func() bool {
		return query[bool](t, pool, `select coalesce(sum(next), 0) = 5 from offsets`)
	})
	s.stop()
	record := func(offset string, more ...string) ended {
		return command(t, append([]string{"explain", "record", topic, "0", offset, "--database-url", url}, more...)...)
	}
	brokers := "--brokers=" + testenv.Brokers(t)[0]
	record("0", brokers).expect(t, exitDone, "applied", "e-1", "+5", "waiting")
	record("1", brokers).expect(t, exitDone, "rejected", "insufficient_stock")
	record("2", brokers).expect(t, exitDone, "duplicate", "decided from "+topic+"/0 offset 0")
	record("3").expect(t, exitDone, "parked", "not_json")
	record("4", brokers).expect(t, exitDone, "passed", "unknown_kind", "its kind is ignored")
	record("5", brokers).expect(t, exitDone, "unread", "read up to 5")
	record("0").expect(t, exitDone, "passed", "no --brokers")
	record("0", "--brokers", "127.0.0.1:1").expect(t, exitDone, "passed", "whose event it is is unknown")
	command(t, "explain", "record", "nowhere", "0", "0", "--database-url", url).expect(t, exitFailed)
	record("-1").expect(t, exitUsage)

	shown := decoded[explainedRecord](t, record("1", brokers, "-o", "json").expect(t, exitDone))
	if shown.State != "rejected" || shown.Event == nil || shown.Event.EventID != "e-2" || shown.Parked != nil {
		t.Errorf("the JSON says %+v", shown)
	}
	execute(t, pool, `delete from inbox where event_id = 'e-2'`)
	record("1", brokers).expect(t, exitDone, "passed", `does not know its event "e-2"`)
	execute(t, pool, `update offsets set incarnation = 2, start = 2, next = 4, halt_reason = 'parked_storm',
		applied = 0, rejected = 0, duplicate = 2, parked = 0, ignored = 0, skipped = 0, jumped = 0`)
	record("1", brokers).expect(t, exitDone, "before_start", "incarnation 2 began at 2")
	record("3", brokers).expect(t, exitDone, "passed", "of incarnation 1: not_json", "cannot be read (not_json)")
	record("4", brokers).expect(t, exitDone, "unread", "halted at 4: parked_storm")
	deleteRecords(t, topic, 3)
	record("2", brokers).expect(t, exitDone, "passed", "no record can be seen there")
}
