// Package localpg runs a private Postgres cluster for as long as this process lives: a data directory of its own, a
// free loopback port, a random password, durability on. It is for trying things out and for tests, not for keeping
// data.
package localpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"onhand/internal/child"
)

const (
	superuser = "onhand"
	database  = "onhand"

	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
)

// Cluster is one private cluster. Its methods are for one goroutine at a time.
type Cluster struct {
	bin      string
	dir      string // holds data/ and log
	owner    *owner
	password string
	port     int
	server   *child.Process // nil = not running
}

// Create makes a cluster in a fresh folder inside parent (empty = the system's folder for temporary files) and starts
// it. When this process is root the server runs as an unprivileged account, which must be able to reach parent.
// Whatever goes wrong, nothing stays behind; afterwards Close is the caller's duty.
func Create(ctx context.Context, server Installation, parent string) (*Cluster, error) {
	runAs, err := chooseOwner()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "onhand-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the cluster: %w", err)
	}
	c := &Cluster{bin: server.Bin, dir: dir, owner: runAs, password: rand.Text()}
	if err := c.setUp(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) setUp(ctx context.Context) error {
	if err := c.owner.take(c.dir); err != nil {
		return fmt.Errorf("hand the cluster's folder to its account: %w", err)
	}
	if err := c.initialize(ctx); err != nil {
		return err
	}
	if err := c.startOnFreePort(ctx); err != nil {
		return err
	}
	return c.createDatabase(ctx)
}

// URL is how to connect, as the superuser, to the cluster's one database. It stays the same over restarts.
func (c *Cluster) URL() string { return c.url(database) }

func (c *Cluster) url(db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, c.password),
		Host:     fmt.Sprintf("127.0.0.1:%d", c.port),
		Path:     "/" + db,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Dir is the cluster's folder: data/ is its data directory, log what the server wrote.
func (c *Cluster) Dir() string { return c.dir }

// Pid is the server's process id, 0 when it does not run.
func (c *Cluster) Pid() int {
	if c.server == nil {
		return 0
	}
	return c.server.Pid()
}

// Mode is how a server stops.
type Mode syscall.Signal

// The modes of pg_ctl stop that are of use here.
const (
	Fast      = Mode(syscall.SIGINT)  // ends the sessions, writes a checkpoint
	Immediate = Mode(syscall.SIGQUIT) // as in a crash: the next start recovers
)

// Stop stops the server and keeps its data; one that does not obey is killed. A server that does not run is no error.
func (c *Cluster) Stop(ctx context.Context, m Mode) error {
	if c.server == nil {
		return nil
	}
	err := c.server.Stop(ctx, syscall.Signal(m), stopTimeout)
	c.server = nil
	if err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}

// Close stops the server at once and removes the cluster's folder.
func (c *Cluster) Close() error {
	stopped := c.Stop(context.Background(), Immediate)
	if err := os.RemoveAll(c.dir); err != nil {
		return errors.Join(stopped, fmt.Errorf("remove the cluster: %w", err))
	}
	return stopped
}

func (c *Cluster) data() string    { return filepath.Join(c.dir, "data") }
func (c *Cluster) logPath() string { return filepath.Join(c.dir, "log") }

// logTail returns the end of what the server wrote, for an error message.
func (c *Cluster) logTail() string {
	const most = 2000 // bytes
	text, err := os.ReadFile(c.logPath())
	if err != nil {
		return err.Error()
	}
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return strings.TrimSpace(string(text))
}
