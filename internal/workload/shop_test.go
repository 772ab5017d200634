package workload

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"onhand/inbox"
	"onhand/inventory"
)

// shopWire is a shop's event as it stands in a record.
type shopWire struct {
	ID, Kind, SKU, Reservation string
	Quantity, TTL              int
	Lines                      []struct {
		SKU      string
		Quantity int
	}
}

func orders(t *testing.T, cfg ShopConfig) Source {
	t.Helper()
	cfg.Now = clock()
	o, err := NewOrders(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func reservations(t *testing.T, cfg ShopConfig) Source {
	t.Helper()
	cfg.Now = clock()
	r, err := NewReservations(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// take reads the next n records.
func take(t *testing.T, s Source, n int) (records []Record, events []shopWire) {
	t.Helper()
	for range n {
		r := s.Next()
		var e shopWire
		if err := json.Unmarshal(r.Value, &e); err != nil {
			t.Fatalf("%v: %s", err, r.Value)
		}
		records, events = append(records, r), append(events, e)
	}
	return records, events
}

func near(got, want float64) bool { return math.Abs(got-want) < 0.02 }

func TestAShopsEventsRepeatWithTheirSeedAndCanBeRead(t *testing.T) {
	t.Parallel()
	for name, shop := range map[string]func(*testing.T, ShopConfig) Source{
		"orders": orders, "reservations": reservations,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, _ := take(t, shop(t, ShopConfig{Seed: 7, SKUs: 100}), 3000)
			second, _ := take(t, shop(t, ShopConfig{Seed: 7, SKUs: 100}), 3000)
			other, _ := take(t, shop(t, ShopConfig{Seed: 8, SKUs: 100}), 3000)
			decoder := inventory.NewDecoder(inventory.DecoderConfig{MaxRecordBytes: 1 << 20})
			ids, differ := map[string]bool{}, 0
			for i, r := range first {
				if !bytes.Equal(r.Value, second[i].Value) || !bytes.Equal(r.Key, second[i].Key) {
					t.Fatalf("record %d: %s and %s", i, r.Value, second[i].Value)
				}
				if !bytes.Equal(r.Value, other[i].Value) {
					differ++
				}
				e, err := decoder.Decode(&inbox.Record{Topic: "t", Key: r.Key, Value: r.Value})
				if err != nil || ids[e.ID] || r.Class != Fresh {
					t.Fatalf("record %d, %s: %v, or its id was there before", i, r.Value, err)
				}
				ids[e.ID] = true
			}
			if differ < 2900 {
				t.Errorf("another seed makes almost the same: only %d of 3000 differ", differ)
			}
		})
	}
}

func TestOrdersHaveFiveDifferentSKUsAndOneInAHundredIsImpossible(t *testing.T) {
	t.Parallel()
	const n = 20_000
	_, events := take(t, orders(t, ShopConfig{Seed: 1, SKUs: 10_000}), n)
	kinds, refused := map[string]int{}, 0
	balance := map[string]int{}
	for _, e := range events {
		skus := map[string]bool{}
		tooMany := false
		for _, l := range e.Lines {
			skus[l.SKU] = true
			tooMany = tooMany || l.Quantity > OpeningStock
		}
		if len(e.Lines) != 5 || len(skus) != 5 || e.SKU != "" {
			t.Fatalf("%+v: want five lines on five SKUs", e)
		}
		kinds[e.Kind]++
		if tooMany {
			refused++
			continue
		}
		for _, l := range e.Lines {
			if e.Kind == "stock.sold" {
				balance[l.SKU] -= l.Quantity
			}
		}
	}
	if !near(float64(kinds["stock.sold"])/n, 0.85) || !near(float64(kinds["stock.received"])/n, 0.15) {
		t.Errorf("%v", kinds)
	}
	if share := float64(refused) / float64(kinds["stock.sold"]); share < 0.005 || share > 0.015 {
		t.Errorf("%.4f of the orders ask for too much, want 0.01", share)
	}
	if len(balance) < 9_900 {
		t.Errorf("only %d of 10000 SKUs are sold", len(balance))
	}
	// Sold a thousand times as much, none would come near its end: in no order of the partitions is one refused.
	for sku, taken := range balance {
		if -taken > OpeningStock/1000 {
			t.Errorf("%d of %s are sold, %d are there", -taken, sku, OpeningStock)
		}
	}
}

// life is what happened to one order.
type life struct {
	kinds       string
	open        map[string]int
	impossible  bool
	begun, last int
}

func TestOrdersAreReservedAndSettledSomeHundredRecordsLater(t *testing.T) {
	t.Parallel()
	const n = 60_000
	records, events := take(t, reservations(t, ShopConfig{Seed: 3, SKUs: 1000}), n)
	lives := map[string]*life{}
	var receipts, gaps, settled int
	lines := map[int]int{}
	for i, e := range events {
		if e.Reservation == "" {
			if e.Kind != "stock.received" || e.SKU != string(records[i].Key) || e.Quantity < 1 {
				t.Fatalf("%s with key %s", records[i].Value, records[i].Key)
			}
			receipts++
			continue
		}
		if string(records[i].Key) != e.Reservation {
			t.Fatalf("%s has the key %s: an order must stay in its partition", records[i].Value, records[i].Key)
		}
		l := lives[e.Reservation]
		if e.Kind == "stock.reserved" {
			if l != nil || len(e.Lines) < 1 || len(e.Lines) > 3 {
				t.Fatalf("%s: there is one already, or its lines are too few or too many", records[i].Value)
			}
			l = &life{open: map[string]int{}, begun: i, last: i}
			lives[e.Reservation] = l
			lines[len(e.Lines)]++
			for _, line := range e.Lines {
				l.open[line.SKU] = line.Quantity
				l.impossible = l.impossible || line.Quantity > OpeningStock
			}
			continue
		}
		if l == nil || l.impossible || len(l.open) == 0 {
			t.Fatalf("%s: nothing is open", records[i].Value)
		}
		if gap := i - l.last; gap < mostWaiting/2 {
			t.Fatalf("%s comes %d records after the one before", records[i].Value, gap)
		}
		if l.kinds == "" {
			gaps, settled = gaps+i-l.begun, settled+1
		}
		l.last, l.kinds = i, l.kinds+strings.TrimPrefix(e.Kind, "stock.")[:1]
		for _, line := range e.Lines {
			if l.kinds += "-"; line.Quantity >= l.open[line.SKU] {
				t.Fatalf("%s: more than a part of what is open", records[i].Value)
			}
			l.open[line.SKU] -= line.Quantity
		}
		if len(e.Lines) == 0 {
			clear(l.open)
		}
	}
	ends, impossible := map[string]int{}, 0
	for _, l := range lives {
		if l.impossible {
			impossible++
			continue
		}
		ends[l.kinds]++
	}
	closed := float64(ends["f"] + ends["f-r"] + ends["r"])
	for end, share := range map[string]float64{"f": 0.8, "f-r": 0.1, "r": 0.1} {
		if !near(float64(ends[end])/closed, share) {
			t.Errorf("%.0f orders are settled: %v", closed, ends)
		}
	}
	if open := ends[""] + ends["f-"]; len(ends) != 5 || open < mostWaiting-1 || open > mostWaiting+1 {
		t.Errorf("%d orders are open at the end, want %d: %v", open, mostWaiting, ends)
	}
	if mean := gaps / settled; mean > 1000 {
		t.Errorf("orders are settled %d records after they were reserved", mean)
	}
	share := float64(impossible) / float64(len(lives))
	if share < 0.005 || share > 0.015 || !near(float64(receipts)/n, 0.05) {
		t.Errorf("%.4f of the orders are impossible, %.4f of the events receipts", share, float64(receipts)/n)
	}
	for k := 1; k <= 3; k++ {
		if !near(float64(lines[k])/float64(len(lives)), 1./3) {
			t.Errorf("orders by lines: %v", lines)
		}
	}
}

func TestReservationsHaveADeadlineIfThatIsWanted(t *testing.T) {
	t.Parallel()
	for _, ttl := range []int{0, 86_400} {
		_, events := take(t, reservations(t, ShopConfig{Seed: 1, SKUs: 10, TTL: ttl}), 2000)
		for _, e := range events {
			if want := map[bool]int{true: ttl}[e.Kind == "stock.reserved"]; e.TTL != want {
				t.Fatalf("%+v, want a ttl of %d", e, want)
			}
		}
	}
}

func TestAShopNeedsAsManySKUsAsAnOrderHasLines(t *testing.T) {
	t.Parallel()
	if _, err := NewOrders(ShopConfig{SKUs: 4}); err == nil || !strings.Contains(err.Error(), "skus") {
		t.Errorf("four SKUs: %v", err)
	}
	if _, err := NewReservations(ShopConfig{SKUs: 5, TTL: -1}); err == nil || !strings.Contains(err.Error(), "ttl") {
		t.Errorf("a negative ttl: %v", err)
	}
}
