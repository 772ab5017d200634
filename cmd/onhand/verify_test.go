package main

import (
	"fmt"
	"testing"

	"onhand/internal/testenv"
	"onhand/internal/verify"
)

// The books that verify judges here are the service's own, and the service is running.
func TestVerifyFindsTheServicesBooksRightAndThenTheRowThatIsNot(t *testing.T) {
	t.Parallel()
	url, topic := testenv.Database(t), testenv.Topic(t, 3)
	brokers := testenv.Brokers(t)[0]
	command(t, "produce", "--brokers", brokers, "--topic", topic, "--events", "3000", "--skus", "50",
		"--duplicates", "0.05", "--bad", "0.02").expect(t, exitDone)
	start(t, serviceArgs(t, url, topic)...)
	pool := connect(t, url)
	testenv.Eventually(t, waitingTime, "all records are applied", func() bool {
		return query[int64](t, pool, `select coalesce(sum(next - start), 0) from offsets`) == 3000
	})

	again := []string{"verify", "--database-url", url, "--brokers", brokers}
	command(t, again...).expect(t, exitDone, topic, "ok", "OK")

	execute(t, pool, `update stock set on_hand = on_hand + 1 where (tenant, sku, location) = (
		select tenant, sku, location from stock limit 1)`)
	command(t, again...).expect(t, exitViolation, "I4", "VIOLATION: 1 differences, 1 shown")
	ended := command(t, append(again, "-o", "json", "--differences", "0")...).expect(t, exitViolation)
	report := decoded[verify.Report](t, ended)
	if report.Verdict != verify.Violation || report.Found != 1 || len(report.Partitions) != 3 {
		t.Errorf("the JSON says %+v", report)
	}
}

// The topic that verify proves here was written by the service's own relay, and the service is running.
func TestVerifyProvesTheOutgoingTopicAndFindsTheMessageThatIsNotRight(t *testing.T) {
	t.Parallel()
	url, topic, changes := testenv.Database(t), testenv.Topic(t, 3), testenv.Topic(t, 2)
	brokers := testenv.Brokers(t)[0]
	command(t, "produce", "--brokers", brokers, "--topic", topic, "--events", "2000", "--skus", "50").expect(t, exitDone)
	start(t, append(serviceArgs(t, url, topic), "--outbox-topic", changes)...)
	pool := connect(t, url)
	testenv.Eventually(t, waitingTime, "all records are applied, and all messages have left", func() bool {
		return query[bool](t, pool, `select coalesce(sum(next - start), 0) = 2000
		  and (select done >= (select max(id) from outbox) from outbox_relay) from offsets`)
	})

	again := []string{"verify", "--database-url", url, "--brokers", brokers}
	command(t, append(again, "--outbox")...).expect(t, exitDone, "TOPIC", topic, changes, "messages of movements", "OK")
	report := decoded[verify.Report](t, command(t, append(again, "--outbox-only", "-o", "json")...).expect(t, exitDone))
	if o := report.Outbox; o == nil || o.Messages != report.Ledger.Movements || len(o.Partitions) != 2 ||
		len(report.Partitions) != 0 {
		t.Errorf("the JSON says %+v", report)
	}
	report = decoded[verify.Report](t, command(t, append(again, "-o", "json")...).expect(t, exitDone))
	if report.Outbox != nil {
		t.Errorf("without being asked: %+v", report.Outbox)
	}

	id := query[int64](t, pool, `update movements set event_id = 'x' where message_id = (
		select max(message_id) from movements) returning message_id`)
	command(t, append(again, "--outbox-only")...).
		expect(t, exitViolation, "I7 "+changes, fmt.Sprintf("message %d", id), `event_id "x"`, "VIOLATION: 1 differences")
	command(t, append(again, "--outbox-only", "--former-outbox-topic", "gone")...).
		expect(t, exitViolation, "topic gone does not exist")
	command(t, append(again, "--refused", "x", "--former-outbox-topic", "a b")...).
		expect(t, exitUsage, "refused", "former-outbox-topic")
}

func TestVerifySaysWhenItCannotTell(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	command(t, "verify", "--database-url", url, "--brokers", "127.0.0.1:1").
		expect(t, exitUnfinished, "could not tell")
	command(t, "verify", "--database-url", "postgres://nobody@127.0.0.1:1/none", "--brokers", testenv.Brokers(t)[0]).
		expect(t, exitUnfinished, "could not tell")

	pool := connect(t, url)
	execute(t, pool, `insert into offsets (topic, partition, start, next, skipped) values ('gone', 0, 0, 5, 5)`)
	command(t, "verify", "--database-url", url, "--brokers", testenv.Brokers(t)[0]).
		expect(t, exitUnfinished, "COULD NOT TELL", "the topic does not exist")
}

func TestVerifyRefusesADatabaseWithoutItsTables(t *testing.T) {
	t.Parallel()
	command(t, "verify", "--database-url", testenv.EmptyDatabase(t), "--brokers", testenv.Brokers(t)[0]).
		expect(t, exitRefused)
}
