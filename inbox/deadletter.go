package inbox

import (
	"time"

	"github.com/jackc/pgx/v5"
)

const insertDeadLetter = `
insert into dead_letters (topic, partition, incarnation, "offset", reason, detail, error_position,
                          key, value, headers, record_time)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

// writeDeadLetters queues a row for each record that is parked: its bytes as they came, where it stood, and why. One
// statement a record: the storm guard keeps them few.
func (t *transaction) writeDeadLetters(q *pgx.Batch) {
	for _, p := range t.batch.parts {
		for _, w := range p.works[:p.keep] {
			if w.outcome != outcomeParked {
				continue
			}
			r := &w.record
			headers := make([][]byte, 0, 2*len(r.Headers))
			for _, h := range r.Headers {
				headers = append(headers, notNil(h.Key), h.Value)
			}
			var position *int
			if w.parked.Position >= 0 {
				position = &w.parked.Position
			}
			q.Queue(insertDeadLetter, r.Topic, r.Partition, p.locked.Incarnation, r.Offset, w.parked.Code,
				cleanText(w.parked.Detail), position, r.Key, r.Value, headers, nullTime(r.Timestamp))
		}
	}
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// endOfCalendar is the first moment whose year has five digits.
var endOfCalendar = time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC)

// nullTime is t, or null where there is none or Postgres and JSON could not write it: a producer may set any timestamp,
// and a wrong record must end as a dead letter whatever it is.
func nullTime(t time.Time) *time.Time {
	if !inCalendar(t) {
		return nil
	}
	return &t
}

func inCalendar(t time.Time) bool { return t.After(time.Time{}) && t.Before(endOfCalendar) }
