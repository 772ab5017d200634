package servers

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A batch of the product draws ids in blocks of 1,000, the rest of the last one stays unused: the prepared outbox is
// what full batches leave, some of whose events were rejected.
const (
	batchMessages = 1900
	batchIDs      = 2000
)

// MessagesUpTo is how many messages of a prepared outbox have an id up to that.
func MessagesUpTo(id int64) int64 {
	if id < 1 {
		return 0
	}
	return (id-1)/batchIDs*batchMessages + min((id-1)%batchIDs+1, batchMessages)
}

// Movements are messages. Those of the prepared outbox are on 10,000 SKUs in turn, as long as the workload's. The
// columns are named here and by whoever writes the others.
const fillOutbox = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
select '', 'SKU-' || lpad((n % 10000)::text, 6, '0'), 'main', n / 10000 + 1, 1, n / 10000 + 1, 'stock.received',
       gen_random_uuid()::text, 'warehouse-01', n / $2::bigint * $3::bigint + n % $2::bigint + 1
from generate_series(0, $1::bigint - 1) as n`

// The sequence stands where it would after these ids were drawn: its next number begins a block behind them.
const standBehind = `select setval('outbox_id', (max(message_id) - 1) / 1000 * 1000 + 1) from movements`

func fillMessages(ctx context.Context, conn *pgx.Conn, messages int) error {
	if _, err := conn.Exec(ctx, fillOutbox, messages, batchMessages, batchIDs); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, standBehind); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "vacuum (analyze, freeze) movements")
	return err
}

const install = `
insert into installation (id, system_identifier, database, cluster_id, consumer_group, outbox_topic)
select gen_random_uuid(), system_identifier, current_database(), '', $1, $2 from pg_control_system()`

// Install gives a database its installation before anybody starts on it: messages name it, and their topic.
func (s *Servers) Install(ctx context.Context, databaseURL, group, outboxTopic string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, install, group, outboxTopic); err != nil {
		return fmt.Errorf("write the installation: %w", err)
	}
	return nil
}

// What an insert into movements, as the product sends it, becomes under this rule is an insert of the same rows into a
// ledger without ids of messages and without their index. The rule is applied when a statement is planned, so it costs
// the rows nothing. A column that was dropped would: rows would carry a map of what they lack.
const mute = `
drop view outbox;
alter table movements rename to movements_as_messages;
create table ledger as
  select version, delta, on_hand, recorded_at, tenant, sku, location, kind, event_id, event_source, traceparent,
         reserved, damaged, in_transit
  from movements_as_messages with no data;
alter table ledger
  alter recorded_at set default now(), alter traceparent set default '',
  add constraint ledger_pkey primary key (tenant, sku, location, version);
create view movements as select *, null::bigint as message_id from ledger;
create rule without_messages as on insert to movements do instead
  insert into ledger (version, delta, on_hand, tenant, sku, location, kind, event_id, event_source, reserved, damaged,
                      in_transit)
  values (new.version, new.delta, new.on_hand, new.tenant, new.sku, new.location, new.kind, new.event_id,
          new.event_source, new.reserved, new.damaged, new.in_transit)`

// Mute makes the ledger of an empty database one that is no outbox: the product writes it as ever, and movements have
// neither ids of messages nor an index of them.
func (s *Servers) Mute(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, mute, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("make a ledger without messages: %w", err)
	}
	return nil
}
