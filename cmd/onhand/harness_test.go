package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
)

// The commands read ONHAND_ variables, and whoever runs the tests may have some for a service of their own.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		ours := strings.HasPrefix(name, "ONHAND_")
		if ours && !strings.HasPrefix(name, "ONHAND_TEST_") && name != "ONHAND_POSTGRES_BIN" {
			_ = os.Unsetenv(name)
		}
	}
	testenv.Main(m)
}

// ended is what a user sees of a command that has ended.
type ended struct {
	status         int
	stdout, stderr string
}

// command runs one command to its end, as a user would.
func command(t *testing.T, args ...string) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := onhand(t.Context(), args, &stdout, &stderr)
	return ended{status: status, stdout: stdout.String(), stderr: stderr.String()}
}

// expect fails the test unless the command ended with status and every one of words is in what it printed.
func (e ended) expect(t *testing.T, status int, words ...string) ended {
	t.Helper()
	if e.status != status {
		t.Errorf("exit status %d, want %d\nstdout: %s\nstderr: %s", e.status, status, e.stdout, e.stderr)
	}
	for _, word := range words {
		if !strings.Contains(e.stdout+e.stderr, word) {
			t.Errorf("%q is not in the output\nstdout: %s\nstderr: %s", word, e.stdout, e.stderr)
		}
	}
	return e
}

func decoded[T any](t *testing.T, e ended) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.stdout), &v); err != nil {
		t.Fatalf("%v in %s (stderr: %s)", err, e.stdout, e.stderr)
	}
	return v
}

const waitingTime = 30 * time.Second

// service is `onhand run`, running.
type service struct {
	interrupt context.CancelFunc
	done      chan struct{}
	status    int
	output    testenv.Buffer
}

// start begins `onhand run` and ends it in order with the test at the latest.
func start(t *testing.T, args ...string) *service {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	s := &service{interrupt: interrupt, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.status = onhand(ctx, append([]string{"run", "--log-format", "json"}, args...), &s.output, &s.output)
	}()
	t.Cleanup(func() { s.stop() })
	return s
}

// stop is the first signal; it returns the exit status.
func (s *service) stop() int {
	s.interrupt()
	<-s.done
	return s.status
}

// wait returns the exit status of a service that ends by itself.
func (s *service) wait(t *testing.T) int {
	t.Helper()
	testenv.Eventually(t, waitingTime, "the service ends by itself", s.ended)
	return s.status
}

func (s *service) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// address is where the service answers health checks.
func (s *service) address(t *testing.T) (address string) {
	t.Helper()
	testenv.Eventually(t, waitingTime, "the service listens", func() bool {
		for line := range strings.Lines(s.output.String()) {
			var entry struct{ Address string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Address != "" {
				address = entry.Address
			}
		}
		return address != ""
	})
	return address
}

// connect opens a pool on a test schema, to put things there and look at them.
func connect(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	return testenv.Pool(t, url)
}

func execute(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	testenv.Execute(t, pool, sql, args...)
}

// query reads one value.
func query[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) (v T) {
	t.Helper()
	return testenv.Ask[T](t, pool, sql, args...)
}
