package localpg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/child"
)

// startOnFreePort chooses the port. Between finding one free and the server's bind somebody may take it; then another
// is tried.
func (c *Cluster) startOnFreePort(ctx context.Context) error {
	const tries = 5
	var err error
	for range tries {
		if c.port, err = freePort(); err != nil {
			return err
		}
		if err = c.Start(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
	return err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Atoi(port)
}

// Start starts a stopped server on its old port and returns once it takes connections. It fails after 30 s, when ctx is
// cancelled, or when the server gives up, with the end of the server's log; then no server is left running.
func (c *Cluster) Start(ctx context.Context) error {
	if c.server != nil {
		return errors.New("start postgres: it runs already")
	}
	// A new log each time: a failure's message must quote this start.
	log, err := os.Create(c.logPath())
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	defer log.Close() //nolint:errcheck // the server writes to a copy of it

	cmd := exec.Command(filepath.Join(c.bin, "postgres"), "-D", c.data(),
		"-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(c.port), "-c", "unix_socket_directories=",
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on",
		"-c", "logging_collector=off", "-c", "timezone=UTC")
	c.asOwner(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	c.server, err = child.Start(cmd, syscall.SIGQUIT)
	if err != nil {
		c.server = nil
		return fmt.Errorf("start postgres: %w", err)
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.ready(ctx); err != nil {
		stopped := c.Stop(context.WithoutCancel(ctx), Immediate)
		return errors.Join(fmt.Errorf("start postgres: %w; its log ends: %s", err, c.logTail()), stopped)
	}
	return nil
}

var errEnded = errors.New("the server ended by itself")

// ready waits until the server takes connections.
func (c *Cluster) ready(ctx context.Context) error {
	const between = 20 * time.Millisecond
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		// The wait for the process comes first: a stranger on the same port would answer too.
		select {
		case <-c.server.Done():
			return errors.Join(errEnded, c.server.Err())
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		case <-tick.C:
		}
		conn, err := pgx.Connect(ctx, c.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
	}
}
