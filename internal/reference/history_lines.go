package reference

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// many are the lines of a large order; more than there are SKUs and locations.
const many = 40

func (t *teller) sku() string {
	if t.vast && !t.oneIn(4) {
		return "A"
	}
	if !t.Bundles || !t.oneIn(5) {
		return pick(t, "A", "Ä", "B")
	}
	kit := pick(t, "kit", "pair")
	if t.world.isBundle(Place{t.tenant, kit, ""}) || t.oneIn(8) {
		return kit
	}
	return "A" // or a kit would have stock before it is one
}

// quantity is that of a kind's line: few, or close to what 64 bits hold.
func (t *teller) quantity(kind string) int64 {
	few := int64(t.choose(9)) + 1
	switch {
	case t.vast && t.oneIn(2) || t.oneIn(16):
		few = math.MaxInt64 - int64(t.choose(4))
		if kind == Adjusted && t.oneIn(2) {
			few = math.MinInt64 + int64(t.choose(4))
		}
	case kind == Adjusted && t.oneIn(2):
		few = -few
	case kind == Counted:
		few--
	case kind == Received:
		few += 5
	}
	return few
}

// lines gives e one line at its top level, or several.
func (t *teller) lines(e fields, quantity func() int64) {
	if !t.Lines || !t.oneIn(3) {
		maps.Copy(e, t.line(quantity()))
		return
	}
	n := 1 + t.choose(4)
	if t.oneIn(12) {
		n = many
	}
	lines := make([]fields, n)
	for i := range lines {
		lines[i] = t.line(quantity())
	}
	e["lines"] = lines
	if t.oneIn(3) {
		e["location"] = t.location()
	}
}

func (t *teller) location() string { return pick(t, "main", "north", "south") }

func (t *teller) line(quantity int64) fields {
	l := fields{"sku": t.sku(), "quantity": quantity}
	location := "main"
	if t.oneIn(2) && (!t.vast || t.oneIn(4)) {
		location = t.location()
		l["location"] = location
	}
	if t.oneIn(8) {
		version := t.world.Stock[Place{t.tenant, l.text("sku"), location}].Version
		if t.oneIn(3) {
			version = int64(t.choose(4))
		}
		l["if_version"] = version
	}
	return l
}

func (t *teller) definition(e fields) {
	e["sku"] = t.sku()
	if t.Bundles && t.oneIn(2) {
		e["sku"] = pick(t, "kit", "pair")
	}
	if t.oneIn(2) || t.vast {
		e["backorder"] = pick(t, "deny", "limit", "allow")
	}
	if e["backorder"] == "limit" {
		e["backorder_limit"] = pick(t, int64(t.choose(11)), 0, math.MaxInt64)
	}
	if t.Details {
		if t.oneIn(2) {
			e["low_stock"] = int64(t.choose(9))
		}
		if t.oneIn(3) {
			e["name"], e["unit"] = pick(t, "a thing", "ein Ding, größer"), "piece"
		}
	}
	if isKit := e["sku"] == "kit" || e["sku"] == "pair"; t.Bundles && (isKit != t.oneIn(8)) {
		e["bundle"] = t.bundle()
	}
}

func (t *teller) bundle() []fields {
	parts := make([]fields, 1+t.choose(3))
	for i := range parts {
		n := int64(t.choose(3)) + 1
		if t.oneIn(16) {
			n = math.MaxInt64 / 2
		}
		parts[i] = fields{"sku": []string{"A", "Ä", "B"}[i], "quantity": n}
		if t.oneIn(6) {
			parts[i]["sku"] = pick(t, "pair", "kit", "A")
		}
	}
	return parts
}

// known is one of the ids that are there already, of a tenant's reservations or transfers, in order; or a new one.
func known[V any](t *teller, among map[PartyKey]V, id string, wanted func(V) bool) string {
	var fit, unfit []string
	for key, v := range among {
		switch {
		case key.Tenant != t.tenant:
		case wanted(v):
			fit = append(fit, key.ID)
		default:
			unfit = append(unfit, key.ID)
		}
	}
	slices.Sort(fit)
	slices.Sort(unfit)
	switch {
	case len(fit) > 0 && !t.oneIn(8):
		return pick(t, fit...)
	case len(unfit) > 0 && !t.oneIn(3):
		return pick(t, unfit...)
	}
	return id
}

