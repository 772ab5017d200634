package main

import (
	"context"

	"onhand/internal/cliout"
	"onhand/internal/ledger"
)

type ledgerCmd struct {
	Show    ledgerShowCmd    `cmd:"" help:"Show how much the ledger and its archive hold."`
	Archive ledgerArchiveCmd `cmd:"" help:"Move old movements to the archive, behind opening balances."`
}

func (ledgerCmd) Help() string {
	return `Examples:

  onhand ledger show
  onhand ledger archive --older-than 2160h --dry-run
  onhand ledger archive --older-than 2160h --because "keep a quarter"`
}

type ledgerShowCmd struct{ databaseFlags }

func (ledgerShowCmd) Help() string {
	return `Reads both tables once.

Examples:

  onhand ledger show
  onhand ledger show -o json | jq .ledger.bytes`
}

func (c *ledgerShowCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	contents, err := ledger.Look(ctx, pool)
	if err != nil {
		return err
	}
	return con.out.Print(contents, func(t *cliout.Grid) {
		t.Row("", "ROWS", "MIB", "OLDEST", "NEWEST")
		for _, row := range []struct {
			name string
			ledger.Table
		}{{"ledger", contents.Ledger}, {"archive", contents.Archive}} {
			t.Row(row.name, row.Rows, row.Bytes>>20, instantOrDash(row.Oldest), instantOrDash(row.Newest))
		}
		t.Text("")
		t.Text("%d rows of the ledger are opening balances; the archive lacks %d of the movements they stand for",
			contents.Opened, contents.Removed)
	})
}
