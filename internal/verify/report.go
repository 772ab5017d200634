package verify

import "onhand/offsets"

// Report is what a verification found.
type Report struct {
	Verdict    Verdict      `json:"verdict"`
	Partitions []*Partition `json:"partitions"`
	Ledger     Ledger       `json:"ledger"`
	// Outbox is what was found in the topics that messages leave to; nil = they were not looked at.
	Outbox *Outbox `json:"outbox,omitempty"`
	// Found counts the differences, of which the first are listed.
	Found       int64        `json:"found"`
	Differences []Difference `json:"differences"`

	limit int
}

// Verdict is what a report comes to.
type Verdict string

// The verdicts. One difference is a violation, whatever else could not be told.
const (
	OK        Verdict = "ok"
	Violation Verdict = "violation"
	Untold    Verdict = "could not tell"
)

// Partition is one partition's part of a report.
type Partition struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Incarnation int32  `json:"incarnation"`
	Start       int64  `json:"start"`
	Next        int64  `json:"next"`
	// Counted is what the log and the rows say; it is what the offsets row should say.
	Counted Counters `json:"counted"`
	// Earlier counts rows of earlier incarnations: applied then, they are duplicates now.
	Earlier int64 `json:"earlier"`
	// Unproven counts records whose inbox row, or the one of their first copy, was dropped: each was applied, rejected
	// or a duplicate, and the counters say how many of each there were.
	Unproven int64 `json:"unproven"`
	// Untold says why a part of [start, next) could not be read again; empty = all of it was.
	Untold  string  `json:"could_not_tell,omitempty"`
	Verdict Verdict `json:"verdict"`

	retained bool
}

// Counters are offsets by what became of them.
type Counters struct {
	Applied   int64 `json:"applied"`
	Rejected  int64 `json:"rejected"`
	Duplicate int64 `json:"duplicate"`
	Parked    int64 `json:"parked"`
	Ignored   int64 `json:"ignored"`
	Skipped   int64 `json:"skipped"`
	Jumped    int64 `json:"jumped"`
}

func storedCounters(row offsets.Row) Counters {
	return Counters{
		Applied: row.Applied, Rejected: row.Rejected, Duplicate: row.Duplicate, Parked: row.Parked,
		Ignored: row.Ignored, Skipped: row.Skipped, Jumped: row.Jumped,
	}
}

// answered are the records of events that the inbox knows, or knew.
func (c Counters) answered() int64 { return c.Applied + c.Rejected + c.Duplicate }

// Ledger counts what was compared beside the log.
type Ledger struct {
	Stock     int64 `json:"stock"`
	Movements int64 `json:"movements"`
	Messages  int64 `json:"messages"`
	// Opened counts opening balances in the ledger, Archived what is in the archive of the movements that they stand for,
	// and Removed what is not there any more. What an event has moved cannot be compared then.
	Opened   int64 `json:"opening_balances"`
	Archived int64 `json:"archived"`
	Removed  int64 `json:"removed"`
}

// Difference is one thing that is not as the invariant wants it.
type Difference struct {
	Invariant string `json:"invariant"`
	// Place is the partition and offset, or the key of the row.
	Place    string `json:"place"`
	Expected string `json:"expected"`
	Found    string `json:"found"`

	// Set where the place is in the log.
	Topic     string `json:"topic,omitempty"`
	Partition *int32 `json:"partition,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
	// Set where it is about a message that leaves: its id.
	Message *int64 `json:"message,omitempty"`
}

// differ notes a difference.
func (r *Report) differ(d Difference) {
	r.Found++
	if len(r.Differences) < r.limit {
		r.Differences = append(r.Differences, d)
	}
}

// add takes over what was found in one partition.
func (r *Report) add(p *Partition, found *Report) {
	p.Verdict = OK
	switch {
	case found.Found > 0:
		p.Verdict = Violation
	case p.Untold != "":
		p.Verdict = Untold
	}
	r.Partitions = append(r.Partitions, p)
	r.Found += found.Found
	room := max(0, r.limit-len(r.Differences))
	r.Differences = append(r.Differences, found.Differences[:min(room, len(found.Differences))]...)
}

// conclude comes to the verdict. What retention removed is no obstacle if the caller said so.
func (r *Report) conclude(fromLogStart bool) {
	r.Verdict = OK
	for _, p := range r.Partitions {
		if p.Verdict == Untold && p.retained && fromLogStart {
			p.Verdict = OK
		}
		if p.Verdict == Untold {
			r.Verdict = Untold
		}
	}
	if r.Outbox != nil && r.Outbox.Verdict == Untold {
		r.Verdict = Untold
	}
	if r.Found > 0 {
		r.Verdict = Violation
	}
}
