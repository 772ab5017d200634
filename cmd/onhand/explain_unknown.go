package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/inbox"
	"onhand/internal/database"
	"onhand/internal/explain"
	"onhand/offsets"
)

// whyUnknown says all that it can mean that an event was neither decided nor found among dead letters. What cannot be
// the reason is left out.
func whyUnknown(ctx context.Context, pool *pgxpool.Pool, f *brokerFlags, s *explain.Search) ([]string, error) {
	rows, err := offsets.List(ctx, pool)
	if err != nil {
		return nil, err
	}
	memory, err := inbox.ReadMemory(ctx, pool)
	if err != nil {
		return nil, err
	}
	reasons := []string{"no record of it was written, or it names another tenant or source"}
	if reason := notReadYet(ctx, f, rows); reason != "" {
		reasons = append(reasons, reason)
	}
	t := newStatusReport(rows, nil).Totals
	if memory.DroppedRows > 0 {
		reasons = append(reasons, fmt.Sprintf("it was decided and is forgotten: the inbox has dropped %d events, none of "+
			"which is later than %s", memory.DroppedRows, instantOrDash(memory.Horizon)))
	}
	if t.Ignored > 0 {
		reasons = append(reasons, fmt.Sprintf("it is one of %d records that were ignored for their kind", t.Ignored))
	}
	if t.Jumped > 0 {
		reasons = append(reasons, fmt.Sprintf("it is one of %d offsets that operators have moved past", t.Jumped))
	}
	if !s.Whole {
		reasons = append(reasons, fmt.Sprintf("it is parked, and not among the newest %d dead letters: see --letters",
			s.Letters))
	}
	return reasons, nil
}

// notReadYet says what of the topics is still to be read; nothing if all is read.
func notReadYet(ctx context.Context, f *brokerFlags, rows []offsets.Row) string {
	if len(rows) == 0 {
		return "it was not read yet: nothing was"
	}
	ranges, err := f.ranges(ctx, rows)
	report := newStatusReport(rows, ranges)
	var words string
	switch {
	case errors.Is(err, errKafkaNotNamed):
		words = "it was not read yet (with --brokers, it is told how much was not)"
	case err != nil:
		words = "it was not read yet (how much was not is unknown: " + database.Redact(err.Error()) + ")"
	case report.Totals.Lag == nil:
		words = "it was not read yet (how much was not is unknown of some partitions)"
	case *report.Totals.Lag > 0:
		words = fmt.Sprintf("it was not read yet: %d offsets are still to be read", *report.Totals.Lag)
	default:
		return ""
	}
	if n := report.Totals.Halted; n > 0 {
		words += fmt.Sprintf("; %d partitions are halted", n)
	}
	return words
}
