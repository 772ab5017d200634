package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/installation"
	"onhand/internal/testenv"
)

// serviceArgs configure a service on the schema and the topic; the group has the topic's name.
func serviceArgs(t *testing.T, url, topic string) []string {
	t.Helper()
	return []string{
		"--database-url", url, "--brokers", strings.Join(testenv.Brokers(t), ","), "--topic", topic, "--group", topic,
		"--listen", "127.0.0.1:0", "--session-timeout", "6s",
	}
}

func awaitApplied(t *testing.T, pool *pgxpool.Pool, n int64) {
	t.Helper()
	testenv.Eventually(t, waitingTime, "the records are applied", func() bool {
		return query[int64](t, pool, `select coalesce(sum(applied), 0) from offsets`) == n
	})
}

func TestRunAppliesEventsBecomesReadyAndEndsInOrder(t *testing.T) {
	t.Parallel()
	url, topic := testenv.Database(t), testenv.Topic(t, 3)
	pool := connect(t, url)
	produceRecords(t, topic, 50)
	s := start(t, serviceArgs(t, url, topic)...)
	awaitApplied(t, pool, 50)
	if n := query[int](t, pool, `select sum(on_hand) from stock`); n != 50 {
		t.Errorf("%d on hand", n)
	}
	command(t, "healthcheck", "--listen", s.address(t)).expect(t, exitDone, "ready")
	if status := s.stop(); status != exitDone {
		t.Errorf("ended with %d: %s", status, s.output.String())
	}
	if !strings.Contains(s.output.String(), `"stopped"`) {
		t.Errorf("the log says %s", s.output.String())
	}
}

// What is wrong with settings is said before anything is connected to; the relay has bounds of its own.
func TestARelayTakesEverySessionTimeoutThatMayBeConfigured(t *testing.T) {
	t.Parallel()
	pool := connect(t, testenv.Database(t))
	for _, timeout := range []time.Duration{minSessionTimeout, maxSessionTimeout} {
		cfg := Config{Relay: true, SessionTimeout: timeout, Brokers: testenv.Brokers(t), Topics: []string{"t"}, Member: "m"}
		if _, err := newRelay(cfg, installation.Installation{ID: uuid.New()}, pool, zerolog.Nop()); err != nil {
			t.Errorf("%v: %v", timeout, err)
		}
	}
}

func TestRunRefusesASchemaThatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := start(t, serviceArgs(t, testenv.EmptyDatabase(t), testenv.Topic(t, 1))...)
	if s.wait(t) != exitRefused || !strings.Contains(s.output.String(), "run `onhand migrate up`") {
		t.Errorf("ended with %d: %s", s.status, s.output.String())
	}
}

func TestRunFailsAtOnceWhenTheDatabaseSaysNo(t *testing.T) {
	t.Parallel()
	args := serviceArgs(t, testenv.Database(t), testenv.Topic(t, 1))
	args[1] = strings.Replace(args[1], "/postgres?", "/nosuchdatabase?", 1)
	s := start(t, args...)
	if s.wait(t) != exitFailed || !strings.Contains(s.output.String(), "3D000") {
		t.Errorf("ended with %d: %s", s.status, s.output.String())
	}
}

func TestRunWaitsForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	s := start(t, serviceArgs(t, "postgres://u:s3cr3t@127.0.0.1:1/db?sslmode=disable", testenv.Topic(t, 1))...)
	address := s.address(t)
	testenv.Eventually(t, waitingTime, "it says that the database is away", func() bool {
		e := command(t, "healthcheck", "--listen", address)
		return strings.Contains(e.stdout, "database: read schema version: failed to connect")
	})
	if status := s.stop(); status != exitDone || strings.Contains(s.output.String(), "s3cr3t") {
		t.Errorf("ended with %d: %s", status, s.output.String())
	}
}

func TestRunWaitsForABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	args := serviceArgs(t, testenv.Database(t), testenv.Topic(t, 1))
	args[3] = "127.0.0.1:1"
	s := start(t, args...)
	address := s.address(t)
	testenv.Eventually(t, waitingTime, "it says that the broker is away", func() bool {
		return strings.Contains(command(t, "healthcheck", "--listen", address).stdout, "broker: connect to Kafka")
	})
	if status := s.stop(); status != exitDone {
		t.Errorf("ended with %d: %s", status, s.output.String())
	}
}

func TestRunSaysWhenItsAddressIsTaken(t *testing.T) {
	t.Parallel()
	url, topic := testenv.Database(t), testenv.Topic(t, 1)
	first := start(t, serviceArgs(t, url, topic)...)
	second := start(t, append(serviceArgs(t, url, topic), "--listen", first.address(t))...)
	if second.wait(t) != exitFailed || !strings.Contains(second.output.String(), "address already in use") {
		t.Errorf("ended with %d: %s", second.status, second.output.String())
	}
}
