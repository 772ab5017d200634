package verify

import (
	"context"
	"fmt"
	"strings"
)

// inboxRow is a row of the inbox and what the ledger holds of its event.
type inboxRow struct {
	position
	Tenant      string `db:"tenant"`
	EventID     string `db:"event_id"`
	Source      string `db:"source"`
	Fingerprint int64  `db:"fingerprint"`
	Outcome     string `db:"outcome"`

	moves []move // by SKU, location and version; of more than maxMoves only the first
	count int    // all of them
	early int    // of these, from before the row's time: the event was forgotten and came again
}

// maxMoves is more movements than any event has: 1,000 lines, each of a bundle with 100 parts.
const maxMoves = 100_001

// move is one movement of an event.
type move struct {
	SKU      string `db:"sku"`
	Location string `db:"location"`
	Kind     string `db:"kind"`
	Version  int64  `db:"version"` // 0 = there is no movement
	Delta    int64  `db:"delta"`
	OnHand   int64  `db:"on_hand"`
	Early    bool   `db:"early"`

	after  beside
	change *beside // nil: the movement before is not there any more, or nobody has asked
}

// beside is what stock has beside what is on hand.
type beside struct {
	Reserved  int64 `db:"reserved"`
	Damaged   int64 `db:"damaged"`
	InTransit int64 `db:"in_transit"`
}

func (r *inboxRow) at() position { return r.position }

func (r *inboxRow) String() string { return "inbox row " + r.Outcome + ": " + r.identity().String() }

func (r *inboxRow) identity() identity { return identity{r.Tenant, r.EventID, r.Source} }

// own is how many of the event's movements are this row's to explain. An event without a time that was forgotten is
// new when it comes again, so the ledger may have older ones. All of a batch's are from before, or none.
func (r *inboxRow) own() int {
	if r.Outcome == applied && r.early == r.count {
		return r.count
	}
	return r.count - r.early
}

// ownMoves are those, as far as they are kept.
func (r *inboxRow) ownMoves() []move {
	if r.own() == r.count {
		return r.moves
	}
	var own []move
	for _, m := range r.moves {
		if !m.Early {
			own = append(own, m)
		}
	}
	return own
}

// inboxLine is a row of the inbox with one of its movements, or with none.
type inboxLine struct {
	inboxRow
	move
	beside
}

// The inbox in the order of the log, once for each movement of an event. A reservation that lapsed has a row that
// stands for no record; lapses are judged apart.
const declareInbox = `
declare inbox_rows no scroll cursor for
select i.topic, i.partition, i.incarnation, i."offset", i.tenant, i.event_id, i.source, i.fingerprint,
       i.outcome::text as outcome, coalesce(m.sku, '') as sku, coalesce(m.location, '') as location,
       coalesce(m.kind, '') as kind, coalesce(m.version, 0) as version, coalesce(m.delta, 0) as delta,
       coalesce(m.on_hand, 0) as on_hand, coalesce(m.reserved, 0) as reserved, coalesce(m.damaged, 0) as damaged,
       coalesce(m.in_transit, 0) as in_transit,
       coalesce(m.recorded_at <= (select dropped_until from inbox_memory), false) as early
from inbox i
left join ` + everyMovement + ` m on m.tenant = i.tenant and m.event_id = i.event_id and m.event_source = i.source
where i.source <> '` + expirySource + `'
order by i.topic, i.partition, i.incarnation, i."offset", i.tenant, i.event_id, i.source, m.sku, m.location, m.version`

const fetchInbox = `fetch 2000 from inbox_rows`

// inboxRows puts the lines of each row together.
type inboxRows struct {
	lines *cursor[inboxLine]
	row   *inboxRow
}

// peek returns the next row without going past it; nil at the end.
func (c *inboxRows) peek(ctx context.Context) (*inboxRow, error) {
	for c.row == nil {
		l, err := c.lines.peek(ctx)
		if err != nil || l == nil {
			return nil, err
		}
		row := l.inboxRow
		if err := c.gather(ctx, &row); err != nil {
			return nil, err
		}
		c.row = &row
	}
	return c.row, nil
}

// gather goes past the lines of row.
func (c *inboxRows) gather(ctx context.Context, row *inboxRow) error {
	for {
		l, err := c.lines.peek(ctx)
		if err != nil || l == nil || l.position != row.position || l.identity() != row.identity() {
			return err
		}
		row.add(l)
		c.lines.skip()
	}
}

func (r *inboxRow) add(l *inboxLine) {
	if l.Version == 0 {
		return
	}
	r.count++
	if l.Early {
		r.early++
	}
	if len(r.moves) < maxMoves {
		l.after = l.beside
		r.moves = append(r.moves, l.move)
	}
}

// skip goes past the row that peek returned.
func (c *inboxRows) skip() { c.row = nil }

// movements says what there is of an event.
func movements(in *inboxRow) string {
	switch in.count {
	case 0:
		return "no movement"
	case 1:
		return "one movement, " + in.moves[0].String()
	}
	return fmt.Sprintf("%d movements", in.count)
}

func (m *move) String() string {
	s := fmt.Sprintf("%s, version %d of %q at %q: %+d to %d", m.Kind, m.Version, m.SKU, m.Location, m.Delta, m.OnHand)
	if m.change == nil {
		return s
	}
	return s + m.change.String()
}

// String says what of b is not 0, as changes.
func (b beside) String() string {
	var s strings.Builder
	for _, part := range []struct {
		name string
		by   int64
	}{{"reserved", b.Reserved}, {"damaged", b.Damaged}, {"in transit", b.InTransit}} {
		if part.by != 0 {
			fmt.Fprintf(&s, ", %s %+d", part.name, part.by)
		}
	}
	return s.String()
}
