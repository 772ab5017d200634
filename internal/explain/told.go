package explain

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// stockRejected is the kind of the message that answers a rejected event.
const stockRejected = "stock.rejected"

// Told is a message beside those of movements: that the event was rejected, or what a movement crossed. Such a message
// is kept until it has left, and some time longer.
type Told struct {
	MessageID int64           `json:"message_id"`
	Kind      string          `json:"kind"`
	Payload   json.RawMessage `json:"payload"` // null = it has left, and is in the topic alone
	Message   *Message        `json:"message"`
}

// maxCrossings is how many messages follow a movement's own at most, each with the next id.
const maxCrossings = 3

const selectTold = `
select id, type, payload from outbox_messages where id = any($1) and type is not null order by id`

// tellOthers finds the messages of e that are not movements'.
func tellOthers(ctx context.Context, tx pgx.Tx, e *Event) error {
	if e.MessageID == nil {
		return nil
	}
	ids := []int64{*e.MessageID}
	if e.Reason == "" {
		ids = ids[:0]
		for _, m := range e.Movements {
			for i := range int64(maxCrossings) {
				ids = append(ids, *m.MessageID+1+i)
			}
		}
	}
	rows, err := tx.Query(ctx, selectTold, ids)
	kept := make(map[int64]Told)
	var t Told
	var payload []byte
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&t.MessageID, &t.Kind, &payload}, func() error {
			t.Payload = append(json.RawMessage(nil), payload...)
			kept[t.MessageID] = t
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("look for messages: %w", err)
	}
	if e.Reason != "" {
		rejected, ok := kept[*e.MessageID]
		if !ok {
			rejected = Told{MessageID: *e.MessageID, Kind: stockRejected}
		}
		e.Told = []Told{rejected}
		return nil
	}
	for _, m := range e.Movements {
		// What follows without a gap, up to the next movement or rejection, this one has crossed.
		for id := *m.MessageID + 1; kept[id].Kind != "" && kept[id].Kind != stockRejected; id++ {
			e.Told = append(e.Told, kept[id])
		}
	}
	return nil
}
