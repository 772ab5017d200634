package reference

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// step is an event on its way: the rows that it touches, as they would be after it. Nothing happens before commit.
type step struct {
	world     *Installation
	event     Identity
	kind      string
	partition Partition
	effective time.Time
	rows      map[Place]*amounts
	refused   refused // the line for which the event is
}

func (i *Installation) begin(event Identity, kind string, p Partition, effective time.Time) *step {
	return &step{i, event, kind, p, effective, make(map[Place]*amounts), refused{}}
}

func (s *step) place(at item) Place { return Place{s.event.Tenant, at.sku, at.location} }

// row is the row at a place as it would be. It counts as touched from now on.
func (s *step) row(at Place) *amounts {
	r, ok := s.rows[at]
	if !ok {
		a := s.world.Stock[at].amounts()
		r = &a
		s.rows[at] = r
	}
	return r
}

// each decides one line after the other, in their order: its version, then what change says, then whether it fits. The
// first refusal is the event's.
func (s *step) each(lines []line, change func(line, *amounts) (reason string)) (reason string) {
	for _, l := range lines {
		if reason := s.one(l, change); reason != "" {
			s.blame(l, reason)
			return reason
		}
	}
	return ""
}

func (s *step) one(l line, change func(line, *amounts) (reason string)) (reason string) {
	at := s.place(l.item)
	if !l.versionHolds(s.world.Stock[at].Version) {
		return "version_mismatch"
	}
	if s.kind != TransferReceived && s.world.isBundle(at) { // a bundle was never sent
		return "is_bundle"
	}
	if reason := change(l, s.row(at)); reason != "" {
		return reason
	}
	if !s.fits() {
		return "overflow"
	}
	return ""
}

// versionHolds says whether the version that the line asks for, if any, is the row's; 0 stands for no row.
func (l line) versionHolds(version int64) bool { return l.ifVersion == nil || *l.ifVersion == version }

func (s *step) fits() bool {
	for at, r := range s.rows {
		if !r.fit(s.world.Stock[at]) {
			return false
		}
	}
	return true
}

// commit makes one movement of each row that was touched, in the order of their SKUs and locations.
func (s *step) commit() {
	for _, at := range slices.SortedFunc(maps.Keys(s.rows), Place.compare) {
		before, after := s.world.Stock[at], s.rows[at]
		r := Row{
			OnHand: after.onHand.Int64(), Reserved: after.reserved.Int64(), Damaged: after.damaged.Int64(),
			InTransit: after.inTransit.Int64(), Version: before.Version + 1, MovedAt: before.MovedAt,
			Last: before.Last, Moves: before.Moves,
		}
		moved := r.OnHand != before.OnHand || r.Damaged != before.Damaged || s.kind == Counted
		if moved && s.effective.After(before.MovedAt) {
			r.MovedAt = s.effective
		}
		if before.Version == 0 {
			r.Last = Partition{s.partition.Topic, -1}
		}
		// An event on several rows may come from any partition: where it came from says nothing about its SKUs.
		if len(s.rows) == 1 {
			if r.Last.ID >= 0 && r.Last != s.partition {
				r.Moves++
			}
			r.Last = s.partition
		}
		s.world.Stock[at] = r
		m := Movement{
			Place: at, Version: r.Version, Delta: r.OnHand - before.OnHand,
			OnHand: r.OnHand, Reserved: r.Reserved, Damaged: r.Damaged, InTransit: r.InTransit,
			Kind: s.kind, EventID: s.event.ID, EventSource: s.event.Source,
		}
		s.world.Ledger = append(s.world.Ledger, m)
		s.world.tell(m, before, r)
		sku := at.skuKey()
		if _, known := s.world.SKUs[sku]; !known {
			s.world.SKUs[sku] = SKU{Backorder: "deny"}
		}
	}
}

func (p Place) skuKey() SKUKey { return SKUKey{p.Tenant, p.SKU} }

func (p Place) compare(q Place) int {
	return cmp.Or(strings.Compare(p.Tenant, q.Tenant), strings.Compare(p.SKU, q.SKU),
		strings.Compare(p.Location, q.Location))
}
