package reference

import (
	"cmp"
	"math"
	"math/big"
)

// Message is what is told, by its payload: which fields there are depends on its kind. What is nil or empty is left
// out.
type Message struct {
	Key       string   `json:"key"`
	Type      string   `json:"type"` // of the CloudEvent
	Kind      string   `json:"kind"`
	Tenant    string   `json:"tenant"`
	SKU       string   `json:"sku"`
	Location  string   `json:"location"`
	Quantity  *big.Int `json:"quantity"`   // of stock.rejected: of the line
	IfVersion *int64   `json:"if_version"` // likewise
	OnHand    *int64   `json:"on_hand"`
	Reserved  *int64   `json:"reserved"`
	Available *int64   `json:"available"`
	Damaged   int64    `json:"damaged"`
	InTransit int64    `json:"in_transit"`
	Threshold *int64   `json:"threshold"` // of stock.low
	Version   *int64   `json:"version"`
	Follows   *int64   `json:"follows"` // of stock.changed, as is delta
	Delta     *int64   `json:"delta"`

	Reservation string `json:"reservation"` // of stock.rejected, as is transfer
	Transfer    string `json:"transfer"`
	EventID     string `json:"event_id"`
	Source      string `json:"source"`
	EventKind   string `json:"event_kind"`
	Reason      string `json:"reason"`
}

// about is a message about a row.
func about(kind string, at Place, r Row) Message {
	available := r.available()
	return Message{
		Key: at.SKU, Type: kind, Kind: kind, Tenant: at.Tenant, SKU: at.SKU, Location: at.Location,
		OnHand: &r.OnHand, Reserved: &r.Reserved, Available: &available, Version: &r.Version,
	}
}

func (r Row) available() int64 { return r.OnHand - r.Reserved }

// tell tells of a movement, and then of each line that it crossed.
func (i *Installation) tell(m Movement, before, after Row) {
	told := func(kind string) *Message {
		msg := about(kind, m.Place, after)
		msg.EventID, msg.Source, msg.EventKind = m.EventID, m.EventSource, m.Kind
		i.Messages = append(i.Messages, msg)
		return &i.Messages[len(i.Messages)-1]
	}
	changed := told("stock.changed")
	changed.Follows, changed.Delta, changed.Damaged, changed.InTransit = &before.Version, &m.Delta, m.Damaged, m.InTransit

	sku := i.SKUs[m.skuKey()]
	fell := func(line int64) bool { return before.available() > line && after.available() <= line }
	if sku.LowStock != nil && fell(*sku.LowStock) {
		told("stock.low").Threshold = sku.LowStock
	}
	if fell(0) {
		told("stock.depleted")
	}
	enough := int64(0)
	if sku.LowStock != nil {
		enough = *sku.LowStock
	}
	if before.Version > 0 && before.available() <= enough && after.available() > enough {
		told("stock.restored")
	}
	allowed := func(r Row) bool { return sku.allows(big.NewInt(r.available())) }
	if allowed(before) && !allowed(after) {
		told("stock.overcommitted")
	}
}

// refused is the line that an event is refused for.
type refused struct {
	at   Place
	row  *Row // what was there; nil = it was not looked at
	line *line
}

// reject tells why an event is refused: what it asked for, and what was there.
func (i *Installation) reject(e *event, reason string, r refused) {
	const rejected = "stock.rejected"
	m := Message{}
	if r.row != nil {
		m = about(rejected, r.at, *r.row)
		m.Damaged = r.row.Damaged
	}
	if r.line != nil {
		m.Quantity, m.IfVersion = r.line.quantity, r.line.ifVersion
		if most := big.NewInt(math.MaxInt64); m.Quantity.Cmp(most) > 0 {
			m.Quantity = most // of a bundle's part
		}
	}
	m.Type, m.Kind = rejected, rejected
	m.Tenant, m.SKU, m.Location = e.Identity.Tenant, r.at.SKU, r.at.Location
	if e.Kind == Defined {
		m.SKU = e.SKU
	}
	m.Reservation, m.Transfer = e.Reservation, e.Transfer
	m.EventID, m.Source, m.EventKind, m.Reason = e.Identity.ID, e.Identity.Source, e.Kind, reason
	m.Key = cmp.Or(m.SKU, m.Reservation, m.Transfer)
	i.Messages = append(i.Messages, m)
}

// blame notes that the event is refused for a line. What a line overflows may be the row that its goods go to.
func (s *step) blame(l line, reason string) {
	at := s.place(l.item)
	if own, touched := s.rows[at]; reason == "overflow" && touched && own.fit(s.world.Stock[at]) {
		for other, r := range s.rows {
			if !r.fit(s.world.Stock[other]) {
				at, l.ifVersion = other, nil // that was asked of its own row
			}
		}
	}
	row := s.world.Stock[at]
	s.refused = refused{at, &row, &l}
	if reason == "not_in_transfer" {
		s.refused.row = nil
	}
}
