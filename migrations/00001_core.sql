-- The tables of one installation. They live in the schema that search_path names; nothing here names one.
-- Text keys are collate "C": a new libc changes the order of other collations and silently breaks their indexes.
-- A table that a batch writes has no identity, no default nextval and no trigger (ARCHITECTURE.md, "Growing").

-- +goose Up

-- One row a migration: the oldest schema version whose binaries still work after it.
create table schema_compatibility (
    version integer primary key,
    oldest  integer not null check (oldest <= version)
);
insert into schema_compatibility (version, oldest) values (1, 1);

-- Who this database is, and which group of which cluster it keeps the positions of.
create table installation (
    only_row          boolean primary key default true check (only_row),
    id                uuid not null,
    system_identifier bigint not null,
    database          text not null,
    cluster_id        text not null,
    consumer_group    text not null,
    outbox_topic      text not null default 'inventory.changes',
    created_at        timestamptz not null default now(),
    adopted_at        timestamptz
);

create table offsets (
    topic       text collate "C" not null,
    partition   integer not null check (partition >= 0),
    incarnation integer not null default 1 check (incarnation > 0),
    topic_id    uuid,
    start       bigint not null check (start >= 0),
    next        bigint not null,
    applied     bigint not null default 0 check (applied >= 0),
    rejected    bigint not null default 0 check (rejected >= 0),
    duplicate   bigint not null default 0 check (duplicate >= 0),
    parked      bigint not null default 0 check (parked >= 0),
    ignored     bigint not null default 0 check (ignored >= 0),
    skipped     bigint not null default 0 check (skipped >= 0),
    jumped      bigint not null default 0 check (jumped >= 0),
    -- The claim: who may advance next. The last writer holds it.
    token       uuid,
    owner       text,
    claimed_at  timestamptz,
    -- Null reason = running.
    halt_reason text,
    halt_detail text,
    halted_at   timestamptz,
    -- Hash of the record at next-1, to notice a log that was cut back and grew again. Null = no record there to compare.
    last_hash   bigint,
    -- Storm guard: how many of the latest 200 records were seen, then a bit each, 1 = parked. Empty = none seen.
    recent      bytea not null default '',
    -- What dedupe memory needs; a new incarnation leaves it alone. Rows written to the inbox; of these, events
    -- without a time; the highest time of the others, capped by their records' timestamps and by this server's clock,
    -- both plus a minute.
    remembered  bigint not null default 0 check (remembered >= 0),
    timeless    bigint not null default 0 check (timeless >= 0),
    newest_event timestamptz,
    updated_at  timestamptz not null default now(),
    primary key (topic, partition),
    constraint offsets_adds_up
        check (next - start = applied + rejected + duplicate + parked + ignored + skipped + jumped)
) with (fillfactor = 50);

create type inbox_outcome as enum ('applied', 'rejected');

-- Cut in generations that are dropped whole, each in a slot: this table alone (select from only) is slot 0, the two that
-- inherit from it are 1 and 2, and who reads inbox reads all of them. A batch writes into the newest one. What is wide
-- stands last in this table and in movements: less is lost between columns to alignment.
create table inbox (
    -- High 8 bits: algorithm version; low 56 bits: hash of what the event asks for.
    fingerprint bigint not null,
    "offset"    bigint not null,
    message_id  bigint, -- of the event's first movement, or of its rejection; its others follow. Null: it has none
    partition   integer not null,
    incarnation integer not null,
    outcome     inbox_outcome not null,
    tenant      text collate "C" not null,
    event_id    text collate "C" not null,
    source      text collate "C" not null,
    topic       text collate "C" not null,
    reason      text,
    primary key (tenant, event_id, source),
    constraint inbox_reason check ((outcome = 'rejected') = (reason is not null))
);
create table inbox_1 (primary key (tenant, event_id, source)) inherits (inbox);
create table inbox_2 (primary key (tenant, event_id, source)) inherits (inbox);

