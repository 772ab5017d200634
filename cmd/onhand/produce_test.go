package main

import (
	"strings"
	"testing"

	"onhand/internal/testenv"
)

func TestProduceWritesWhatItPrints(t *testing.T) {
	t.Parallel()
	topic := "produce-" + t.Name()
	args := []string{
		"produce", "--brokers", testenv.Brokers(t)[0], "--topic", topic, "--partitions", "3", "--events", "2000",
		"--duplicates", "0.1", "--bad", "0.1", "--skew", "0.99", "--seed", "5", "-o", "json",
	}
	first := command(t, args...).expect(t, exitDone, "created topic "+topic+" with 3 partitions")
	got := decoded[produced](t, first)
	if got.Topic != topic || got.Partitions != 3 || !got.Created || got.Seed != 5 || got.Records != 2000 ||
		got.Fresh+got.Duplicates+got.Bad != 2000 || got.Duplicates < 100 || got.Bad < 100 || got.PerSecond <= 0 {
		t.Errorf("got %+v", got)
	}
	again := command(t, args...).expect(t, exitDone)
	if second := decoded[produced](t, again); second.Created || strings.Contains(again.stderr, "created") {
		t.Errorf("the second time it claims to have created the topic: %+v, %s", second, again.stderr)
	}
}

func TestProduceReportsAllWrongSettingsAtOnce(t *testing.T) {
	t.Parallel()
	command(t, "produce", "--topic", "a,b", "--partitions", "0", "--events", "many", "--rate", "-1", "--skus", "0",
		"--skew", "-0.5", "--duplicates", "NaN", "--bad", "1.5", "--seed", "x").
		expect(t, exitUsage, "--brokers", "--topic", "--partitions", "--events", "--rate", "--skus", "--skew",
			"--duplicates", "--bad", "--seed", "ONHAND_SEED")
	command(t, "produce", "--brokers", "h:1", "--duplicates", "0.6", "--bad", "0.6").
		expect(t, exitUsage, "add up to more than 1")
}

func TestProduceSaysWhichBrokersItCannotReach(t *testing.T) {
	t.Parallel()
	command(t, "produce", "--brokers", "127.0.0.1:1").expect(t, exitFailed, "127.0.0.1:1", "connection refused")
}

func TestDemoReportsAllWrongSettingsAtOnce(t *testing.T) {
	t.Parallel()
	e := command(t, "demo", "--database-url", "postgres://me:hush@h:x/", "--events", "1", "--kills", "99", "--seed", "x").
		expect(t, exitUsage, "--database-url", "--events", "--kills", "--seed")
	if strings.Contains(e.stderr, "hush") {
		t.Errorf("the password is in %s", e.stderr)
	}
}
