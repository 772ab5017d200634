package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/backlog"
	"onhand/internal/child"
)

// grace is how long a contestant may take to end once it has done everything.
const grace = 30 * time.Second

// runner is a contestant's process.
type runner struct {
	process *child.Process
	log     *bytes.Buffer
	done    func(ctx context.Context, conn *pgx.Conn) (int64, error)
}

// start starts c on load.
func (t *tournament) start(c contestant, load *backlog.Backlog, url, group string) (*runner, error) {
	if c.run == nil {
		return t.startOnhand(load, url, group)
	}
	return t.startPeer(c, load, url, group)
}

// startOnhand starts the real binary, with its defaults.
func (t *tournament) startOnhand(load *backlog.Backlog, url, group string) (*runner, error) {
	cmd := exec.Command(t.binary, "run", "--listen", "127.0.0.1:0", "--log-level", "warn",
		"--brokers", strings.Join(t.stand.Brokers, ","), "--topic", load.Topic, "--group", group)
	cmd.Env = append(plainEnvironment(), "ONHAND_DATABASE_URL="+url)
	r := &runner{log: &bytes.Buffer{}, done: storedProgress}
	cmd.Stdout, cmd.Stderr = r.log, r.log
	var err error
	r.process, err = child.Start(cmd, syscall.SIGKILL)
	return r, err
}

// startPeer starts this program as c.
func (t *tournament) startPeer(c contestant, load *backlog.Backlog, url, group string) (*runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "contestant", c.name, "--brokers", strings.Join(t.stand.Brokers, ","),
		"--database-url", url, "--topic", load.Topic, "--group", group,
		"--events", strconv.FormatInt(load.Events, 10),
		"--writers", strconv.Itoa(c.writers), "--batch", strconv.Itoa(t.floorBatch))
	cmd.Env = plainEnvironment()
	progress := &progress{}
	r := &runner{log: &bytes.Buffer{}, done: progress.latest}
	cmd.Stdout, cmd.Stderr = progress, r.log
	r.process, err = child.Start(cmd, syscall.SIGKILL)
	return r, err
}

// end tells the contestant to end in order and waits for that, or kills it if it has failed already.
func (r *runner) end(ctx context.Context, failed bool) error {
	signal := syscall.SIGTERM
	if failed {
		signal = syscall.SIGKILL
	}
	err := r.process.Stop(ctx, signal, grace)
	if err == nil {
		err = r.process.Err()
	}
	if err != nil {
		return fmt.Errorf("its process: %w\n%s", err, r.log)
	}
	return nil
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
