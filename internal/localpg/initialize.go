package localpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// initialize runs initdb. It does not sync the new files: a machine that fails now takes the whole folder with it.
func (c *Cluster) initialize(ctx context.Context) error {
	passwordFile := filepath.Join(c.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(c.password), 0o600); err != nil {
		return fmt.Errorf("write the password: %w", err)
	}
	defer os.Remove(passwordFile) //nolint:errcheck // it goes with the cluster at the latest
	if err := c.owner.take(passwordFile); err != nil {
		return fmt.Errorf("write the password: %w", err)
	}

	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "initdb"),
		"--pgdata", c.data(), "--username", superuser, "--pwfile", passwordFile, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	c.asOwner(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// asOwner makes cmd run as the server's account: somewhere that account may be, and without settings of the user who
// started us (PGDATA, PGPORT, locales).
func (c *Cluster) asOwner(cmd *exec.Cmd) {
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = c.owner.attr()
}

const createDatabase = `create database ` + database

func (c *Cluster) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is in flight
	if _, err := conn.Exec(ctx, createDatabase); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}
