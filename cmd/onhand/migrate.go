package main

import (
	"context"
	"time"

	"onhand/internal/cliout"
	"onhand/migrations"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply every migration that is missing; safe while others do the same."`
	Down   migrateDownCmd   `cmd:"" help:"Take back the newest migration, one step."`
	Status migrateStatusCmd `cmd:"" help:"List migrations, applied and pending."`
}

func (migrateCmd) Help() string {
	return `Examples:

  onhand migrate up
  onhand migrate status --schema shop -o json
  onhand migrate down --drop-data`
}

type migrateUpCmd struct{ databaseFlags }

func (migrateUpCmd) Help() string {
	return `Creates the schema first when it does not exist. The database URL must lead to Postgres itself,
or to a pooler in session mode: the lock that keeps two migrations apart lives in the session.

Examples:

  onhand migrate up --database-url postgres://onhand@127.0.0.1:5432/stock
  ONHAND_DATABASE_URL=postgres://onhand@db/stock onhand migrate up --schema shop`
}

func (c *migrateUpCmd) Run(ctx context.Context, con *console) error {
	if err := migrations.Up(ctx, c.DatabaseURL, c.Schema); err != nil {
		return err
	}
	return c.printMigrations(ctx, con)
}

type migrateDownCmd struct {
	databaseFlags
	DropData bool `help:"Also take back the first migration, and with it every table and all that it holds."`
}

func (migrateDownCmd) Help() string {
	return `Takes the schema one step back. Let the binaries of the release before run first: one that does not fit
it is not ready. The first step drops all tables: that wants --drop-data, and every onhand stopped.

Examples:

  onhand migrate down
  onhand migrate down --drop-data`
}

func (c *migrateDownCmd) Run(ctx context.Context, con *console) error {
	states, err := migrations.Status(ctx, c.DatabaseURL, c.Schema)
	if err != nil {
		return err
	}
	if migrations.Applied(states) == 1 && !c.DropData {
		return refused("this would drop every table of schema %q and all stock in it: say --drop-data if that is meant",
			c.schema)
	}
	if err := migrations.Down(ctx, c.DatabaseURL, c.Schema); err != nil {
		return err
	}
	return c.printMigrations(ctx, con)
}

type migrateStatusCmd struct{ databaseFlags }

func (migrateStatusCmd) Help() string {
	return `Examples:

  onhand migrate status
  onhand migrate status -o json`
}

func (c *migrateStatusCmd) Run(ctx context.Context, con *console) error {
	return c.printMigrations(ctx, con)
}

func (f *databaseFlags) printMigrations(ctx context.Context, con *console) error {
	states, err := migrations.Status(ctx, f.DatabaseURL, f.Schema)
	if err != nil {
		return err
	}
	return con.out.Print(states, func(t *cliout.Grid) {
		t.Row("VERSION", "NAME", "APPLIED")
		for _, s := range states {
			name, at := s.Name, "pending"
			if name == "" {
				name = "(of a newer onhand)"
			}
			if s.AppliedAt != nil {
				at = s.AppliedAt.UTC().Format(time.RFC3339)
			}
			t.Row(s.Version, name, at)
		}
	})
}
