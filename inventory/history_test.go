package inventory

import (
	"fmt"
	"math"

	"pgregory.net/rapid"
)

// histories draws events that have much to do with each other: two SKUs, two locations, two partitions.
func histories(tenant string) *rapid.Generator[[]occurrence] {
	return rapid.Custom(func(t *rapid.T) []occurrence {
		n := rapid.IntRange(0, 40).Draw(t, "events")
		os := make([]occurrence, n)
		for i := range os {
			os[i] = occurrence{
				Event:  events().Draw(t, "event"),
				tenant: tenant,
				id:     fmt.Sprintf("%s-%d", tenant, i),
				source: rapid.SampledFrom([]string{"", "shop"}).Draw(t, "source"),
				from: Partition{
					rapid.SampledFrom([]string{"a", "b"}).Draw(t, "topic"), rapid.Int32Range(0, 1).Draw(t, "partition"),
				},
			}
		}
		return os
	})
}

func events() *rapid.Generator[*Event] {
	return rapid.Custom(func(t *rapid.T) *Event {
		e := &Event{
			Kind: rapid.SampledFrom([]Kind{Received, Sold, Sold, Returned, Adjusted, Counted, Defined}).Draw(t, "kind"),
		}
		sku := rapid.SampledFrom([]string{"A", "Ä"}).Draw(t, "sku")
		if e.Kind == Defined {
			e.Definition = &Definition{SKU: sku}
			p := &e.Definition.Policy
			p.Backorder = rapid.SampledFrom([]Backorder{Deny, Allow, Limit}).Draw(t, "backorder")
			if p.Backorder == Limit {
				p.Max = rapid.OneOf(rapid.Int64Range(0, 10), rapid.Just[int64](math.MaxInt64)).Draw(t, "limit")
			}
			return e
		}
		e.Lines = []Line{{
			SKU:       sku,
			Location:  rapid.SampledFrom([]string{"main", "north"}).Draw(t, "location"),
			IfVersion: rapid.SampledFrom([]int64{AnyVersion, AnyVersion, AnyVersion, 0, 1, 2, 3}).Draw(t, "if version"),
			Quantity:  quantities(e.Kind).Draw(t, "quantity"),
		}}
		return e
	})
}

func quantities(k Kind) *rapid.Generator[int64] {
	usual, greatest := rapid.Int64Range(1, 9), rapid.Int64Range(math.MaxInt64-3, math.MaxInt64)
	switch k {
	case Counted:
		return rapid.OneOf(rapid.Int64Range(0, 9), usual, greatest)
	case Adjusted:
		return rapid.OneOf(usual, rapid.Int64Range(-9, -1), rapid.Int64Range(-9, -1), greatest,
			rapid.Int64Range(math.MinInt64, math.MinInt64+3))
	default:
		return rapid.OneOf(usual, usual, usual, usual, greatest)
	}
}

// cut cuts a history into batches, anywhere.
func cut(t *rapid.T, history []occurrence) [][]occurrence {
	var batches [][]occurrence
	for rest := history; len(rest) > 0; {
		n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
		batches = append(batches, rest[:n])
		rest = rest[n:]
	}
	return batches
}
