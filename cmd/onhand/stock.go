package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/alecthomas/kong"

	"onhand/internal/cliout"
	"onhand/internal/stock"
)

type stockCmd struct {
	databaseFlags
	SKU      []string  `arg:"" optional:"" name:"sku" help:"Only these SKUs."`
	Tenant   *string   `placeholder:"NAME" help:"Only of this tenant; an empty name is the tenant of events without one (all)."`
	Location string    `placeholder:"NAME" help:"Only at this location."`
	Prefix   string    `placeholder:"TEXT" help:"Only SKUs that begin so."`
	Low      threshold `placeholder:"N" help:"Only where no more than N are available: --low=N; without N, than the SKU's low_stock, or 0 if it has none."`
	Negative bool      `help:"Only where less than nothing is available: more is promised than there is."`
	Reserved bool      `help:"Only where something is reserved."`
	Limit    string    `default:"100" placeholder:"N" help:"Most rows listed (${default})."`
	After    string    `placeholder:"KEY" help:"Only rows behind this one, in the form in which the page before it says it."`

	filter stock.Filter
}

func (stockCmd) Help() string {
	return `Rows are listed in the order of tenant, SKU and location, bytewise. Available is what is on hand and not
reserved. If there are more rows than --limit, the way to the next ones is told on stderr, and is "after" in JSON; it is
a JSON array of tenant, SKU and location. Filters that are not about the key read all rows that the others leave.

Examples:

  onhand stock
  onhand stock SKU-1 SKU-2 --location main
  onhand stock --prefix SKU- --low=10
  onhand stock --negative --limit 1000 -o json | jq -r '.stock[].sku'
  onhand stock --after '["","SKU-1","main"]'`
}

func (c *stockCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.filter = stock.Filter{
		Tenant: c.Tenant, SKUs: c.SKU, Prefix: c.Prefix, Location: c.Location, Negative: c.Negative, Reserved: c.Reserved,
	}
	c.filter.Limit = p.number("limit", c.Limit, 1, maxListed)
	switch c.Low {
	case "":
	case ownLow:
		c.filter.OwnLow = true
	default:
		low, err := strconv.ParseInt(string(c.Low), 10, 64)
		if err != nil {
			p.add("low", "%q is not a whole number", string(c.Low))
		}
		c.filter.Low = &low
	}
	if c.After != "" {
		var err error
		if c.filter.After, err = parseStockKey(c.After); err != nil {
			p.add("after", `%q is not a key like ["","SKU-1","main"]: tenant, SKU, location`, c.After)
		}
	}
}

// threshold is a flag that means each SKU's own without a value. Its text is kept, so that a wrong one is one problem
// among others.
type threshold string

// ownLow is what nobody can give as a number.
const ownLow threshold = "low_stock"

// IsBool lets kong accept the flag without a value.
func (threshold) IsBool() bool { return true }

// Decode takes the text as it is.
func (t *threshold) Decode(ctx *kong.DecodeContext) error { //nolint:unparam // kong's interface
	*t = ownLow
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*t = threshold(ctx.Scan.Pop().String())
	}
	return nil
}

// parseStockKey reads what formatStockKey wrote.
func parseStockKey(text string) (stock.Key, error) {
	var parts []string
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return stock.Key{}, fmt.Errorf("read the key of a row of stock: %w", err)
	}
	if len(parts) != 3 {
		return stock.Key{}, fmt.Errorf("a key of %d parts", len(parts))
	}
	return stock.Key{Tenant: parts[0], SKU: parts[1], Location: parts[2]}, nil
}

// formatStockKey writes a key so that it can be pasted between single quotes of a shell: printable ASCII, and none of
// these quotes.
func formatStockKey(k stock.Key) string {
	plain, _ := json.Marshal([]string{k.Tenant, k.SKU, k.Location}) //nolint:errchkjson // strings only
	var b strings.Builder
	for _, r := range string(plain) {
		if r < 0x7f && r != '\'' {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// listedStock is what stock prints.
type listedStock struct {
	Stock []stock.Row `json:"stock"`
	After *string     `json:"after"` // where the next page begins; null = there is none
}

func (c *stockCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	rows, more, err := stock.List(ctx, pool, c.filter)
	if err != nil {
		return err
	}
	listed := listedStock{Stock: rows}
	if rows == nil {
		listed.Stock = []stock.Row{} // an empty list, not null
	}
	if more {
		after := formatStockKey(rows[len(rows)-1].Key)
		listed.After = &after
		con.say("there are more rows; the next ones: --after '%s'", after)
	} else if missing := c.missing(rows); len(missing) > 0 {
		con.say("no row that was asked for: %s", cliout.Printable(strings.Join(missing, ", ")))
	}
	return con.out.Print(listed, listed.table)
}

// missing are the SKUs that were named and of which there is no row.
func (c *stockCmd) missing(rows []stock.Row) []string {
	return slices.DeleteFunc(slices.Clone(c.SKU), func(sku string) bool {
		return slices.ContainsFunc(rows, func(r stock.Row) bool { return r.SKU == sku })
	})
}

func (l *listedStock) table(t *cliout.Grid) {
	t.Row("TENANT", "SKU", "LOCATION", "ON HAND", "RESERVED", "AVAILABLE", "DAMAGED", "IN TRANSIT", "VERSION",
		"BACKORDER", "UPDATED")
	for _, r := range l.Stock {
		t.Row(orDash(&r.Tenant), r.SKU, r.Location, r.OnHand, r.Reserved, r.Available, r.Damaged, r.InTransit, r.Version,
			backorder(&r), instantOrDash(&r.UpdatedAt))
	}
}

// backorder is the policy in a word or two.
func backorder(r *stock.Row) string {
	if r.BackorderLimit != nil {
		return fmt.Sprintf("%s %d", r.Backorder, *r.BackorderLimit)
	}
	return r.Backorder
}
