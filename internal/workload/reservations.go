package workload

// mostWaiting is how many orders wait to be settled. One is settled at the earliest when half as many have come after
// it; on the average some hundred records later.
const mostWaiting = 300

// What becomes of orders; the rest is released.
const (
	fulfilledWhole  = 0.8
	fulfilledInPart = 0.1 // and the rest released, later
	restocked       = 0.1 // of the events that settle nothing: receipts
)

// Reservations makes orders that are reserved first, with one to three lines, and settled later; what an order is about
// has its id as the key, and so its partition. The first records settle nothing, and the last ones of a topic leave
// some orders open. It is for one goroutine.
type Reservations struct {
	shop
	waiting []promise // the oldest first, but for a few
}

// promise is an order that is open.
type promise struct {
	id    string
	first line // of its lines
	part  bool // some of it has left
}

// NewReservations returns a maker of reservations, or what is wrong with cfg.
func NewReservations(cfg ShopConfig) (*Reservations, error) {
	s, err := newShop(cfg)
	if err != nil {
		return nil, err
	}
	return &Reservations{shop: s}, nil
}

// Next makes the next record.
func (r *Reservations) Next() Record {
	switch {
	case len(r.waiting) > mostWaiting:
		return r.settle()
	case r.rng.Float64() < restocked:
		l := r.pick(1, 1, 16)[0]
		return r.record(l.sku, &event{
			kind: "stock.received", source: "warehouse-01", sku: l.sku, quantity: l.quantity, location: "main",
		})
	default:
		return r.reserve()
	}
}

// reserve makes a new order. Who hears that one is impossible does not come back to it.
func (r *Reservations) reserve() Record {
	// At least two pieces of each, so that part of an order can leave whatever its lines are.
	lines := r.pick(1+r.rng.IntN(3), 2, 4)
	p := promise{id: r.name(), first: lines[0]}
	if r.rng.Float64() < impossible {
		spoil(lines)
	} else {
		r.waiting = append(r.waiting, p)
	}
	return r.record(p.id, &event{
		kind: "stock.reserved", source: "webshop-01", reservation: p.id, ttl: r.cfg.TTL, lines: lines, location: "main",
	})
}

// settle takes one of the orders that have waited longest.
func (r *Reservations) settle() Record {
	i := r.rng.IntN(mostWaiting / 2)
	p := r.waiting[i]
	r.waiting[i] = r.waiting[0]
	r.waiting = r.waiting[1:]

	e := event{kind: "stock.released", source: "warehouse-01", reservation: p.id}
	switch draw := r.rng.Float64(); {
	case p.part:
	case draw < fulfilledWhole:
		e.kind = "stock.fulfilled"
	case draw < fulfilledWhole+fulfilledInPart:
		e.kind, e.lines, e.location = "stock.fulfilled", []line{{p.first.sku, 1}}, "main"
		p.part = true
		r.waiting = append(r.waiting, p)
	}
	return r.record(p.id, &e)
}
