package verify

import "fmt"

// Outbox is what was found in the topics that messages leave to.
type Outbox struct {
	// Topics are the ones that were read, the present one last.
	Topics     []string           `json:"topics"`
	Partitions []*OutboxPartition `json:"partitions"`
	// Published is the id up to which messages had left for sure when it began; up to there each is asked for.
	Published int64 `json:"published"`
	// Halted says why the relay stands still; empty = it does not.
	Halted string `json:"halted,omitempty"`

	// Messages counts the messages of movements that are in the topics, each once; Ahead those of them above Published.
	Messages int64 `json:"messages"`
	Ahead    int64 `json:"ahead"`
	// Announced counts the other messages about stock, each once: what movements crossed, and what was rejected.
	Announced int64 `json:"announced"`
	// Waiting counts the movements whose messages had not left.
	Waiting int64 `json:"waiting"`
	// Aside counts messages that are set aside, of any kind, and Excused those that are not in the topics because of
	// that, or because an operator gave them up.
	Aside   int64 `json:"set_aside"`
	Excused int64 `json:"excused"`
	// Late counts messages behind later ones of their row, where order was given up for what Kafka had refused.
	Late int64 `json:"late"`
	// Repeated counts messages that an operator had published again when the outbox was halted.
	Repeated int64 `json:"repeated"`
	// Unproven counts messages that cannot be asked for any more: retention or compaction removed that part of the log,
	// or it could not be read.
	Unproven int64 `json:"unproven"`
	// Removed counts messages of movements that were removed from the archive: their order is proved, not what they say.
	Removed int64 `json:"removed"`
	// Forgotten counts messages of rejections that the inbox does not hold any more.
	Forgotten int64 `json:"forgotten"`

	Untold  string  `json:"could_not_tell,omitempty"`
	Verdict Verdict `json:"verdict"`
}

// OutboxPartition is one partition's part of an Outbox.
type OutboxPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// The offsets [Start, End) were read.
	Start int64 `json:"start"`
	End   int64 `json:"end"`
	// Messages are those of movements, Announcements the others about stock, Other this installation's other ones,
	// Foreign everybody else's.
	Messages      int64   `json:"messages"`
	Announcements int64   `json:"announcements"`
	Other         int64   `json:"other"`
	Foreign       int64   `json:"foreign"`
	Untold        string  `json:"could_not_tell,omitempty"`
	Verdict       Verdict `json:"verdict"`
}

// differ notes what is wrong with a record, which is the message with id about row; 0 and "" = unknown.
func (o *outgoing) differ(r *published, row, expected, found string) {
	r.from.found++
	offset, place := r.offset, fmt.Sprintf("%s offset %d", r.from.tp(), r.offset)
	o.note(r.from, &offset, place, r.id, row, expected, found)
}

// differMissing notes that the message with id about row is not there, by all that is known in partition p; nil = in
// none.
func (o *outgoing) differMissing(p *outPartition, id int64, row, expected string) {
	place := o.relay.topic
	if p != nil {
		p.found++
		place = p.tp().String()
	}
	o.note(p, nil, place, id, row, expected, "no such message")
}

func (o *outgoing) note(p *outPartition, offset *int64, place string, id int64, row, expected, found string) {
	o.found++
	d := Difference{Invariant: "I7", Place: place, Expected: expected, Found: found, Offset: offset}
	if p != nil {
		partition := p.Partition
		d.Topic, d.Partition = p.Topic, &partition
	}
	if id != 0 {
		d.Message = &id
		d.Place += fmt.Sprintf(", message %d", id)
	}
	if row != "" {
		d.Place += ", " + row
	}
	o.v.report.differ(d)
}

// conclude comes to the verdicts. What retention removed is no obstacle if the caller said so.
func (o *outgoing) conclude() {
	r := o.report
	r.Verdict = OK
	untold := r.Untold != "" || r.Unproven > 0 && !o.v.cfg.FromLogStart
	for _, p := range o.partitions {
		p.Verdict = OK
		if p.unproven > 0 && p.Untold == "" && !o.v.cfg.FromLogStart {
			p.Untold = fmt.Sprintf("%d messages may have been removed before offset %d", p.unproven, p.Start)
			if p.compacted {
				p.Untold = fmt.Sprintf("%d messages may have been compacted away", p.unproven)
			}
		}
		switch {
		case p.found > 0:
			p.Verdict = Violation
		case p.Untold != "":
			p.Verdict = Untold
		}
		untold = untold || p.Untold != ""
	}
	switch {
	case o.found > 0:
		r.Verdict = Violation
	case untold:
		r.Verdict = Untold
	}
}