-- The live generations: one to three, without a gap. The newest is open, batches write into its slot.
create table inbox_generations (
    generation  bigint primary key check (generation > 0),
    slot        smallint not null unique check (slot in (0, 1, 2)),
    opened_at   timestamptz not null default now(),
    rows_before bigint not null default 0, -- what offsets.remembered came to when it was opened
    closed_at   timestamptz,
    rows        bigint,
    horizon     timestamptz, -- no event of it, or of an older one, is from later
    constraint inbox_generations_closed check ((closed_at is null) = (rows is null))
);
create unique index inbox_generations_open on inbox_generations ((true)) where closed_at is null;
insert into inbox_generations (generation, slot) values (1, 0);

-- What was dropped. An event that the inbox does not know is new only if it is from after the horizon.
create table inbox_memory (
    only_row      boolean primary key default true check (only_row),
    horizon       timestamptz,
    dropped_rows  bigint not null default 0 check (dropped_rows >= 0),
    dropped_until timestamptz, -- when the last one that was dropped had been closed
    -- A full generation that cannot be followed by another, because something reads the one to be dropped.
    waiting_since timestamptz,
    waiting_for   text
);
insert into inbox_memory default values;

-- How far each partition had been read when a generation was dropped last: below, a record may have lost its inbox row.
create table inbox_forgotten (
    topic       text collate "C" not null,
    partition   integer not null,
    incarnation integer not null,
    before      bigint not null,
    primary key (topic, partition)
);

create table dead_letters (
    topic          text collate "C" not null,
    partition      integer not null,
    incarnation    integer not null,
    "offset"       bigint not null,
    reason         text not null,
    detail         text not null default '',
    -- Byte of the value at which the decoder stopped; null = the whole record.
    error_position integer,
    key            bytea,
    value          bytea,
    -- Keys and values in turn: key 1, value 1, key 2, value 2, ...; a null value is a null element.
    headers        bytea[] not null default '{}',
    record_time    timestamptz,
    parked_at      timestamptz not null default now(),
    primary key (topic, partition, incarnation, "offset")
);

-- Every SKU that was ever defined or stocked; a stock row is only created under a lock on this one.
create table skus (
    tenant          text collate "C" not null,
    sku             text collate "C" not null,
    backorder       text not null default 'deny' check (backorder in ('deny', 'allow', 'limit')),
    backorder_limit bigint check (backorder_limit >= 0),
    low_stock       bigint check (low_stock >= 0), -- available at or below it is low; null = nobody asked
    name            text,
    unit            text,
    -- What one of it is made of, in the order of the parts' SKUs; null = it is no bundle. A bundle has no stock.
    bundle_skus       text[],
    bundle_quantities bigint[],
    updated_at      timestamptz not null default now(),
    primary key (tenant, sku),
    constraint skus_limit check ((backorder = 'limit') = (backorder_limit is not null)),
    constraint skus_bundle
        check ((bundle_skus is null) = (bundle_quantities is null)
          and cardinality(bundle_skus) = cardinality(bundle_quantities) and cardinality(bundle_skus) > 0)
);

create table stock (
    tenant           text collate "C" not null,
    sku              text collate "C" not null,
    location         text collate "C" not null,
    on_hand          bigint not null,
    reserved         bigint not null default 0 check (reserved >= 0), -- of on_hand, promised
    damaged          bigint not null default 0 check (damaged >= 0), -- beside on_hand
    in_transit       bigint not null default 0 check (in_transit >= 0), -- on the way to this location
    version          bigint not null check (version > 0),
    -- The policy of skus, copied here because the CHECK needs it.
    backorder        text not null,
    backorder_limit  bigint,
    low_stock        bigint, -- the threshold of skus, copied here because every movement is held against it
    -- The partition that changed this row last: all events of a SKU should share one. -1 = none yet: events of several
    -- lines come from where they may.
    last_topic       text collate "C" not null,
    last_partition   integer not null,
    partition_moves  integer not null default 0,
    -- When what lies there was last changed or counted, by the events' own times: a count of what was there before is
    -- outdated. Null = never.
    moved_at         timestamptz,
    updated_at       timestamptz not null default now(),
    primary key (tenant, sku, location),
    constraint stock_limit check ((backorder = 'limit') = (backorder_limit is not null)),
    constraint stock_not_oversold
        check (on_hand >= 0 or backorder = 'allow' or (backorder = 'limit' and on_hand >= -backorder_limit))
) with (fillfactor = 70);

