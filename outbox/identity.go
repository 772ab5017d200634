package outbox

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The position was kept for the former identity's group. An outbox that never published has nothing to decide.
const haltNewIdentity = `
update outbox_relay
set halt_reason = $1, halt_detail = $2, halted_at = clock_timestamp(), token = null, owner = null, lease_until = null,
    waiting_for = null, waiting_since = null, position_topic = null, overruled = false, ending = null,
    updated_at = clock_timestamp()
where intent > 0`

// HaltForNewIdentity halts the outbox of a database that gets another identity than former, if it has ever published.
// What its original has published since this copy was made only an operator can find out.
func HaltForNewIdentity(ctx context.Context, tx pgx.Tx, former uuid.UUID) (halted bool, err error) {
	detail := fmt.Sprintf("this database was installation %s before: the original may have published messages after this "+
		"copy of it was made, and the messages that are here too", former)
	tag, err := tx.Exec(ctx, haltNewIdentity, HaltNewIdentity, detail)
	if err != nil {
		return false, fmt.Errorf("halt the outbox: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}
