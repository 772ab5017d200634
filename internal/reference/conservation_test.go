package reference

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawn lets rapid make a history's choices, so that it can shrink them.
func drawn(t *rapid.T) Choose {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
}

func seeded(seed uint64) Choose { return rand.New(rand.NewPCG(seed, 0)).IntN }

func story(records int) Story {
	return Story{
		Features: Everything(), Tenants: []string{"one", "two"}, Start: at("12:00:00"), Records: records,
		Partitions: []Partition{{"t", 0}, {"t", 0}, {"t", 1}},
	}
}

// follow applies records and checks the installation after each of them.
func follow(records []Record) (*Installation, error) {
	i := New()
	for n, r := range records {
		if _, err := i.Apply(r); err != nil {
			return nil, err
		}
		if err := i.Check(); err != nil {
			return nil, fmt.Errorf("after record %d, %s: %w", n, r.Value, err)
		}
	}
	i.CaughtUp(at("12:00:00").Add(20 * time.Hour))
	return i, i.Check()
}

func TestNothingAppearsOrVanishes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		if _, err := follow(story(rapid.IntRange(0, 60).Draw(t, "records")).History(drawn(t))); err != nil {
			t.Fatal(err)
		}
	})
}

// A long history must meet everything that can become of an event, or the comparisons prove less than they seem to.
func TestALongHistoryMeetsEveryOutcome(t *testing.T) {
	t.Parallel()
	met := make(map[string]int)
	for seed := range uint64(10) {
		i := New()
		for _, r := range story(400).History(seeded(seed)) {
			o, err := i.Apply(r)
			if err != nil {
				t.Fatal(err)
			}
			e, _, _ := read(r.Value)
			met[string(o.Verdict)]++
			met[o.Reason]++
			met[e.Kind+" "+string(o.Verdict)]++
		}
		if err := i.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, m := range i.Ledger {
			met[m.Kind]++
		}
		for _, m := range i.Messages {
			met["told "+m.Kind]++
		}
		for _, r := range i.Reservations {
			met["reservation "+string(r.State)]++
		}
		for _, x := range i.Transfers {
			met["transfer "+string(x.State)]++
			for sku, got := range x.Got {
				if got != x.Sent[sku] {
					met["discrepancy"]++
				}
			}
		}
	}
	wanted := []string{
		"duplicate", "id_conflict", "stock.expired", "discrepancy", "transfer sent", "transfer received",
		"reservation open", "reservation fulfilled", "reservation released", "reservation expired",
		"insufficient_stock", "below_zero", "version_mismatch", "overflow", "policy_conflict", "count_outdated",
		"unknown_reservation", "reservation_closed", "reservation_conflict", "already_expired", "exceeds_reservation",
		"transfer_exists", "unknown_transfer", "transfer_closed", "not_in_transfer", "is_bundle", "has_stock",
		"told stock.low", "told stock.depleted", "told stock.restored", "told stock.overcommitted", "told stock.rejected",
		"bundle_of_bundle", "quantity_out_of_range", "if_version_conflict", "same_location", "bad_bundle",
	}
	for _, kind := range Everything().Kinds {
		wanted = append(wanted, kind+" applied", kind+" rejected", kind+" duplicate")
	}
	for _, w := range wanted {
		if met[w] == 0 {
			t.Errorf("%s is never met", w)
		}
	}
}
