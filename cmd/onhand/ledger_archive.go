package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/audit"
	"onhand/internal/cliout"
	"onhand/internal/ledger"
)

type ledgerArchiveCmd struct {
	databaseFlags
	becauseFlag
	OlderThan string `placeholder:"DURATION" env:"ONHAND_OLDER_THAN" help:"Age from which a movement is archived: 2160h are 90 days."`
	DryRun    bool   `help:"Only say how much that would be."`

	olderThan time.Duration
}

func (ledgerArchiveCmd) Help() string {
	return `Moves movements older than --older-than to the table movements_archive. In their place each row of stock gets
an opening balance in the ledger, so that stock is still the sum of its movements; its newest movement always stays. It
works in short transactions while the service runs, and waits for nothing that the service locks, nor the service for
it. Interrupted, it ends after the transaction under way; what it has not done, the next run does.

What is in the archive is an outgoing message still; nothing else needs it. Export it, and delete or truncate it as you
like: the database refuses to while a message of what you remove has not left (those above done in "onhand outbox
show"). What is no longer there, verify cannot compare with the topics.

Exit status: 0 done, 3 some rows of stock were left alone because their ledger does not add up (see onhand verify), 5
another archiver is at work.

Examples:

  onhand ledger archive --older-than 2160h --dry-run
  onhand ledger archive --older-than 2160h --because "keep a quarter"
  onhand ledger archive --older-than 8760h --because "the yearly cut" -o json`
}

func (c *ledgerArchiveCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	if !c.DryRun {
		c.becauseFlag.settings(p)
	}
	if c.OlderThan == "" {
		p.add("older-than", "is missing: give an age like 2160h, which is 90 days")
		return
	}
	c.olderThan = p.duration("older-than", c.OlderThan, 0, math.MaxInt64)
}

// archived is what the command prints.
type archived struct {
	ledger.Result
	DryRun bool `json:"dry_run"`
}

func (c *ledgerArchiveCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	result, err := c.archive(ctx, con, pool)
	if errors.Is(err, ledger.ErrBusy) {
		return refused("%w", err)
	}
	if err != nil && result.Stock == 0 && result.Archived == 0 {
		return err
	}
	done := archived{Result: result, DryRun: c.DryRun}
	if err := errors.Join(con.out.Print(done, done.table), c.early(err)); err != nil {
		return err
	}
	if result.Broken > 0 {
		return &ExitError{Status: exitViolation}
	}
	return nil
}

// early says what an end before the end means.
func (c *ledgerArchiveCmd) early(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		err = errors.New("interrupted")
	}
	return fmt.Errorf("%w: not all was looked at; what was archived stays so, the next run does the rest", err)
}

func (c *ledgerArchiveCmd) archive(ctx context.Context, con *console, pool *pgxpool.Pool) (ledger.Result, error) {
	a := ledger.New(ledger.Config{Pool: pool, OlderThan: c.olderThan, Record: c.record()})
	total, err := ledger.CountStock(ctx, pool)
	if err != nil {
		return ledger.Result{}, err
	}
	stop := con.progress("rows of stock", total, a.Done)
	defer stop()
	if c.DryRun {
		return a.Survey(ctx)
	}
	return a.Run(ctx)
}

// onRecord is what the operator's record says of a run: what it changed.
type onRecord struct {
	Before   time.Time `json:"before"`
	Archived int64     `json:"archived"`
}

// record keeps one operator action, which says at any time what has been archived.
func (c *ledgerArchiveCmd) record() func(context.Context, pgx.Tx, ledger.Result) error {
	var id int64
	return func(ctx context.Context, tx pgx.Tx, soFar ledger.Result) (err error) {
		after := onRecord{soFar.Before, soFar.Archived}
		if id != 0 {
			return audit.Amend(ctx, tx, id, after)
		}
		id, err = audit.Begin(ctx, tx, audit.Action{
			Actor: audit.Actor(), Command: "ledger archive --older-than " + c.OlderThan, Because: c.Because, After: after,
		})
		return err
	}
}

func (a *archived) table(t *cliout.Grid) {
	state := "complete"
	if !a.Complete {
		state = "ended early"
	}
	moved := "movements archived"
	if a.DryRun {
		moved = "movements to archive"
	}
	t.Row("older than", a.Before.UTC().Format(time.RFC3339))
	t.Row("rows of stock", a.Stock)
	t.Row(moved, a.Archived)
	t.Row("rows of stock left alone", a.Broken)
	t.Row("state", state)
	for _, b := range a.Examples {
		t.Text("%q at %q of tenant %q, version %d: %s", b.SKU, b.Location, b.Tenant, b.Version, b.Why)
	}
}