-- Promises of stock. Who locks a row has locked the rows of stock of its lines before.
create table reservations (
    tenant       text collate "C" not null,
    reservation  text collate "C" not null,
    state        text not null check (state in ('open', 'released', 'fulfilled', 'expired')),
    expires_at   timestamptz, -- null = never
    -- The record that set the deadline: it lapses by the time of that partition's log.
    topic        text collate "C" not null,
    partition    integer not null,
    -- What is still promised; empty once it is closed.
    skus         text[] not null,
    locations    text[] not null,
    quantities   bigint[] not null,
    event_id     text collate "C" not null, -- that made it
    event_source text collate "C" not null,
    updated_at   timestamptz not null default now(),
    primary key (tenant, reservation),
    constraint reservations_lines
        check (cardinality(skus) = cardinality(locations) and cardinality(skus) = cardinality(quantities)),
    constraint reservations_open check ((state = 'open') = (cardinality(skus) > 0))
);
-- Those that are going to lapse, in the order in which they do.
create index reservations_due on reservations (topic, partition, expires_at, tenant, reservation)
    where state = 'open' and expires_at is not null;

-- Goods on their way from one location to another.
create table transfers (
    tenant       text collate "C" not null,
    transfer     text collate "C" not null,
    state        text not null check (state in ('sent', 'received')),
    location     text collate "C" not null, -- where to
    skus         text[] not null,
    sent         bigint[] not null,
    received     bigint[], -- null until it is
    event_id     text collate "C" not null, -- that made it
    event_source text collate "C" not null,
    updated_at   timestamptz not null default now(),
    primary key (tenant, transfer),
    constraint transfers_received check ((state = 'received') = (received is not null)),
    constraint transfers_lines
        check (cardinality(skus) = cardinality(sent) and cardinality(skus) = cardinality(coalesce(received, sent)))
);

-- Of outgoing messages: movements and outbox_messages draw from it. A number drawn stands for a block of ids that ends
-- before the next number; they are drawn while the locks that order the messages are held (ARCHITECTURE.md, "Out").
create sequence outbox_id increment by 1000 cache 1;

-- The ledger: append-only, and the only way stock changes. Each row is also an outgoing message.
create table movements (
    version      bigint not null check (version > 0),
    delta        bigint not null,
    on_hand      bigint not null,
    message_id   bigint, -- null: nobody is told
    recorded_at  timestamptz not null default now(),
    tenant       text collate "C" not null,
    sku          text collate "C" not null,
    location     text collate "C" not null,
    kind         text not null,
    event_id     text collate "C" not null,
    event_source text collate "C" not null,
    traceparent  text not null default '', -- of the event's record (W3C Trace Context), for the message
    -- As stock has them after it; null = 0.
    reserved     bigint,
    damaged      bigint,
    in_transit   bigint,
    primary key (tenant, sku, location, version),
    constraint movements_message unique (message_id)
);

-- Movements that an opening balance stands for in the ledger now, messages still. They may be exported and removed, once
-- their messages have left: two triggers see to that (below outbox_relay). No batch writes here, so no event pays for it.
create table movements_archive (like movements including constraints including indexes);

