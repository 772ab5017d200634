package inbox

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// class is what an error of the database means for the batch that met it.
type class int

const (
	classPause      class = iota // infrastructure: wait and try again; never the record's fault (I8)
	classContention              // another transaction was in the way: run again
	classReconnect               // this connection's plans are stale: run again on another
	classPoison                  // the database refuses a value: find the record and park it
	classBroken                  // a constraint of ours fired: find the record and stop its partition
	classNotReady                // schema or grants: wait, and say so
	classSlow                    // a timeout of ours: wait, and try less at a time
)

// infrastructure reports whether it is the database, or the way to it, that cannot do its work.
func (c class) infrastructure() bool {
	return c == classPause || c == classNotReady || c == classSlow
}

// The keys that two batches may create at the same moment. A violation of one of them is contention, not a fault: the
// second run finds the row.
var contendedKeys = map[string]bool{
	"inbox_pkey":        true,
	"inbox_1_pkey":      true,
	"inbox_2_pkey":      true,
	"stock_pkey":        true,
	"skus_pkey":         true,
	"reservations_pkey": true,
	"transfers_pkey":    true,
}

// lockNotAvailable is the SQLSTATE of who waited for a lock for as long as its lock_timeout.
const lockNotAvailable = "55P03"

// classify says what err means. SQLSTATE classes: PostgreSQL documentation, appendix A.
func classify(err error) class {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return classSlow
	case !errors.As(err, &pg) || len(pg.Code) != 5:
		return classPause
	}
	switch pg.Code {
	case lockNotAvailable:
		return classContention
	// Cached plan must not change result type; prepared statement does not exist, or exists already.
	case "0A000", "26000", "42P05":
		return classReconnect
	case "57014": // query_canceled: the statement timeout
		return classSlow
	case "23505": // unique_violation
		if contendedKeys[pg.ConstraintName] {
			return classContention
		}
		return classBroken
	}
	switch pg.Code[:2] {
	case "40": // serialization failure, deadlock
		return classContention
	case "22", "54": // data exception, program limit exceeded
		return classPoison
	case "23": // integrity constraint violation
		return classBroken
	case "42": // no such table or column, no right to it
		return classNotReady
	}
	return classPause // 08, 25006, 53, 57, 58, XX and whatever is unknown
}

// sqlstate is err's SQLSTATE, or the empty string.
func sqlstate(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
