package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"onhand/inbox"
	"onhand/inventory"
)

// clock is a clock that moves a millisecond each time somebody looks.
func clock() func() time.Time {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Millisecond)
		return now
	}
}

func generate(t *testing.T, cfg Config, n int) []Record {
	t.Helper()
	cfg.Now = clock()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	records := make([]Record, n)
	for i := range records {
		records[i] = g.Next()
	}
	return records
}

type wire struct {
	ID, Kind, Source, SKU, Location string
	Quantity                        int
	Time                            time.Time
}

func decode(t *testing.T, r Record) wire {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(r.Value))
	var w wire
	if err := d.Decode(&w); err != nil {
		t.Fatalf("%v: %s", err, r.Value)
	}
	return w
}

func TestASeedRepeatsItsRecords(t *testing.T) {
	t.Parallel()
	cfg := Config{Seed: 7, Skew: 1.2, Duplicates: 0.1, Bad: 0.1}
	first, second := generate(t, cfg, 5000), generate(t, cfg, 5000)
	cfg.Seed = 8
	other := generate(t, cfg, 5000)
	differ := 0
	for i := range first {
		if first[i].Class != second[i].Class || !bytes.Equal(first[i].Value, second[i].Value) ||
			!bytes.Equal(first[i].Key, second[i].Key) {
			t.Fatalf("record %d: %s and %s", i, first[i].Value, second[i].Value)
		}
		if !bytes.Equal(first[i].Value, other[i].Value) {
			differ++
		}
	}
	if differ < 4000 {
		t.Errorf("another seed makes almost the same: only %d of 5000 differ", differ)
	}
}

func TestFreshEventsAreWellFormed(t *testing.T) {
	t.Parallel()
	v7 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids := map[string]bool{}
	stocked := map[string]bool{}
	kinds := map[string]int{}
	lastTime := ""
	for _, r := range generate(t, Config{Seed: 1, SKUs: 100}, 20_000) {
		e := decode(t, r)
		if r.Class != Fresh || e.SKU != string(r.Key) || e.Location != "main" || e.Quantity == 0 {
			t.Fatalf("%+v %s", r, r.Value)
		}
		if !v7.MatchString(e.ID) || ids[e.ID] || e.ID[:13] < lastTime {
			t.Fatalf("id %q is no UUIDv7, was there before, or runs backwards", e.ID)
		}
		if len(r.Value) < 170 || len(r.Value) > 200 {
			t.Fatalf("%d bytes: %s", len(r.Value), r.Value)
		}
		if !stocked[e.SKU] && e.Kind != "stock.received" {
			t.Fatalf("%s begins with %s", e.SKU, e.Kind)
		}
		ids[e.ID], stocked[e.SKU], lastTime = true, true, e.ID[:13]
		kinds[e.Kind]++
	}
	for kind, share := range map[string]float64{"stock.received": 0.25, "stock.sold": 0.70, "stock.adjusted": 0.05} {
		if got := float64(kinds[kind]) / 20_000; math.Abs(got-share) > 0.02 {
			t.Errorf("%s: %.3f of all, want %.2f", kind, got, share)
		}
	}
}

func TestRandomIDsHaveNoOrder(t *testing.T) {
	t.Parallel()
	v4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids := map[string]bool{}
	last, falls := "", 0
	for _, r := range generate(t, Config{Seed: 1, RandomIDs: true}, 5000) {
		e := decode(t, r)
		if !v4.MatchString(e.ID) || ids[e.ID] {
			t.Fatalf("id %q is no UUIDv4, or was there before", e.ID)
		}
		if e.ID < last {
			falls++
		}
		ids[e.ID], last = true, e.ID
	}
	if falls < 2000 || falls > 3000 {
		t.Errorf("%d of 5000 ids are below the one before, want half of them", falls)
	}
}

