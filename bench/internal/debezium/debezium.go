// Package debezium is Debezium's outbox: messages in a table that its event router knows, which Kafka Connect reads
// from Postgres's log. The server must have wal_level=logical.
package debezium

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/peer"
	"onhand/bench/internal/servers"
	"onhand/internal/child"
)

// Run is a peer.Peer. It puts the job's messages into a table first, behind the place in the log where Connect then
// begins, and publishes until ctx is cancelled.
func Run(ctx context.Context, job peer.Job, done *atomic.Int64) (err error) {
	jars, err := fetch(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "onhand-bench-connect-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	conn, err := pgx.Connect(ctx, job.DatabaseURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := prepare(ctx, conn, job); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dropSlot(context.WithoutCancel(ctx), conn)) }()
	connect, log, err := start(job, jars, dir)
	if err != nil {
		return err
	}
	counting, stop := context.WithCancel(ctx)
	defer stop()
	counted := make(chan error, 1)
	go func() { counted <- count(counting, job, done) }()
	select {
	case <-connect.Done():
		stop()
		text, _ := os.ReadFile(log)
		return errors.Join(fmt.Errorf("connect has ended: %w\n%s", connect.Err(), text), <-counted)
	case err = <-counted:
	}
	return errors.Join(err, connect.Kill())
}

func fetch(ctx context.Context) (jars string, err error) {
	root, err := servers.ProjectRoot()
	if err != nil {
		return "", err
	}
	return servers.Script(ctx, root, "debezium", "fetch")
}

// start starts Kafka Connect in its standalone form, and says where its log is.
func start(job peer.Job, jars, dir string) (connect *child.Process, log string, err error) {
	worker, connector := filepath.Join(dir, "worker.properties"), filepath.Join(dir, "connector.properties")
	text, err := connectorSettings(job)
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(connector, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	if text, err = workerSettings(job, dir); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(worker, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "log4j.properties"), []byte(logging), 0o600); err != nil {
		return nil, "", err
	}
	log = filepath.Join(dir, "log")
	file, err := os.Create(log)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = file.Close() }() // the child has its own
	cmd := exec.Command("java", "-Xmx1g", "-Djava.io.tmpdir="+dir, "-cp", dir+":"+jars+"/*",
		"org.apache.kafka.connect.cli.ConnectStandalone", worker, connector)
	cmd.Stdout, cmd.Stderr = file, file
	connect, err = child.Start(cmd, syscall.SIGKILL)
	return connect, log, err
}
