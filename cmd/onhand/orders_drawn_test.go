package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
)

const (
	orderPartitions = 8
	reserving       = 4 // of them have to do with reservations: batches without any find their rows by another statement
	orderSKUs       = 30
	ordersEach      = 50     // of a partition
	promised        = 100    // reservations that two partitions each want to fulfil
	received        = 10_000 // of each SKU at each location: more than all that is ordered
	tooMany         = 1_000_000
)

// orders are records by partition, and what must come of them, in whatever order the partitions are applied: there is
// enough of everything, so only those are refused that ask for more than there ever was, and the second of two that
// fulfil the same reservation.
type orders struct {
	random *rand.Rand

	receipts [][]string // partition 0 alone
	promises [][]string // reservations; partition 0 alone
	orders   [][]string

	stock   map[place]goods
	refused int

	sent  int
	drawn int
}

type place struct{ sku, location string }

type goods struct{ onHand, reserved int64 }

type orderLine struct {
	SKU      string `json:"sku"`
	Location string `json:"location"`
	Quantity int64  `json:"quantity"`
}

type order struct {
	ID          string      `json:"id"`
	Kind        string      `json:"kind"`
	Reservation string      `json:"reservation,omitempty"`
	To          string      `json:"to,omitempty"`
	Lines       []orderLine `json:"lines,omitempty"`
}

func newOrders() *orders {
	o := &orders{
		random: rand.New(rand.NewPCG(6, 2)), stock: make(map[place]goods),
		receipts: make([][]string, 1), promises: make([][]string, 1), orders: make([][]string, orderPartitions),
	}
	for sku := range orderSKUs {
		for _, location := range []string{"main", "north"} {
			at := orderLine{fmt.Sprintf("SKU-%02d", sku), location, received}
			o.receipts[0] = append(o.receipts[0], o.record(order{Kind: "stock.received", Lines: []orderLine{at}}))
			o.tally([]orderLine{at}, 1, 0)
		}
	}
	for r := range promised {
		lines := o.lines(0, "main", "north")
		o.promises[0] = append(o.promises[0],
			o.record(order{Kind: "stock.reserved", Reservation: reservation(r), Lines: lines}))
		o.tally(lines, -1, 0) // as it will be fulfilled
	}
	o.refused = promised
	for p := range orderPartitions {
		fulfils := fulfilled(p)
		for n := range ordersEach {
			o.orders[p] = append(o.orders[p], o.record(o.draw(p, n)))
			if n < len(fulfils) {
				fulfil := order{Kind: "stock.fulfilled", Reservation: reservation(fulfils[n])}
				o.orders[p] = append(o.orders[p], o.record(fulfil))
			}
		}
	}
	return o
}

func reservation(number int) string { return "R" + strconv.Itoa(100+number) }

// fulfilled are the reservations that partition wants to fulfil: each those that the next one wants too, or the one
// before.
func fulfilled(partition int) (rs []int) {
	for r := range promised {
		if one := r % reserving; one == partition || (one+1)%reserving == partition {
			rs = append(rs, r)
		}
	}
	return inOrder(partition, rs)
}

// inOrder turns what is ascending around for every other partition.
func inOrder[T any](partition int, ascending []T) []T {
	if partition%2 == 1 {
		slices.Reverse(ascending)
	}
	return ascending
}

// draw is a partition's nth order, of each kind in turn.
func (o *orders) draw(partition, n int) order {
	kinds := 4
	if partition >= reserving {
		kinds = 3
	}
	switch n % kinds {
	case 0:
		sold := order{Kind: "stock.sold", Lines: o.lines(partition, "main", "north")}
		o.tally(sold.Lines, -1, 0)
		return sold
	case 1:
		transferred := order{Kind: "stock.transferred", To: "north", Lines: o.lines(partition, "main")}
		o.tally(transferred.Lines, -1, 0)
		for _, l := range transferred.Lines {
			l.Location = transferred.To
			o.tally([]orderLine{l}, 1, 0)
		}
		return transferred
	case 2:
		refused := order{Kind: "stock.sold", Lines: o.lines(partition, "main", "north")}
		refused.Lines[o.random.IntN(len(refused.Lines))].Quantity = tooMany
		o.refused++
		return refused
	default:
		reserved := order{
			Kind: "stock.reserved", Reservation: fmt.Sprintf("P%d-%d", partition, n),
			Lines: o.lines(partition, "main", "north"),
		}
		o.tally(reserved.Lines, 0, 1)
		return reserved
	}
}

// lines are 2 to 20 of different SKUs.
func (o *orders) lines(partition int, locations ...string) []orderLine {
	skus := o.random.Perm(orderSKUs)[:2+o.random.IntN(19)]
	slices.Sort(skus)
	lines := make([]orderLine, len(skus))
	for i, sku := range skus {
		lines[i] = orderLine{
			fmt.Sprintf("SKU-%02d", sku), locations[o.random.IntN(len(locations))], 1 + o.random.Int64N(3),
		}
	}
	return inOrder(partition, lines)
}

// tally adds lines so many times to what must be on hand and reserved in the end.
func (o *orders) tally(lines []orderLine, onHand, reserved int64) {
	for _, l := range lines {
		at := place{l.SKU, l.Location}
		g := o.stock[at]
		o.stock[at] = goods{g.onHand + onHand*l.Quantity, g.reserved + reserved*l.Quantity}
	}
}

// record gives e an id of its own.
func (o *orders) record(e order) string {
	o.drawn++
	e.ID = strconv.Itoa(o.drawn)
	value, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(value)
}