-- Messages that are not about a movement. A partition takes 10,000,000 ids, then the next one does, in a circle of three:
-- one whose messages have all left is truncated, which nobody has to wait for. Null payload = a tombstone. With a type
-- it is one of the installation's own: a CloudEvent in JSON, for its topic. What all of these have in common is not kept.
create table outbox_messages (
    id       bigint not null,
    slot     smallint not null,
    topic    text,
    key      bytea,
    event_id text collate "C" not null,
    payload  bytea,
    headers  bytea[] not null default '{}',
    type     text,
    constraint outbox_messages_type check ((topic is null) = (type is not null))
) partition by list (slot);
create table outbox_messages_0 partition of outbox_messages (primary key (id)) for values in (0);
create table outbox_messages_1 partition of outbox_messages (primary key (id)) for values in (1);
create table outbox_messages_2 partition of outbox_messages (primary key (id)) for values in (2);

-- How far messages have left: those up to done are in Kafka for sure, those up to intent perhaps. Kafka's own answer is
-- the offset that group has committed there (ARCHITECTURE.md, "Out"). A turn is one Kafka transaction.
create table outbox_relay (
    only_row       boolean primary key default true check (only_row),
    done           bigint not null default 0 check (done >= 0),
    intent         bigint not null default 0 check (intent >= done),
    done_turn      bigint not null default 0 check (done_turn >= 0),
    intent_turn    bigint not null default 0 check (intent_turn >= done_turn),
    done_by        uuid,                           -- the tokens of the relays whose turns these were: two that were
    intent_by      uuid,                           -- given the same number by copies of a database are told apart
    position_topic text,                           -- where Kafka keeps its answer; null = nowhere yet
    overruled      boolean not null default false, -- an operator decided: done counts, whatever Kafka says
    -- The state of the last transaction, as Kafka told it before it was ended again, which takes that away; null = nothing
    -- is being ended again.
    ending         text,
    -- The lease: who may publish. It ends by this server's clock.
    token          uuid,
    owner          text,
    lease_until    timestamptz,
    -- What the latest committed messages wait for, and since when; null = nothing.
    waiting_for    text,
    waiting_since  timestamptz,
    -- Null reason = running.
    halt_reason    text,
    halt_detail    text,
    halted_at      timestamptz,
    updated_at     timestamptz not null default now()
) with (fillfactor = 50);
insert into outbox_relay default values;

-- Whoever empties the archive is stopped where messages would be lost. search_path is that of whoever does it, so the
-- tables are found by the trigger's own schema. A snapshot that is older than the statement may lack what the archiver
-- has moved since, which a truncate takes away all the same.
-- +goose StatementBegin
create function keep_unpublished() returns trigger language plpgsql as $$
declare
    passed bigint;
    kept   bigint;
begin
    execute format('select coalesce((select done from %I.outbox_relay), 0)', tg_table_schema) into passed;
    if tg_op = 'DELETE' then
        select min(message_id) into kept from gone where message_id > passed;
    elsif current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'an archive is not truncated in a transaction that may not see all of it'
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'Use isolation level read committed, or delete what you have exported.';
    else
        execute format('select min(message_id) from %I.%I where message_id > $1', tg_table_schema, tg_table_name)
            into kept using passed;
    end if;
    if kept is not null then
        raise exception 'movements whose messages have not left stay in the archive: % is the first of them, and done is %',
            kept, passed
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'Delete those with message_id <= done (onhand outbox show), or wait until the others have left.';
    end if;
    return null;
end
$$;
-- +goose StatementEnd
create trigger keep_unpublished after delete on movements_archive
    referencing old table as gone for each statement execute function keep_unpublished();
create trigger keep_unpublished_of_all before truncate on movements_archive
    for each statement execute function keep_unpublished();

