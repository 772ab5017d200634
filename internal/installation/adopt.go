package installation

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/audit"
)

// Adoption is what Adopt changed. Before is nil when the schema had no installation yet.
type Adoption struct {
	Before *Installation `json:"before"`
	After  Installation  `json:"after"`
}

// Adopt ties pool's schema to the place and the group where it is now, whatever it was tied to before.
//
// The uuid stays, unless the database itself is another one (a clone, a restore, a move): then the original may still
// be alive under the old uuid, and must not be taken for this one. The new uuid is what stops it, as soon as it looks
// at the group.
//
// takeGroup must make Kafka's side say the same: every offset that the group has committed carries the new Metadata
// afterwards. It is called before the database commits, so if it fails nothing has changed; if the commit after it
// fails, the group is marked already and a second Adopt settles it. What else the adoption asks of the schema belongs
// there too, in front.
func Adopt(ctx context.Context, pool *pgxpool.Pool, k Kafka, action audit.Action,
	takeGroup func(ctx context.Context, tx pgx.Tx, a Adoption) error,
) (Adoption, error) {
	var adoption Adoption
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockTable); err != nil {
			return err
		}
		after, err := found(ctx, tx, k)
		if err != nil {
			return err
		}
		before, err := read(ctx, tx)
		switch {
		case err == nil:
			adoption.Before, action.Before = &before, before
			if before.SystemIdentifier == after.SystemIdentifier && before.Database == after.Database {
				after.ID = before.ID
			}
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		if _, err := tx.Exec(ctx, replaceRow,
			after.ID, after.SystemIdentifier, after.Database, after.ClusterID, after.Group); err != nil {
			return err
		}
		adoption.After, action.After = after, after
		if err := audit.Write(ctx, tx, action); err != nil {
			return err
		}
		return takeGroup(ctx, tx, adoption)
	})
	if err != nil {
		return Adoption{}, fmt.Errorf("adopt: %w", err)
	}
	return adoption, nil
}

// Renamed reports whether the installation got another identity than it had.
func (a *Adoption) Renamed() bool { return a.Before != nil && a.Before.ID != a.After.ID }

// Reads go on; a first run that would insert waits.
const lockTable = `lock table installation in exclusive mode`

const replaceRow = `
insert into installation (id, system_identifier, database, cluster_id, consumer_group, adopted_at)
values ($1, $2, $3, $4, $5, clock_timestamp())
on conflict (only_row) do update
set id = excluded.id, system_identifier = excluded.system_identifier, database = excluded.database,
    cluster_id = excluded.cluster_id, consumer_group = excluded.consumer_group, adopted_at = excluded.adopted_at`
