package explain

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Event is an event that was decided, and what it did.
type Event struct {
	Identity
	Position
	Outcome   string `db:"outcome" json:"outcome"`
	Reason    string `db:"reason" json:"reason"`         // why it was rejected
	MessageID *int64 `db:"message_id" json:"message_id"` // of its first movement, or of its rejection; nil = there is none

	// Movements are in the order of their messages. None though MessageID is set and the event was applied: the archive
	// was emptied.
	Movements []Movement `db:"-" json:"movements"`
	// Told are its other messages, in their order, as far as they are kept.
	Told []Told `db:"-" json:"told"`
}

// maxSources bounds the answer to an id that every sender uses.
const maxSources = 100

const selectEvents = `
select tenant, event_id, source, topic, partition, incarnation, "offset", outcome::text as outcome,
       coalesce(reason, '') as reason, message_id
from inbox
where tenant = $1 and event_id = $2 and ($3::text is null or source = $3)
order by source
limit $4`

// Events returns the decided events of an id, by source; a nil source is any. more says that there are further ones.
func Events(ctx context.Context, tx pgx.Tx, tenant, id string, source *string) (found []Event, more bool, err error) {
	rows, err := tx.Query(ctx, selectEvents, tenant, id, source, maxSources+1)
	if err == nil {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[Event])
	}
	if err != nil {
		return nil, false, fmt.Errorf("look into the inbox: %w", err)
	}
	if len(found) > maxSources {
		found, more = found[:maxSources], true
	}
	for i := range found {
		e := &found[i]
		if e.MessageID != nil && e.Reason == "" {
			if e.Movements, err = movementsOf(ctx, tx, e.Identity, *e.MessageID); err != nil {
				return nil, false, fmt.Errorf("look for movements: %w", err)
			}
		}
		if err = tellOthers(ctx, tx, e); err != nil {
			return nil, false, err
		}
	}
	return found, more, tellMessages(ctx, tx, found)
}