-- Messages that Kafka refuses, and those of the same key behind them: set aside so that the others can go on.
create table outbox_aside (
    id         bigint primary key,
    topic      text not null,
    key        bytea,
    event_id   text collate "C" not null,
    payload    bytea,
    headers    bytea[] not null default '{}',
    reason     text not null,
    detail     text not null,
    attempts   integer not null default 0 check (attempts >= 0),
    state      text not null default 'waiting' check (state in ('waiting', 'retry', 'dropped')),
    turn       bigint, -- the turn that sends it again
    aside_at   timestamptz not null default now()
);
create index outbox_aside_key on outbox_aside (topic, key, id);
create index outbox_aside_decided on outbox_aside (id) where state <> 'waiting';

-- All messages. Those about movements are made of the ledger when they are read: a copy would cost each event more than
-- a third of all that it writes. The three parts have plain columns and no conditions, so that they are read by index in
-- the order of the ids.
create view outbox as
select m.id, coalesce(m.topic, (select outbox_topic from installation), 'inventory.changes') as topic,
       coalesce(m.key, convert_to(m.sku, 'UTF8')) as key, m.event_id,
       coalesce(m.payload, convert_to(
         '{"kind":"stock.changed"' || case when m.tenant <> '' then ',"tenant":' || to_json(m.tenant)::text else '' end
         || ',"sku":' || to_json(m.sku)::text || ',"location":' || to_json(m.location)::text
         || ',"on_hand":' || m.on_hand || ',"reserved":' || coalesce(m.reserved, 0)
         || ',"available":' || m.on_hand - coalesce(m.reserved, 0)
         || case when m.damaged <> 0 then ',"damaged":' || m.damaged else '' end
         || case when m.in_transit <> 0 then ',"in_transit":' || m.in_transit else '' end
         || ',"version":' || m.version || ',"follows":' || m.version - 1 || ',"delta":' || m.delta
         || ',"event_id":' || to_json(m.event_id)::text
         || case when m.event_source <> '' then ',"source":' || to_json(m.event_source)::text else '' end
         || ',"event_kind":' || to_json(m.kind)::text || '}', 'UTF8')) as payload,
       case when m.type is not null then '{content-type,application/json,ce_specversion,1.0,ce_type}'::bytea[]
         || array[convert_to(m.type, 'UTF8'),
                  'ce_source', (select convert_to('urn:uuid:' || id, 'UTF8') from installation),
                  'ce_id', m.id::text::bytea]
         || case when m.traceparent <> '' then array['traceparent', m.traceparent::bytea] end || m.headers
         else m.headers end as headers
from (
  select message_id as id, null::text as topic, null::bytea as key, event_id, null::bytea as payload,
         null::bytea[] as headers, 'stock.changed' as type, tenant, sku, location, version, delta, on_hand, reserved,
         damaged, in_transit, kind, event_source, traceparent
  from movements
  union all
  select message_id, null, null, event_id, null, null, 'stock.changed', tenant, sku, location, version, delta, on_hand,
         reserved, damaged, in_transit, kind, event_source, traceparent
  from movements_archive
  union all
  select id, topic, key, event_id, payload, headers, type, null::text collate "C", null::text collate "C",
         null::text collate "C", null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint,
         null::text, null::text collate "C", null::text
  from outbox_messages
) m
where m.id is not null;

create table operator_actions (
    id        bigint generated always as identity primary key,
    at        timestamptz not null default now(),
    actor     text not null,
    command   text not null,
    because   text not null check (because <> ''),
    topic     text,
    partition integer,
    before    jsonb,
    after     jsonb
);

-- +goose Down
drop table operator_actions;
drop view outbox;
drop table outbox_aside;
drop table outbox_relay;
drop table outbox_messages;
drop table movements_archive;
drop function keep_unpublished();
drop table movements;
drop sequence outbox_id;
drop table transfers;
drop table reservations;
drop table stock;
drop table skus;
drop table dead_letters;
drop table inbox_forgotten;
drop table inbox_memory;
drop table inbox_generations;
drop table inbox_2;
drop table inbox_1;
drop table inbox;
drop type inbox_outcome;
drop table offsets;
drop table installation;
drop table schema_compatibility;
