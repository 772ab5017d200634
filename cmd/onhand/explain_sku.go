package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"onhand/internal/cliout"
	"onhand/internal/explain"
	"onhand/internal/stock"
)

type explainSKUCmd struct {
	databaseFlags
	SKU      string `arg:"" name:"sku" help:"The SKU."`
	Location string `placeholder:"NAME" help:"Only at this location (all)."`
	Tenant   string `placeholder:"NAME" help:"The SKU's tenant (none)."`
	Limit    string `default:"50" placeholder:"N" help:"Most lines listed, and most rows of stock (${default})."`
	Before   string `placeholder:"VERSION" help:"Only lines below this version: the next page. Versions count per location, so this wants --location."`

	limit  int
	before int64
}

// maxLines bounds --limit: so many lines are read of each location in which something moved.
const maxLines = 10_000

func (explainSKUCmd) Help() string {
	return `Each line of the ledger is shown with what was on hand after it, and with the record behind it, unless the
inbox has forgotten that. Lines in the archive are among them. The lines of one location are in the order of their
versions, and locations among each other in that of time. An opening balance is a line only where the movement that it
stands for is gone from the archive.

Examples:

  onhand explain sku SKU-1
  onhand explain sku SKU-1 --location main --limit 500
  onhand explain sku SKU-1 --location main --before 1200
  onhand explain sku SKU-1 --tenant north -o json | jq '.lines[] | [.version, .delta, .record.offset]'`
}

func (c *explainSKUCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.limit = p.number("limit", c.Limit, 1, maxLines)
	if c.Before == "" {
		return
	}
	var err error
	if c.before, err = strconv.ParseInt(c.Before, 10, 64); err != nil || c.before < 1 {
		p.add("before", "%q is not a version: a number from 1", c.Before)
	}
	if c.Location == "" {
		p.add("before", "is a version of one location: give --location too")
	}
}

// explainedSKU is what explain sku prints.
type explainedSKU struct {
	Stock []stock.Row    `json:"stock"`
	Lines []explain.Line `json:"lines"` // newest first
	More  bool           `json:"more"`  // there are older lines, or other rows of stock
}

func (c *explainSKUCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	var e explainedSKU
	err = explain.Read(ctx, pool, func(tx pgx.Tx) (err error) {
		var moreRows bool
		e.Stock, moreRows, err = stock.List(ctx, tx, stock.Filter{
			Tenant: &c.Tenant, SKUs: []string{c.SKU}, Location: c.Location, Limit: c.limit,
		})
		if err != nil {
			return err
		}
		e.Lines, e.More, err = explain.Lines(ctx, tx, explain.Question{
			Tenant: c.Tenant, SKU: c.SKU, Location: c.Location, Before: c.before, Limit: c.limit,
		})
		e.More = e.More || moreRows
		return err
	})
	if err != nil {
		return err
	}
	if len(e.Stock) == 0 {
		return fmt.Errorf("SKU %q of %s has no stock%s: nothing has moved it", c.SKU, tenantWord(c.Tenant), c.place())
	}
	if e.Lines == nil {
		e.Lines = []explain.Line{} // an empty list, not null
	}
	if e.More {
		con.say("%s", c.next(e.Lines))
	}
	return con.out.Print(e, e.table)
}

func (c *explainSKUCmd) place() string {
	if c.Location == "" {
		return ""
	}
	return fmt.Sprintf(" at %q", c.Location)
}

// next says how to see what is not listed.
func (c *explainSKUCmd) next(lines []explain.Line) string {
	if c.Location == "" {
		return "there is more; narrow it down with --location"
	}
	return fmt.Sprintf("there are older lines; the next ones: --before %d", lines[len(lines)-1].Version)
}

func (e *explainedSKU) table(t *cliout.Grid) {
	listed := listedStock{Stock: e.Stock}
	listed.table(t)
	t.Row()
	t.Row("RECORDED", "LOCATION", "VERSION", "DELTA", "ON HAND", "RESERVED", "KIND", "EVENT", "SOURCE", "RECORD", "")
	for _, l := range e.Lines {
		record, archived := "-", ""
		if l.Record != nil {
			record = l.Record.String()
		}
		if l.Archived {
			archived = "archived"
		}
		t.Row(instantOrDash(&l.RecordedAt), l.Location, l.Version, signed(l.Delta), l.OnHand, l.Reserved, l.Kind,
			l.EventID, orDash(&l.EventSource), record, archived)
	}
}
