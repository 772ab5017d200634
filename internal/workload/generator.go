// Package workload makes inventory events for people and programs that try onhand: a seeded generator, and a sender
// that puts its events into a topic.
package workload

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// The mix of fresh events; what is left are adjustments.
const (
	receipts = 0.25
	sales    = 0.70
)

// remembered is how many earlier events a duplicate is drawn from.
const remembered = 10_000

// Config says what a Generator makes. Its zero value, but for SKUs, is a plain stream of good events.
type Config struct {
	Seed uint64 // the same seed (and clock) makes the same records
	SKUs int    // default 1000

	// Skew is 0 for SKUs drawn evenly, or the exponent of a Zipf distribution, up to 100: the larger, the more of all
	// events fall on a few SKUs.
	Skew float64

	// RandomIDs makes ids whose order is by chance (UUIDv4) instead of by time (UUIDv7).
	RandomIDs bool

	Stocked bool // a receipt of every SKU comes before everything else

	Duplicates float64 // share of records that repeat an earlier event; 0 to 1
	Bad        float64 // share of records that onhand must park; with Duplicates at most 1

	Now func() time.Time // gives events their time, and ids their order; default time.Now
}

func (c Config) withDefaults() Config {
	c.SKUs = cmp.Or(c.SKUs, 1000)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate returns everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.SKUs < 0 {
		errs = append(errs, fmt.Errorf("skus is %d, must be 1 or more", c.SKUs))
	}
	// Asked this way round because NaN fails every comparison.
	if !(c.Skew >= 0 && c.Skew <= 100) {
		errs = append(errs, fmt.Errorf("skew is %v, must be from 0 (even) to 100", c.Skew))
	}
	if !(c.Duplicates >= 0 && c.Duplicates <= 1) {
		errs = append(errs, fmt.Errorf("duplicates is %v, must be a share between 0 and 1", c.Duplicates))
	}
	if !(c.Bad >= 0 && c.Bad <= 1) {
		errs = append(errs, fmt.Errorf("bad is %v, must be a share between 0 and 1", c.Bad))
	}
	if len(errs) == 0 && c.Duplicates+c.Bad > 1 {
		errs = append(errs, errors.New("duplicates and bad add up to more than 1"))
	}
	return errors.Join(errs...)
}

// Class says what a record is to onhand.
type Class int

// The classes of records.
const (
	Fresh     Class = iota // a new event; the business may still reject it (a sale of more than there is)
	Duplicate              // an event that was made before: same key, same bytes
	Bad                    // to be parked
)

// Record is one record to send. Its bytes must not be changed: a later duplicate shares them.
type Record struct {
	Class Class
	Key   []byte // the SKU, or the order that a shop's event belongs to
	Value []byte // nil = tombstone (bad)
}

// Generator makes records, one after another, without end. It is for one goroutine.
type Generator struct {
	cfg     Config
	rng     *rand.Rand
	zipf    *zipf    // nil = evenly
	stocked []bool   // by SKU: had its first receipt
	opened  int      // the first so many had theirs before everything else
	sent    []Record // fresh ones, a sample of all so far, mostly of the last 10,000
	nextBad int
}

// New returns a generator, or what is wrong with cfg.
func New(cfg Config) (*Generator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	g := &Generator{
		cfg:     cfg,
		rng:     rand.New(rand.NewPCG(cfg.Seed, 0)),
		stocked: make([]bool, cfg.SKUs),
	}
	if cfg.Skew != 0 {
		g.zipf = newZipf(g.rng, cfg.Skew, cfg.SKUs)
	}
	return g, nil
}

// Next makes the next record. The first event of a SKU is a receipt, so that most sales find something to sell.
func (g *Generator) Next() Record {
	draw := g.rng.Float64()
	switch {
	case draw < g.cfg.Bad:
		return g.bad()
	case draw < g.cfg.Bad+g.cfg.Duplicates && len(g.sent) > 0:
		earlier := g.sent[g.rng.IntN(len(g.sent))]
		earlier.Class = Duplicate
		return earlier
	default:
		return g.fresh()
	}
}

func (g *Generator) fresh() Record {
	sku := g.drawSKU()
	e := event{sku: skuName(sku), location: "main"}
	switch draw := g.rng.Float64(); {
	case !g.stocked[sku]:
		g.stocked[sku] = true
		e.kind, e.source, e.quantity = "stock.received", "warehouse-01", 20+g.rng.IntN(60)
	case draw < receipts:
		e.kind, e.source, e.quantity = "stock.received", "warehouse-01", 1+g.rng.IntN(16)
	case draw < receipts+sales:
		e.kind, e.source, e.quantity = "stock.sold", "webshop-01", 1+g.rng.IntN(5)
	default:
		e.kind, e.source, e.reason, e.quantity = "stock.adjusted", "warehouse-01", "damaged", -1-g.rng.IntN(3)
	}
	g.stamp(&e)
	r := Record{Key: []byte(e.sku), Value: e.appendJSON(nil)}
	g.remember(r)
	return r
}

func (g *Generator) stamp(e *event) {
	e.time = g.cfg.Now()
	if g.cfg.RandomIDs {
		e.id = uuidV4(g.rng)
	} else {
		e.id = uuidV7(e.time, g.rng)
	}
}

func (g *Generator) drawSKU() int {
	if g.cfg.Stocked && g.opened < g.cfg.SKUs {
		g.opened++
		return g.opened - 1
	}
	if g.zipf != nil {
		return g.zipf.draw() - 1
	}
	return g.rng.IntN(g.cfg.SKUs)
}

func (g *Generator) remember(r Record) {
	if len(g.sent) < remembered {
		g.sent = append(g.sent, r)
		return
	}
	g.sent[g.rng.IntN(remembered)] = r
}

func skuName(n int) string {
	digits := strconv.Itoa(n)
	return "SKU-" + "000000"[min(len(digits), 6):] + digits
}