func (t *teller) reservation(id string) (string, Reservation) {
	id = known(t, t.world.Reservations, id, func(r Reservation) bool { return r.State == StateOpen })
	return id, t.world.Reservations[PartyKey{t.tenant, id}]
}

func (t *teller) promise(e fields) {
	id := "r" + e.text("id")
	var r Reservation
	if t.oneIn(3) {
		id, r = t.reservation(id)
	}
	e["reservation"] = id
	t.deadline(e)
	switch {
	case r.State == "" && !t.oneIn(12):
		t.lines(e, func() int64 { return t.quantity(Reserved) })
	case r.State == StateOpen && t.oneIn(2):
		e["lines"] = t.partOf(r)
	}
}

func (t *teller) deadline(e fields) {
	if !t.Deadlines {
		return
	}
	switch t.choose(4) {
	case 1:
		e["ttl"] = pick(t, 1, 5, 60, 600, math.MaxInt32)
	case 2:
		e["expires_at"] = stamp(t.now.Add(pick(t, time.Second, time.Minute, 0, -time.Second, 100*365*24*time.Hour,
			1500*time.Nanosecond)))
	}
}

func (t *teller) ending(e fields) {
	id, r := t.reservation("nobody's")
	e["reservation"] = id
	switch {
	case !t.oneIn(2):
	case r.State == StateOpen && t.Lines:
		e["lines"] = t.partOf(r)
	default:
		t.lines(e, func() int64 { return t.quantity(Released) })
	}
}

// partOf are lines that are open in r: all, or some, or of one less, or of one more.
func (t *teller) partOf(r Reservation) []fields {
	var lines []fields
	for _, l := range r.lines() {
		n := l.quantity.Int64()
		if t.oneIn(3) {
			n = 1 + int64(t.choose(int(min(n, 8))))
		}
		if t.oneIn(10) && n < math.MaxInt64 {
			n++
		}
		if len(lines) == 0 || !t.oneIn(4) {
			lines = append(lines, fields{"sku": l.sku, "location": l.location, "quantity": n})
		}
	}
	return lines
}

func (t *teller) departure(e fields) {
	t.lines(e, func() int64 { return t.quantity(Transferred) })
	from := map[string]bool{}
	lines, ok := e["lines"].([]fields)
	if !ok {
		lines = []fields{e}
	}
	for _, l := range lines {
		from[cmp.Or(l.text("location"), e.text("location"), mainLocation)] = true
	}
	for _, to := range []string{t.location(), "main", "north", "south", "far"} {
		e["to"] = to
		if !from[to] || t.oneIn(16) {
			break
		}
	}
	if t.oneIn(2) {
		e["transfer"] = "t" + e.text("id")
		if t.oneIn(6) {
			e["transfer"] = known(t, t.world.Transfers, "t", func(Transfer) bool { return true })
		}
	}
}

func (t *teller) arrival(e fields) {
	id := known(t, t.world.Transfers, "nobody's", func(r Transfer) bool { return r.State == StateSent })
	e["transfer"] = id
	if !t.oneIn(2) || !t.Lines {
		return
	}
	var lines []fields
	sent := t.world.Transfers[PartyKey{t.tenant, id}].Sent
	for _, sku := range slices.Sorted(maps.Keys(sent)) {
		n := sent[sku]
		if t.oneIn(3) {
			n = pick(t, n-1, 0, int64(t.choose(12)), math.MaxInt64)
		}
		if !t.oneIn(5) {
			lines = append(lines, fields{"sku": sku, "quantity": n})
		}
	}
	if len(lines) == 0 || t.oneIn(8) {
		lines = append(lines, fields{"sku": t.sku(), "quantity": int64(t.choose(9))})
	}
	e["lines"] = lines
}
