package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/child"
)

// grace is how long a contestant may take to end once it has done everything.
const grace = 30 * time.Second

// runner is a contestant's processes: one, but for a group of several members.
type runner struct {
	processes []*child.Process
	logs      []*bytes.Buffer
	ended     chan struct{} // closed when the first one has ended
	done      func(ctx context.Context, conn *pgx.Conn) (int64, error)
}

// output is where a peer tells how far it is.
type output interface {
	io.Writer
	latest(ctx context.Context, conn *pgx.Conn) (int64, error)
}

// start starts j's contestant. Peers write to out; onhand's positions tell how far it is.
func (t *tournament) start(j job, databaseURL string, out output) (*runner, error) {
	r := &runner{ended: make(chan struct{}), done: out.latest}
	var commands []*exec.Cmd
	if j.contestant.run == nil {
		r.done = storedProgress
		if j.publishes() {
			r.done = publishedProgress
		}
		for range max(j.members, 1) {
			commands = append(commands, t.onhandCommand(j, databaseURL))
		}
	} else {
		cmd, err := t.peerCommand(j, databaseURL)
		if err != nil {
			return nil, err
		}
		cmd.Stdout = out
		commands = append(commands, cmd)
	}
	end := sync.OnceFunc(func() { close(r.ended) })
	for _, cmd := range commands {
		log := &bytes.Buffer{}
		cmd.Stderr = log
		if cmd.Stdout == nil {
			cmd.Stdout = log
		}
		process, err := child.Start(cmd, syscall.SIGKILL)
		if err != nil {
			return nil, errors.Join(err, r.end(context.Background(), true))
		}
		r.processes, r.logs = append(r.processes, process), append(r.logs, log)
		go func() {
			<-process.Done()
			end()
		}()
	}
	return r, nil
}

// onhandCommand is the real binary, with its defaults; its relay runs if there is a topic to publish to.
func (t *tournament) onhandCommand(j job, databaseURL string) *exec.Cmd {
	args := []string{
		"run", "--listen", "127.0.0.1:0", "--log-level", "warn",
		"--brokers", strings.Join(t.stand.Brokers, ","), "--topic", j.topic, "--group", j.group,
	}
	if j.outgoing == "" {
		args = append(args, "--relay", "off")
	} else {
		args = append(args, "--relay", "on", "--outbox-topic", j.outgoing)
	}
	cmd := exec.Command(t.binary, append(args, j.args...)...)
	cmd.Env = append(plainEnvironment(), "ONHAND_DATABASE_URL="+databaseURL)
	return cmd
}

// peerCommand is this program as the contestant. The topic is the one that it reads, or else the one that it writes.
func (t *tournament) peerCommand(j job, databaseURL string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "contestant", j.contestant.name, "--brokers", strings.Join(t.stand.Brokers, ","),
		"--database-url", databaseURL, "--topic", cmp.Or(j.outgoing, j.topic), "--group", j.group,
		"--events", strconv.Itoa(j.records),
		"--writers", strconv.Itoa(j.contestant.writers), "--batch", strconv.Itoa(t.floorBatch))
	if j.shape.OfShop() {
		cmd.Args = append(cmd.Args, "--shared")
	}
	if j.open() {
		cmd.Args = append(cmd.Args, "--commits")
	}
	cmd.Env = plainEnvironment()
	return cmd, nil
}

func (r *runner) pids() []int {
	pids := make([]int, len(r.processes))
	for i, p := range r.processes {
		pids[i] = p.Pid()
	}
	return pids
}

// end tells the contestant's processes to end in order and waits for that, or kills them if something has failed
// already. They are told once: a second signal would end them at once.
func (r *runner) end(ctx context.Context, failed bool) error {
	signal := syscall.SIGTERM
	if failed {
		signal = syscall.SIGKILL
	}
	errs := make([]error, len(r.processes))
	var ending sync.WaitGroup
	for i, p := range r.processes {
		ending.Go(func() {
			err := p.Stop(ctx, signal, grace)
			if err == nil {
				err = p.Err()
			}
			if err != nil {
				errs[i] = fmt.Errorf("its process: %w\n%s", err, r.logs[i])
			}
		})
	}
	ending.Wait()
	return errors.Join(errs...)
}

// plainEnvironment is this process's, without settings meant for another onhand.
func plainEnvironment() []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ONHAND_") {
			env = append(env, variable)
		}
	}
	return env
}
