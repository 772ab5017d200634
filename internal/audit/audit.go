// Package audit records what operators changed, in the transaction that changes it.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"

	"github.com/jackc/pgx/v5"
)

// Action is one change by an operator: a row of operator_actions.
type Action struct {
	Actor     string // who, as user@host
	Command   string // what was typed, without secrets
	Because   string // why; never empty
	Topic     string // empty = about no topic
	Partition int32
	Before    any // as JSON; nil = there was nothing
	After     any
}

const insert = `
insert into operator_actions (actor, command, because, topic, partition, before, after)
values ($1, $2, $3, $4, $5, $6, $7)
returning id`

// Write adds a to the record; it lasts if tx commits.
func Write(ctx context.Context, tx pgx.Tx, a Action) error {
	_, err := Begin(ctx, tx, a)
	return err
}

// Begin is Write for an action of several transactions, of which tx is the first. The others call Amend.
func Begin(ctx context.Context, tx pgx.Tx, a Action) (id int64, err error) {
	var topic *string
	var partition *int32
	if a.Topic != "" {
		topic, partition = &a.Topic, &a.Partition
	}
	before, err := document(a.Before)
	if err != nil {
		return 0, fmt.Errorf("record operator action: %w", err)
	}
	after, err := document(a.After)
	if err != nil {
		return 0, fmt.Errorf("record operator action: %w", err)
	}
	err = tx.QueryRow(ctx, insert, a.Actor, a.Command, a.Because, topic, partition, before, after).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("record operator action: %w", err)
	}
	return id, nil
}

const amend = `update operator_actions set after = $2 where id = $1`

// Amend says what the action that began as id has come to, with this transaction.
func Amend(ctx context.Context, tx pgx.Tx, id int64, after any) error {
	text, err := document(after)
	if err == nil {
		_, err = tx.Exec(ctx, amend, id, text)
	}
	if err != nil {
		return fmt.Errorf("record operator action: %w", err)
	}
	return nil
}

// document is v as JSON text; nil is the database's null, not JSON's.
func document(v any) (*string, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	text := string(b)
	return &text, err
}

// Actor is the person at this machine, as far as the operating system knows: user@host.
func Actor() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, _ := os.Hostname()
	return cmp.Or(name, "unknown") + "@" + cmp.Or(host, "unknown")
}
