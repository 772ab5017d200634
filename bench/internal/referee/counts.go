package referee

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const sumCounts = `
select coalesce(sum(applied), 0)::bigint, coalesce(sum(rejected), 0)::bigint, coalesce(sum(duplicate), 0)::bigint,
       coalesce(sum(next - start - applied - rejected - duplicate), 0)::bigint
from offsets`

// checkCounts compares what the rows of the partitions say about themselves: each record is one of three, and nothing
// was parked, skipped or passed over.
func checkCounts(ctx context.Context, conn *pgx.Conn, want *expected) (faults []string, err error) {
	var applied, rejected, duplicate, other int64
	if err := conn.QueryRow(ctx, sumCounts).Scan(&applied, &rejected, &duplicate, &other); err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"applied", applied, want.applied},
		{"rejected", rejected, want.rejected},
		{"duplicate", duplicate, want.duplicate},
		{"anything else", other, 0},
	} {
		if c.got != c.want {
			faults = append(faults, fmt.Sprintf("%d records counted as %s, not %d", c.got, c.what, c.want))
		}
	}
	return faults, nil
}
