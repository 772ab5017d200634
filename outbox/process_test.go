package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/child"

	"onhand/internal/testenv"
)

// ordersVariable makes a process of this test binary a relay; it holds its orders.
const ordersVariable = "ONHAND_TEST_RELAY_ORDERS"

// orders is what a relay in a process of its own is to do.
type orders struct {
	URL           string
	Brokers       []string
	Installation  uuid.UUID
	PositionTopic string
	Member        string
	Lease         time.Duration
	Transaction   time.Duration

	// What happens to it when it comes to At for the Times-th time; empty = nothing.
	At     step
	Times  int
	Freeze bool // until it gets SIGCONT; otherwise it is killed
}

// relayProcess is main for a relay in a process of its own.
func relayProcess(text string) int {
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		log.Error().Err(err).Msg("read the orders")
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	pool, err := pgxpool.New(ctx, o.URL)
	if err != nil {
		log.Error().Err(err).Msg("open the pool")
		return 1
	}
	defer pool.Close()
	relay, err := NewRelay(Config{
		Brokers: o.Brokers, Pool: pool, Installation: o.Installation, PositionTopic: o.PositionTopic, Member: o.Member,
		LeaseTime: o.Lease, TransactionTimeout: o.Transaction, Log: log, steps: o.steps(log),
	})
	if err == nil {
		err = relay.Run(ctx)
	}
	if err != nil {
		log.Error().Err(err).Msg("run")
		return 1
	}
	return 0
}

// reached is what a process says when it comes to the step that it dies or freezes at.
const reached = "reached the step"

// steps carries out what is to happen at a step. Nothing of the process goes on behind it.
func (o *orders) steps(log zerolog.Logger) steps {
	if o.At == "" {
		return nil
	}
	var mu sync.Mutex
	left := o.Times
	return func(at step) {
		if at != o.At {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if left--; left != 0 {
			return
		}
		how := syscall.SIGKILL
		thawed := make(chan os.Signal, 1)
		if o.Freeze {
			how = syscall.SIGSTOP
			signal.Notify(thawed, syscall.SIGCONT)
		}
		log.Info().Str("step", string(at)).Msg(reached)
		_ = syscall.Kill(os.Getpid(), how)
		<-thawed
		log.Info().Msg("goes on")
	}
}

// process is a relay in a process of its own.
type process struct {
	*child.Process
	w      *world
	member string
	output *testenv.Buffer
}

// orders are those of a relay of w to which nothing happens.
func (w *world) orders(member string) orders {
	return orders{
		URL: w.url, Brokers: w.brokers, Installation: w.install, PositionTopic: w.topic, Member: member,
		Lease: 2 * time.Second, Transaction: 5 * time.Second,
	}
}

// spawn starts a relay in a process of its own, which is killed at the test's end at the latest. What it says is shown
// if the test fails.
func (w *world) spawn(o orders) *process {
	w.t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{w: w, member: o.Member, output: &testenv.Buffer{}}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), ordersVariable+"="+string(text))
	cmd.Stderr = p.output
	if p.Process, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		p.kill()
		if w.t.Failed() {
			w.t.Logf("relay %s said:\n%s", o.Member, tail(p.output.String(), 60))
		}
	})
	return p
}

func (p *process) kill() {
	p.w.t.Helper()
	if err := p.Kill(); err != nil {
		p.w.t.Error(err)
	}
}

func (p *process) thaw() {
	p.w.t.Helper()
	if err := p.Signal(syscall.SIGCONT); err != nil {
		p.w.t.Error(err)
	}
}

// ended reports whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// awaitStep feeds the relay with a few messages at a time until it has come to the step of its orders.
func (p *process) awaitStep() {
	p.w.t.Helper()
	stop := p.w.feed(1, 20*time.Millisecond)
	defer stop()
	p.w.eventually(p.member+" comes to the step", func() bool {
		if p.ended() && !p.said(reached) {
			p.w.t.Fatalf("%s ended before: %v", p.member, p.Err())
		}
		return p.said(reached)
	})
}

func (p *process) said(what string) bool { return strings.Contains(p.output.String(), what) }

// tail is the last lines of text.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	if len(all) <= lines {
		return strings.Join(all, "")
	}
	return fmt.Sprintf("(%d lines before)\n%s", len(all)-lines, strings.Join(all[len(all)-lines:], ""))
}
