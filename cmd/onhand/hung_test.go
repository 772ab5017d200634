package main

import (
	"strings"
	"testing"
	"time"

	"onhand/internal/testenv"
	"onhand/outbox"
)

// A broker that hangs keeps its connections and answers nothing.
func TestCommandsGiveABrokerUpThatHangs(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t)
	kafka.Freeze()
	defer kafka.Thaw()
	within := func(d time.Duration, run func() ended) ended {
		t.Helper()
		began := time.Now()
		e := run()
		if took := time.Since(began); took > d {
			t.Errorf("it took %v", took)
		}
		return e
	}
	l := newLeaving(t)
	l.halt(outbox.HaltDatabaseLost)
	brokers := "--brokers=" + kafka.Brokers()[0]
	within(commandTimeout+5*time.Second, func() ended { return l.as("show", brokers) }).
		expect(t, exitDone, "Kafka's position is unknown", "no answer within 10s", "1000 (turn 4)")
	within(commandTimeout+5*time.Second, func() ended {
		return l.because("resume", "--from", "database", brokers)
	}).expect(t, exitDone, "Kafka's position is unknown")
	within(commandTimeout+5*time.Second, func() ended {
		return command(t, "status", "--database-url", l.url, brokers)
	}).expect(t, exitDone, "lag is unknown", "OUTBOX DONE")
}

func TestAServiceWhoseBrokerHangsSaysSoAndEndsInOrder(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t, "broker.session.timeout.ms=60000")
	url, topic := testenv.Database(t), kafka.Topic(1, nil)
	pool := connect(t, url)
	s := start(t, "--database-url", url, "--brokers", kafka.Brokers()[0], "--topic", topic, "--group", topic,
		"--listen", "127.0.0.1:0", "--session-timeout", "6s", "--outbox-topic", kafka.Topic(1, nil))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the service said: %s", s.output.String())
		}
	})
	testenv.Eventually(t, waitingTime, "it publishes", func() bool {
		return strings.Contains(s.output.String(), "publishing messages")
	})
	kafka.Freeze()
	defer kafka.Thaw()
	execute(t, pool, `insert into outbox_messages (id, slot, topic, event_id) values (nextval('outbox_id'), 0, $1, 'e')`,
		topic)
	frozen := time.Now()
	testenv.Eventually(t, waitingTime, "status says what is waited for", func() bool {
		waiting := query[string](t, pool, `select coalesce(waiting_for, '') from outbox_relay`)
		return strings.Contains(waiting, "an answer of Kafka's, since")
	})
	t.Logf("said after %v", time.Since(frozen))
	began := time.Now()
	status := s.stop()
	took := time.Since(began)
	t.Logf("ended after %v", took)
	if status != exitDone || took > 12*time.Second { // the session's 6 s, and a little
		t.Errorf("it ended with %d after %v: %s", status, took, s.output.String())
	}
}
