package main

import (
	"slices"
	"strings"
	"testing"

	"onhand/internal/testenv"
)

// What operators do to positions while the service runs.

func TestARunningServiceGoesOnWhenItsPartitionIsResumed(t *testing.T) {
	t.Parallel()
	url, topic := testenv.Database(t), testenv.Topic(t, 1)
	pool := connect(t, url)
	produce(t, topic, slices.Repeat([]string{"junk"}, 60))
	produceRecords(t, topic, 5)
	s := start(t, serviceArgs(t, url, topic)...)
	testenv.Eventually(t, waitingTime, "the storm stops the partition", func() bool {
		return query[int](t, pool, `select count(*) from offsets where halt_reason = 'parked_storm'`) == 1
	})
	testenv.Eventually(t, waitingTime, "it says that nothing is left to work on", func() bool {
		e := command(t, "healthcheck", "--listen", s.address(t))
		return e.status == exitFailed && strings.Contains(e.stdout, "partitions: every claimed partition is halted")
	})
	command(t, "status", "--database-url", url).expect(t, exitDone, "HALTED parked_storm")

	command(t, "offsets", "resume", topic, "0", "--database-url", url, "--because", "upstream is repaired").
		expect(t, exitDone)
	awaitApplied(t, pool, 5)
	testenv.Eventually(t, waitingTime, "the service is ready again", func() bool {
		return command(t, "healthcheck", "--listen", s.address(t)).status == exitDone
	})
	if n := query[int](t, pool, `select count(*) from dead_letters`); n != 60 {
		t.Errorf("%d dead letters", n)
	}
}

func TestARunningServiceFollowsAPositionThatIsSetBack(t *testing.T) {
	t.Parallel()
	url, topic := testenv.Database(t), testenv.Topic(t, 1)
	pool := connect(t, url)
	produceRecords(t, topic, 20)
	start(t, serviceArgs(t, url, topic)...)
	awaitApplied(t, pool, 20)

	set := func(more ...string) ended {
		return command(t, append([]string{
			"offsets", "set", topic, "0", "oldest", "--database-url", url, "--brokers", strings.Join(testenv.Brokers(t), ","),
			"--because", "look at them again",
		}, more...)...)
	}
	set().expect(t, exitRefused, "is at work")
	set("--force").expect(t, exitDone)
	testenv.Eventually(t, waitingTime, "all of it is read again, and known", func() bool {
		return query[bool](t, pool, `select incarnation = 2 and next = 20 and duplicate = 20 and applied = 0 from offsets`)
	})
	if n := query[int](t, pool, `select sum(on_hand) from stock`); n != 20 {
		t.Errorf("%d on hand", n)
	}
}
