package main

import (
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
