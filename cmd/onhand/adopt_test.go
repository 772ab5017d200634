package main

import (
	"strings"
	"testing"

	"onhand/internal/installation"
	"onhand/internal/testenv"
)

func TestADatabaseTakesAGroupOverOnlyByAdoption(t *testing.T) {
	t.Parallel()
	topic := testenv.Topic(t, 1)
	first, second := testenv.Database(t), testenv.Database(t)
	produceRecords(t, topic, 5)
	adopt := func(url string, more ...string) ended {
		return command(t, append([]string{
			"adopt", "--database-url", url, "--brokers", strings.Join(testenv.Brokers(t), ","), "--group", topic,
		}, more...)...)
	}
	refused := func(url string) {
		t.Helper()
		s := start(t, serviceArgs(t, url, topic)...)
		if s.wait(t) != exitRefused || !strings.Contains(s.output.String(), "onhand adopt") {
			t.Errorf("ended with %d: %s", s.status, s.output.String())
		}
	}

	s := start(t, serviceArgs(t, first, topic)...)
	awaitApplied(t, connect(t, first), 5)
	adopt(second, "--because", "first is gone").expect(t, exitRefused, "has members")
	s.stop()
	refused(second)
	if n := query[int](t, connect(t, second), `select count(*) from installation`); n != 0 {
		t.Error("a refused start was remembered")
	}

	adopt(second).expect(t, exitUsage, "--because")
	a := decoded[installation.Adoption](t, adopt(second, "--because", "first is gone", "-o", "json").expect(t, exitDone))
	if a.Before != nil || a.After.Group != topic {
		t.Errorf("%+v", a)
	}
	s = start(t, serviceArgs(t, second, topic)...)
	awaitApplied(t, connect(t, second), 5)
	s.stop()
	refused(first)
	adopt(first, "--because", "back again").expect(t, exitDone, "installation", topic)
	refused(second)
	because := query[string](t, connect(t, first), `select because from operator_actions where command like 'adopt%'`)
	if because != "back again" {
		t.Errorf("on record is %s", because)
	}
}

func TestAnotherGroupIsRefusedUntilItIsAdopted(t *testing.T) {
	t.Parallel()
	topic, other := testenv.Topic(t, 1), testenv.Topic(t, 1)
	url := testenv.Database(t)
	produceRecords(t, topic, 5)
	s := start(t, serviceArgs(t, url, topic)...)
	awaitApplied(t, connect(t, url), 5)
	s.stop()

	s = start(t, serviceArgs(t, url, other)...)
	if s.wait(t) != exitRefused || !strings.Contains(s.output.String(), "consumer group was "+topic+" and is "+other) {
		t.Errorf("ended with %d: %s", s.status, s.output.String())
	}
	command(t, "adopt", "--database-url", url, "--brokers", testenv.Brokers(t)[0], "--group", other,
		"--because", "renamed").expect(t, exitDone, topic, other)
	start(t, serviceArgs(t, url, other)...)
	produceRecords(t, other, 5)
	awaitApplied(t, connect(t, url), 10)
}

func TestTwoDatabasesThatBeginOnOneGroupAtOnceNoticeEachOther(t *testing.T) {
	t.Parallel()
	topic := testenv.Topic(t, 2)
	var members [2]*service
	for i := range members {
		members[i] = start(t, serviceArgs(t, testenv.Database(t), topic)...)
	}
	testenv.Eventually(t, waitingTime, "one of them ends by itself", func() bool {
		return members[0].ended() || members[1].ended()
	})
	s := members[0]
	if !s.ended() {
		s = members[1]
	}
	if s.wait(t) != exitRefused || !strings.Contains(s.output.String(), "held by installation") {
		t.Errorf("ended with %d: %s", s.status, s.output.String())
	}
}
