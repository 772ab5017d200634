package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// OpeningStock is what each SKU must have on hand before the events of a shop come. It is more than they will ever
// take, and less than what one order in a hundred asks for: whatever order the partitions are read in, the same events
// are applied, and the same ones refused.
const OpeningStock = 100_000_000

const (
	tooMuch     = 10 * OpeningStock
	impossible  = 0.01 // share of the orders of which one line asks for too much
	mostOfOrder = 5    // lines
)

// ShopConfig says what a shop's events are like.
type ShopConfig struct {
	Seed uint64 // the same seed (and clock) makes the same records
	SKUs int    // 5 or more; drawn evenly

	TTL int // seconds until a reservation lapses; 0 = it never does

	Now func() time.Time // gives events their time, and ids their order; default time.Now
}

// shop is what the makers of a shop's events share.
type shop struct {
	cfg    ShopConfig
	rng    *rand.Rand
	orders int // so far
}

func newShop(cfg ShopConfig) (shop, error) {
	var errs []error
	if cfg.SKUs < mostOfOrder {
		errs = append(errs, fmt.Errorf("skus is %d, must be %d or more", cfg.SKUs, mostOfOrder))
	}
	if cfg.TTL < 0 {
		errs = append(errs, fmt.Errorf("ttl is %d, must be 0 (none) or more", cfg.TTL))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return shop{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0))}, errors.Join(errs...)
}

// name names the next order.
func (s *shop) name() string {
	s.orders++
	digits := strconv.Itoa(s.orders)
	return "order-" + "00000000"[min(len(digits), 8):] + digits
}

// pick draws n different SKUs, and at least and at most so many pieces of each.
func (s *shop) pick(n, least, most int) []line {
	lines := make([]line, 0, n)
	for len(lines) < n {
		sku := skuName(s.rng.IntN(s.cfg.SKUs))
		if !slices.ContainsFunc(lines, func(l line) bool { return l.sku == sku }) {
			lines = append(lines, line{sku, least + s.rng.IntN(most-least+1)})
		}
	}
	return lines
}

// spoil makes an order impossible, by its last line: those before it must not move either.
func spoil(lines []line) { lines[len(lines)-1].quantity = tooMuch }

// record finishes e and turns it into a record.
func (s *shop) record(key string, e *event) Record {
	e.time = s.cfg.Now()
	e.id = uuidV7(e.time, s.rng)
	return Record{Key: []byte(key), Value: e.appendJSON(nil)}
}
