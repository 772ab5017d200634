package report

import "slices"

// The verdicts on a figure.
const (
	OK          = "ok"
	Below       = "below"
	Above       = "above"
	NotMeasured = "not measured"
)

// Target is one figure that the product has to reach, and what it has reached.
type Target struct {
	Figure   string  `json:"figure"`
	Must     float64 `json:"must"`
	Aim      float64 `json:"aim"`
	AtMost   bool    `json:"at_most"` // the smaller the better
	Unit     string  `json:"unit"`    // x = a ratio
	Measured *Spread `json:"measured,omitempty"`
	Verdict  string  `json:"verdict"`

	decimals int
}

// goal says where a target's figure is found: in the workload, a figure of onhand's, or that figure divided by another
// line's.
type goal struct {
	Target
	workload string
	against  string // empty = nobody
	figure   string
	scale    float64 // what Measured is divided by
}

func atLeast(figure, workload, against string, must, aim float64) goal {
	return goal{
		Target:   Target{Figure: figure, Must: must, Aim: aim, Unit: "x", decimals: 2},
		workload: workload, against: against, figure: rate, scale: 1,
	}
}

func atMost(figure, workload, name, unit string, must, aim float64) goal {
	return goal{
		Target:   Target{Figure: figure, Must: must, Aim: aim, Unit: unit, AtMost: true, decimals: 0},
		workload: workload, figure: name, scale: 1,
	}
}

func (g goal) with(decimals int, scale float64) goal {
	g.decimals, g.scale = decimals, scale
	return g
}

func (g goal) of(figure string) goal {
	g.figure = figure
	return g
}

// Reference is the line that others than the headline's compare onhand with: onhand on the headline's events.
const Reference = "headline"

// goals are what the issues ask for, in their order.
func goals() []goal {
	drain := atLeast("drain: last million against first", "drain", "", 0.9, 1).of(lastToFirst)
	wal := atMost("WAL against a ledger that is no outbox", "outbox-wal", walBytes, "x", 1.25, 1.15).with(2, 1)
	wal.against = NoOutbox
	return []goal{
		atLeast("headline against floor", "headline", Floor, 0.55, 0.70),
		atLeast("headline against textbook", "headline", "textbook", 25, 40).with(1, 1),
		atLeast("headline against watermill", "headline", "watermill", 30, 45).with(1, 1),
		atLeast("headline against broken", "headline", "broken", 25, 45).with(1, 1),
		atLeast("one hot SKU against headline", "one-sku", Reference, 1, 1.3),
		atLeast("one hot SKU against textbook on it", "one-sku", "textbook", 60, 100).with(1, 1),
		atLeast("Zipf 0.99 against headline", "zipf", Reference, 1, 1.1),
		atLeast("1,000,000 SKUs against headline", "skus-1m", Reference, 0.7, 0.85),
		atLeast("50 % duplicates against none", "duplicates-50", Reference, 1, 1.3),
		atLeast("1 partition against 12", "partitions-1", Reference, 0.8, 0.95),
		atLeast("128 partitions against 12", "partitions-128", Reference, 0.9, 0.95),
		atLeast("512 partitions against 12", "partitions-512", Reference, 0.75, 0.95),
		atLeast("2.5 ms to the database", "round-trip", Reference, 0.75, 0.9),
		atLeast("three members against one", "members-3", Reference, 0.9, 1),
		atLeast("--isolation serializable", "serializable", Reference, 0.7, 0.9),
		atLeast("10 million in the inbox, UUIDv7", "growth-v7", EmptyInbox, 0.85, 0.95),
		atLeast("10 million in the inbox, UUIDv4", "growth-v4", EmptyInbox, 0.6, 0.75),
		drain,
		atMost("WAL", "headline", walBytes, "B/event", 900, 700),
		atMost("processor, client", "headline", clientCPU, "s/M", 15, 8).with(1, 1),
		atMost("processor, Postgres", "headline", postgresCPU, "s/M", 25, 18).with(1, 1),
		atMost("memory, 12 partitions", "headline", peakMemory, "MiB", 128, 80).with(0, mebibyte),
		atMost("memory, 12 partitions, long backlog", "drain", peakMemory, "MiB", 128, 80).with(0, mebibyte),
		atMost("memory, 512 partitions", "partitions-512", peakMemory, "MiB", 256, 160).with(0, mebibyte),
		atMost("latency p50 at 500/s", "latency-500", p50, "ms", 7, 4).with(1, 1),
		atMost("latency p99 at 500/s", "latency-500", p99, "ms", 30, 15).with(1, 1),
		atMost("latency p99 at 50 % of the peak", "latency-50", p99, "ms", 100, 50).with(1, 1),
		atMost("latency p99 at 80 % of the peak", "latency-80", p99, "ms", 250, 100).with(1, 1),
		atMost("round trips a batch", "wire", tripsABatch, "", 2, 2).with(1, 1),
		atLeast("relay alone against producer", "relay-alone", "producer", 0.5, 0.7),
		atLeast("inbox, relay on against off", "relay-on", Reference, 0.75, 0.9),
		atMost("relay caught up after the inbox", "relay-on", caughtUp, "s", 1, 0.2).with(2, 1),
		atMost("commit to reader p50 at 500/s", "relay-latency", p50, "ms", 25, 10).with(1, 1),
		atMost("commit to reader p99 at 500/s", "relay-latency", p99, "ms", 100, 40).with(1, 1),
		wal,
		atLeast("orders of 5 lines against floor, in lines", "orders", Floor, 0.4, 0.55).of(lineRate),
		atLeast("reservations against floor, in lines", "reservations", Floor, 0.4, 0.55).of(lineRate),
	}
}

