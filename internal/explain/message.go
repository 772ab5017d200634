package explain

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// What has become of a message.
const (
	Published  = "published"  // it is in Kafka, unless an operator has dropped it, or passed it over with a resume
	Publishing = "publishing" // in the transaction that is under way, or was when a relay ended
	Waiting    = "waiting"
	SetAside   = "set_aside" // Kafka refuses it, or one before it of the same key
	Dropped    = "dropped"   // by an operator; when the relay has noted it, its row is gone
)

// Message is how far a message is.
type Message struct {
	State  string `json:"state"`
	Reason string `json:"reason"` // why it is set aside
	Detail string `json:"detail"`
}

const selectRelay = `select done, intent from outbox_relay`

const selectAside = `select id, reason, detail, state = 'dropped' from outbox_aside where id = any($1)`

// tellMessages says of each message what has become of it.
func tellMessages(ctx context.Context, tx pgx.Tx, events []Event) error {
	var ids []int64
	for _, e := range events {
		for _, m := range e.Movements {
			ids = append(ids, *m.MessageID)
		}
		for _, t := range e.Told {
			ids = append(ids, t.MessageID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var done, intent int64
	if err := tx.QueryRow(ctx, selectRelay).Scan(&done, &intent); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read how far messages have left: %w", err)
	}
	asides, err := readAsides(ctx, tx, ids)
	if err != nil {
		return fmt.Errorf("read what is set aside: %w", err)
	}
	for _, e := range events {
		for i := range e.Movements {
			m := &e.Movements[i]
			m.Message = messageState(*m.MessageID, done, intent, asides)
		}
		for i := range e.Told {
			t := &e.Told[i]
			t.Message = messageState(t.MessageID, done, intent, asides)
		}
	}
	return nil
}

func readAsides(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]Message, error) {
	rows, err := tx.Query(ctx, selectAside, ids)
	if err != nil {
		return nil, err
	}
	asides := make(map[int64]Message)
	var id int64
	var m Message
	var dropped bool
	_, err = pgx.ForEachRow(rows, []any{&id, &m.Reason, &m.Detail, &dropped}, func() error {
		m.State = SetAside
		if dropped {
			m.State = Dropped
		}
		asides[id] = m
		return nil
	})
	return asides, err
}

func messageState(id, done, intent int64, asides map[int64]Message) *Message {
	m, aside := asides[id]
	switch {
	case aside:
	case id <= done:
		m.State = Published
	case id <= intent:
		m.State = Publishing
	default:
		m.State = Waiting
	}
	return &m
}
