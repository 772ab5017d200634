package debezium

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/peer"
	"onhand/internal/kafkalog"
)

const (
	table       = "outbox_events"
	publication = "outbox_events"
)

// The columns are those that the event router expects, and the id of the message for its readers. aggregatetype is what
// it routes by.
const tables = `
create table outbox_events (
  id uuid primary key, aggregatetype text not null, aggregateid text not null, type text not null,
  payload text not null, ce_id text not null);
create publication outbox_events for table outbox_events`

// prepare makes the table and marks the place in the log where Connect will begin; then come the messages.
func prepare(ctx context.Context, conn *pgx.Conn, job peer.Job) error {
	if _, err := conn.Exec(ctx, tables, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("make Debezium's outbox: %w", err)
	}
	const slot = `select from pg_create_logical_replication_slot($1, 'pgoutput')`
	if _, err := conn.Exec(ctx, slot, slotName(job)); err != nil {
		return fmt.Errorf("make a replication slot: %w", err)
	}
	if err := fill(ctx, conn, job); err != nil {
		return errors.Join(err, dropSlot(context.WithoutCancel(ctx), conn))
	}
	return nil
}

// perInsert is how many messages a transaction has, as a busy service's would.
const perInsert = 500

func fill(ctx context.Context, conn *pgx.Conn, job peer.Job) error {
	var rows [][]any
	flush := func() error {
		columns := []string{"id", "aggregatetype", "aggregateid", "type", "payload", "ce_id"}
		_, err := conn.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
		rows = rows[:0]
		return err
	}
	err := job.Messages(ctx, func(m peer.Message) error {
		id, err := uuid.NewRandom()
		if err != nil {
			return err
		}
		rows = append(rows, []any{id, job.Topic, string(m.Key), "stock.changed", string(m.Payload), ceID(m)})
		if len(rows) < perInsert {
			return nil
		}
		return flush()
	})
	if err := errors.Join(err, flush()); err != nil {
		return fmt.Errorf("move messages into Debezium's outbox: %w", err)
	}
	return nil
}

func ceID(m peer.Message) string {
	for i := 0; i+1 < len(m.Headers); i += 2 {
		if string(m.Headers[i]) == "ce_id" {
			return string(m.Headers[i+1])
		}
	}
	return ""
}

// slotName is legal for Postgres, and as much this run's own as the group is.
func slotName(job peer.Job) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, job.Group)
}

// dropSlot takes the slot of job's database away, or the database could not go. Connect's connection may live a moment
// longer than its process.
func dropSlot(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	const drop = `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`
	for {
		_, err := conn.Exec(ctx, drop)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("drop the replication slot: %w", err)
		}
	}
}

// brokerPatience is how long a broker may take to answer, and a server to notice that a client has gone.
const brokerPatience = 15 * time.Second

// countEvery is how often the topic's end is looked at. There are no transactions, so every offset is a message.
const countEvery = 50 * time.Millisecond

func count(ctx context.Context, job peer.Job, done *atomic.Int64) error {
	client, reader, err := kafkalog.Connect(ctx, job.Brokers, "onhand-bench-count", brokerPatience)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	tps, err := reader.Partitions(job.Topic)
	if err != nil {
		return err
	}
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		ranges, err := reader.Ranges(ctx, tps)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var n int64
		for _, r := range ranges {
			n += r.HighWatermark
		}
		done.Store(n)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