// EmptyInbox is the line of the growth workloads with nothing in the inbox beforehand.
const EmptyInbox = "empty inbox"

// NoOutbox is the line whose ledger is no outbox.
const NoOutbox = "no outbox"

// judge compares the goals with what was measured.
func judge(workloads []Workload) []Target {
	var all []Target
	for _, g := range goals() {
		t := g.Target
		t.Verdict = NotMeasured
		i := slices.IndexFunc(workloads, func(w Workload) bool { return w.Name == g.workload })
		if i >= 0 {
			if values := g.values(workloads[i]); len(values) > 0 {
				measured := spread(values)
				t.Measured, t.Verdict = &measured, t.verdict(measured.Median)
			}
		}
		all = append(all, t)
	}
	return all
}

// values are the goal's figure, one a round.
func (g goal) values(w Workload) []float64 {
	all, f := withBestFloor(w.Results), figureNamed(g.figure)
	if g.against != "" {
		return ratios(named(all, Onhand), named(all, g.against), f)
	}
	var values []float64
	for _, r := range named(all, Onhand) {
		if v, known := f.of(r); known {
			values = append(values, v/g.scale)
		}
	}
	return values
}

// slack is what rounding may be off.
const slack = 1e-9

func (t Target) verdict(median float64) string {
	switch {
	case t.AtMost && median > t.Must+slack:
		return Above
	case !t.AtMost && median < t.Must-slack:
		return Below
	}
	return OK
}

// Reach is how far along the figure is: 1 = what it must be, more is better. 0 if it was not measured.
func (t Target) Reach() float64 {
	if t.Measured == nil {
		return 0
	}
	return t.reach(t.Measured.Median)
}

func (t Target) reach(value float64) float64 {
	if t.AtMost {
		return t.Must / max(value, slack)
	}
	return value / t.Must
}

// Ask is a line of a workload that a target needs.
type Ask struct{ Workload, Line string }

// Asks are what has to be measured for all targets to be judged.
func Asks() []Ask {
	var all []Ask
	for _, g := range goals() {
		all = append(all, Ask{g.workload, Onhand})
		if g.against != "" {
			all = append(all, Ask{g.workload, g.against})
		}
	}
	return all
}
