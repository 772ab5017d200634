package verify

import "fmt"

// compareCounters holds the offsets row's counters against what was counted. Where a part of the log is gone, what only
// the log can tell (duplicates, ignored and invisible offsets) is known from below.
func (j *judge) compareCounters() {
	counted, stored := j.partition.Counted, storedCounters(j.row)
	partial := j.reach.from > j.row.Start || j.reach.to < j.row.Next
	for _, c := range []struct {
		name            string
		counted, stored int64
		fromLog         bool
	}{
		{"applied", counted.Applied, stored.Applied, false},
		{"rejected", counted.Rejected, stored.Rejected, false},
		{"duplicate", counted.Duplicate, stored.Duplicate, true},
		{"parked", counted.Parked, stored.Parked, false},
		{"ignored", counted.Ignored, stored.Ignored, true},
		{"skipped", counted.Skipped, stored.Skipped, true},
		{"jumped", counted.Jumped, stored.Jumped, false},
	} {
		if c.counted == c.stored || partial && c.fromLog && c.counted <= c.stored {
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
