package inventory

import (
	"testing"
	"time"

	"onhand/internal/testenv"
)

// Producers take nanoseconds for milliseconds, and send dates of no calendar. Whatever a record is dated, its event is
// decided, and what is stored of the date is one that the database can hold.
func TestARecordMayBeDatedAsItLikes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	for name, tt := range map[string]struct {
		logged time.Time
		moved  *time.Time // nil = no time is stored
	}{
		"as usual":                     {now, &now},
		"in the year 12000":            {time.Date(12000, time.January, 1, 0, 0, 0, 0, time.UTC), &latest},
		"nanoseconds for milliseconds": {time.UnixMilli(now.UnixNano()), &latest},
		"as far as Kafka can":          {time.Unix(1<<63/1000, 0), &latest},
		"at zero":                      {time.UnixMilli(0), new(time.UnixMilli(0))},
		"before zero":                  {time.UnixMilli(-1), new(time.UnixMilli(-1))},
		"not at all":                   {time.Time{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, testenv.Database(t))
			reserved := ofReservation(moves(Reserved, "A", "main", 1), "R")
			reserved.Deadline.After = maxDeadline
			extended := ofReservation(long(Reserved, "extend", 0), "R")
			extended.Deadline.After = 1
			for _, o := range []occurrence{moves(Received, "A", "main", 5), moves(Sold, "A", "main", 2), reserved, extended} {
				o.logged = tt.logged
				commitHistory(t, conn, o)
			}
			var onHand, reservedNow int64
			var moved, deadline *time.Time
			must(t, conn.QueryRow(t.Context(), `
select on_hand, s.reserved, moved_at, expires_at from stock s, reservations`).Scan(
				&onHand, &reservedNow, &moved, &deadline))
			if onHand != 3 || reservedNow != 1 {
				t.Errorf("%d on hand, %d reserved, want 3 and 1", onHand, reservedNow)
			}
			if (moved == nil) != (tt.moved == nil) || moved != nil && !moved.Equal(*tt.moved) {
				t.Errorf("moved at %v, want %v", moved, tt.moved)
			}
			if want := tt.moved; deadline == nil || want != nil && !deadline.Equal(want.Add(time.Second)) {
				t.Errorf("the deadline is %v, want a second after %v", deadline, want)
			}

			// Who counts has a clock that is fast.
			count := moves(Counted, "A", "main", 7)
			count.CountedAt, count.logged = tt.logged.Add(time.Hour), tt.logged
			commitHistory(t, conn, count)
		})
	}
}
