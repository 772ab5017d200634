package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrSchema says that this binary must not work on this schema. Its text is one sentence with what to do.
var ErrSchema = errors.New("schema does not fit")

// Querier is what Check reads through: a pool, a connection or a transaction whose search_path is the schema.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Version is the newest schema version that this binary knows.
func Version() int { return newest(embedded) }

// Check says whether this binary may work on q's schema: the schema is at the binary's own version, or newer and still
// good for it. ErrSchema if not; any other error means that the question could not be asked.
func Check(ctx context.Context, q Querier) error { return check(ctx, q, Version()) }

// The greatest oldest, not the last one's: a later migration does not heal what an earlier one broke.
const compatibility = `select coalesce(max(version), 0), coalesce(max(oldest), 0) from schema_compatibility`

func check(ctx context.Context, q Querier, binary int) error {
	var version, oldest int
	err := q.QueryRow(ctx, compatibility).Scan(&version, &oldest)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" {
		return fmt.Errorf("%w: there are no onhand tables on the search_path: run `onhand migrate up`", ErrSchema)
	}
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if version < binary {
		return fmt.Errorf("%w: the database is at version %d and this binary needs %d: run `onhand migrate up`",
			ErrSchema, version, binary)
	}
	if oldest > binary {
		return fmt.Errorf("%w: the database is at version %d, good for binaries from %d on, and this one is %d: "+
			"run a newer onhand (or take the migration back with it: `onhand migrate down`)",
			ErrSchema, version, oldest, binary)
	}
	return nil
}

// newest reads versions off file names, 00001_core.sql; goose has refused other names before.
func newest(files fs.FS) int {
	names, _ := fs.Glob(files, "*.sql")
	version := 0
	for _, name := range names {
		digits, _, _ := strings.Cut(name, "_")
		if n, err := strconv.Atoi(digits); err == nil {
			version = max(version, n)
		}
	}
	return version
}
