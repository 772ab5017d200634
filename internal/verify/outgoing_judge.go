package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// judge compares the pending records with the ledger.
func (o *outgoing) judge(ctx context.Context) error {
	if len(o.pending) == 0 {
		return nil
	}
	ids := make([]int64, len(o.pending))
	for i, r := range o.pending {
		ids[i] = r.id
	}
	movements, err := o.movements(ctx, ids)
	if err != nil {
		return err
	}
	if err := o.lookUpTold(ctx); err != nil {
		return err
	}
	for _, r := range o.pending {
		if r.kind == stockChanged {
			r.about = movements[r.id]
		}
	}
	removed, err := o.removed(ctx)
	if err != nil {
		return err
	}
	for _, r := range o.pending {
		switch r.kind {
		case stockChanged:
			o.account(r, r.about, removed[r])
		case stockRejected:
			o.accountRejection(r, removed[r])
		default:
			o.accountCrossing(r, removed[r])
		}
	}
	clear(o.pending)
	o.pending, o.bytes = o.pending[:0], 0
	return nil
}

// account finds out what r is the message of, and compares it.
func (o *outgoing) account(r *published, m, removed *movement) {
	switch {
	case m != nil:
		if expected, found := r.differs(m); o.ours(r, m.String(), expected, found) {
			o.follow(r, m)
		}
	case removed != nil:
		o.report.Removed++
		o.follow(r, removed)
	default:
		o.ours(r, "", "no message: no movement has this one", short(string(r.value)))
	}
}

// ours notes what is wrong with r, nothing if expected is empty, and says whether r is this installation's. Where it
// carries an identity that this one had before, what is wrong with it says that it is not: that identity is another
// installation's now, the one that this one was copied from.
func (o *outgoing) ours(r *published, row, expected, found string) bool {
	switch {
	case expected == "":
	case r.former:
		*r.from.counter(r.kind)--
		r.from.Foreign++
		return false
	default:
		o.differ(r, row, expected, found)
	}
	return true
}

// follow compares r's place in the topic with the messages of m's row before it.
func (o *outgoing) follow(r *published, m *movement) {
	step := o.order.take(m.stockRow, m.version, r.from)
	row := m.String()
	if step.moved != nil {
		o.differ(r, row, fmt.Sprintf("all messages of a row in one partition, %d", step.moved.Partition),
			"a message in another; no order holds between the two")
	}
	switch {
	case step.again && o.excuses.again(r.id):
		o.report.Repeated++
		return
	case step.again:
		o.differ(r, row, "the message once", fmt.Sprintf("it once more: version %d, behind version %d", m.version, step.last))
		return
	case step.late && o.v.cfg.FollowRefused:
		o.report.Late++
	case step.late:
		o.differ(r, row, fmt.Sprintf("version %d before version %d", m.version, step.last), "it comes after that")
	}
	if step.advanced {
		o.advance(r, m, step)
	}
	o.report.Messages++
	if r.id > o.relay.done {
		o.report.Ahead++
	}
}

// removed returns movements for the pending records that none was found for, if they were archived, and removed from
// there: an opening balance stands for the version that they name. All that is known of such a movement is where it
// was.
func (o *outgoing) removed(ctx context.Context) (map[*published]*movement, error) {
	if o.v.report.Ledger.Removed == 0 {
		return nil, nil
	}
	var asked []*published
	var tenants, skus, locations []string
	var versions []int64
	for _, r := range o.pending {
		row, version, ok := r.says()
		if r.about != nil || !ok {
			continue
		}
		asked = append(asked, r)
		tenants, skus = append(tenants, row.tenant), append(skus, row.sku)
		locations, versions = append(locations, row.location), append(versions, version)
	}
	if len(asked) == 0 {
		return nil, nil
	}
	removed := make(map[*published]*movement)
	var ord int64
	rows, err := o.v.snapshot.tx.Query(ctx, selectRemoved, tenants, skus, locations, versions)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&ord}, func() error {
			i := ord - 1
			removed[asked[i]] = &movement{
				stockRow: stockRow{tenants[i], skus[i], locations[i]}, version: versions[i],
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look up opening balances: %w", err)
	}
	return removed, nil
}
