package main

import (
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// workload is one question: lines that run side by side, round after round. The line named report.Onhand is the one in
// question, the others are what it is compared with.
type workload struct {
	name, about string
	quick       bool     // answered by default
	rounds      int      // at most, unless it is asked for; 0 = as many as the others
	settings    []string // of Postgres, which then runs once more with them; none = as for all others
	lines       []line
}

// line is one contestant under certain circumstances: a line of the workload's table.
type line struct {
	name       string
	contestant string // its name
	records    int
	shape      backlog.Shape
	prefill    servers.Prefill
	ways
}

// ways are how a line runs and what is measured of it. The zero value is a process that drains a backlog.
type ways struct {
	args      []string      // more for onhand run, whose relay is off unless relay says otherwise
	members   int           // processes; 0 = 1
	from      float64       // the share of records before which nothing counts; 0 = as usual
	roundTrip time.Duration // to the database; 0 = as it is
	counted   bool          // instead of its speed, what goes over the wire to the database
	drain     bool          // also how its speed changes on the way

	// An open loop: events come while they are applied. The rate is so many a second, or such a share of the peak.
	rate  float64
	share float64

	// The outbox. Without relay nothing is published.
	relay   bool
	appends bool // the open loop is of messages that are appended to the outbox, not of events
	mute    bool // the ledger is no outbox
}

// publishes says whether the line publishes a prepared outbox, and nothing else.
func (l line) publishes() bool { return l.prefill.Messages > 0 }

// open says whether events come while they are applied.
func (w ways) open() bool { return w.rate > 0 || w.share > 0 }

// sizes are how much there is to do.
type sizes struct {
	events  int // for onhand and the floor, in each run
	short   int // for contestants that commit each event by itself
	seconds int // of an open loop
}

// The shapes that the others are variations of.
const (
	headlinePartitions = 12
	headlineSKUs       = 10_000
)

func headline() backlog.Shape {
	return backlog.Shape{Partitions: headlinePartitions, SKUs: headlineSKUs}
}

// like is the headline's shape with a difference.
func like(change func(*backlog.Shape)) backlog.Shape {
	s := headline()
	change(&s)
	return s
}

// onhand is the line in question, on records of that shape.
func onhand(records int, shape backlog.Shape, ways ways) line {
	return line{name: report.Onhand, contestant: report.Onhand, records: records, shape: shape, ways: ways}
}

// reference is onhand on as many of the headline's records.
func reference(records int) line {
	l := onhand(records, headline(), ways{})
	l.name = report.Reference
	return l
}
