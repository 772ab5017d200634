package verify

import "fmt"

// counter is one of a partition's counters, as it was counted and as its row has it.
type counter struct {
	name            string
	counted, stored int64
	least           bool // not less than counted is all that is known
}

// compareCounters holds the offsets row's counters against what was counted. Where a part of the log is gone, what only
// the log can tell (duplicates, ignored and invisible offsets) is known from below, and so is what only inbox rows can
// tell where some were dropped.
func (j *judge) compareCounters() {
	counted, stored := j.partition.Counted, storedCounters(j.row)
	partial := j.reach.from > j.row.Start || j.reach.to < j.row.Next
	dropped := j.partition.Unproven > 0 || partial && j.forgotten > j.row.Start
	counters := []counter{
		{"applied", counted.Applied, stored.Applied, dropped},
		{"rejected", counted.Rejected, stored.Rejected, dropped},
		{"duplicate", counted.Duplicate, stored.Duplicate, partial || dropped},
		{"parked", counted.Parked, stored.Parked, false},
		{"ignored", counted.Ignored, stored.Ignored, partial},
		{"skipped", counted.Skipped, stored.Skipped, partial},
		{"jumped", counted.Jumped, stored.Jumped, false},
	}
	if dropped {
		counters = append(counters, counter{
			"applied, rejected or duplicate", counted.answered() + j.partition.Unproven, stored.answered(), partial,
		})
	}
	for _, c := range counters {
		if c.counted == c.stored || c.least && c.counted <= c.stored {
			continue
		}
		partition := j.row.Partition
		j.found.differ(Difference{
			Invariant: "I5", Place: fmt.Sprintf("offsets row of %s/%d", j.row.Topic, partition),
			Topic: j.row.Topic, Partition: &partition,
			Expected: fmt.Sprintf("%s %d", c.name, c.counted), Found: fmt.Sprintf("%s %d", c.name, c.stored),
		})
	}
}
