package workload

// deliveries is the share of events that bring goods.
const deliveries = 0.15

// Orders makes sales of five lines each, and deliveries of five. Their keys are their own, so that the events of a SKU
// come from all partitions. It is for one goroutine.
type Orders struct{ shop }

// NewOrders returns a maker of orders, or what is wrong with cfg.
func NewOrders(cfg ShopConfig) (*Orders, error) {
	s, err := newShop(cfg)
	if err != nil {
		return nil, err
	}
	return &Orders{s}, nil
}

// Next makes the next record.
func (o *Orders) Next() Record {
	e := event{location: "main"}
	switch draw := o.rng.Float64(); {
	case draw < deliveries:
		e.kind, e.source, e.lines = "stock.received", "warehouse-01", o.pick(mostOfOrder, 1, 30)
	default:
		e.kind, e.source, e.lines = "stock.sold", "webshop-01", o.pick(mostOfOrder, 1, 5)
		if o.rng.Float64() < impossible {
			spoil(e.lines)
		}
	}
	return o.record(o.name(), &e)
}