func TestMostSalesFindStock(t *testing.T) {
	t.Parallel()
	onHand := map[string]int{}
	refused, n := 0, 60_000
	for _, r := range generate(t, Config{Seed: 3}, n) {
		e := decode(t, r)
		change := e.Quantity
		if e.Kind == "stock.sold" {
			change = -change
		}
		if onHand[e.SKU]+change < 0 {
			refused++
			continue
		}
		onHand[e.SKU] += change
	}
	if refused == 0 || refused > n/20 {
		t.Errorf("%d of %d refused: some are wanted, and less than 5%%", refused, n)
	}
}

func TestDuplicatesRepeatAnEarlierEvent(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	duplicates := 0
	for _, r := range generate(t, Config{Seed: 5, Duplicates: 0.2}, 50_000) {
		if r.Class == Fresh {
			seen[string(r.Value)] = string(r.Key)
			continue
		}
		duplicates++
		if key, known := seen[string(r.Value)]; !known || key != string(r.Key) {
			t.Fatalf("%s with key %s was not sent before", r.Value, r.Key)
		}
	}
	if duplicates < 9_000 || duplicates > 11_000 {
		t.Errorf("%d of 50000 are duplicates, want a fifth", duplicates)
	}
}

func TestTheServicesOwnDecoderParksTheBadAndReadsTheGood(t *testing.T) {
	t.Parallel()
	decoder := inventory.NewDecoder(inventory.DecoderConfig{MaxRecordBytes: 1 << 20})
	codes := map[string]bool{}
	for i, r := range generate(t, Config{Seed: 9, Bad: 0.5}, 2000) {
		_, err := decoder.Decode(&inbox.Record{Topic: "t", Key: r.Key, Value: r.Value})
		if r.Class != Bad {
			if err != nil {
				t.Fatalf("record %d, %s: %v", i, r.Value, err)
			}
			continue
		}
		var refusal *inbox.Refusal
		if !errors.As(err, &refusal) || !refusal.Parked {
			t.Fatalf("record %d, %q: got %v, want it parked", i, r.Value, err)
		}
		codes[refusal.Code] = true
	}
	if len(codes) < 10 {
		t.Errorf("only %d different reasons: %v", len(codes), codes)
	}
}

func TestSkewPutsMostEventsOnAFewSKUs(t *testing.T) {
	t.Parallel()
	top := func(skew float64) int {
		count := map[string]int{}
		most := 0
		for _, r := range generate(t, Config{Seed: 2, SKUs: 1000, Skew: skew}, 20_000) {
			count[string(r.Key)]++
			most = max(most, count[string(r.Key)])
		}
		return most
	}
	if even, some, much := top(0), top(0.99), top(1.5); even > 60 || some < 2000 || some > 3500 || much < 5000 {
		t.Errorf("the hottest SKU has %d events when even, %d with 0.99, %d with 1.5", even, some, much)
	}
}

func TestImpossibleSettingsAreAllReported(t *testing.T) {
	t.Parallel()
	_, err := New(Config{SKUs: -1, Skew: -0.5, Duplicates: -0.1, Bad: math.NaN()})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"skus", "skew", "duplicates", "bad"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("nothing about %s in: %v", name, err)
		}
	}
	if _, err := New(Config{Duplicates: 0.6, Bad: 0.6}); err == nil {
		t.Error("shares of more than 1 are let through")
	}
}

func TestStockOfEverySKUComesFirstIfThatIsWanted(t *testing.T) {
	t.Parallel()
	const skus = 500
	stocked := map[string]bool{}
	for i, r := range generate(t, Config{Seed: 5, SKUs: skus, Stocked: true}, 2*skus) {
		e := decode(t, r)
		if i < skus && (e.Kind != "stock.received" || stocked[e.SKU]) {
			t.Fatalf("record %d is %+v, want the first receipt of a SKU", i, e)
		}
		stocked[e.SKU] = true
	}
	if len(stocked) != skus {
		t.Errorf("%d SKUs, want %d", len(stocked), skus)
	}
}
