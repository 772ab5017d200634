package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Why a message is set aside (outbox_aside.reason).
const (
	// AsideMessage: Kafka refuses the message itself; it is too large for its topic, mostly.
	AsideMessage = "message_refused"
	// AsideTopic: its topic does not exist, or may not be written.
	AsideTopic = "topic_refused"
	// AsideBehind: an earlier message of the same topic and key is set aside, and order is kept.
	AsideBehind = "behind_another"
)

// What becomes of a message that is set aside (outbox_aside.state).
const (
	asideWaiting = "waiting" // for an operator
	asideRetry   = "retry"   // it is sent with the next turn
	asideDropped = "dropped" // it will never be sent
)

// maxRetried bounds how many messages of those set aside one turn sends again.
const maxRetried = 2000

// asides is the leader's picture of outbox_aside. Only the leader adds rows; operators change their state, which it
// looks for every second. A message that is set aside is not sent when it is read; it leaves by a retry only.
type asides struct {
	ids  map[int64]bool // of rows that are not passed yet, and would be read again
	keys map[asideKey]heldKey
}

// heldKey is a key of messages that are set aside.
type heldKey struct {
	first int64  // the id of the first one: what is before it is not held
	state string // of the last one
}

type asideKey struct {
	topic string
	key   string
}

const selectAsideIDs = `select id from outbox_aside where id > $1`

const selectAsideKeys = `
select distinct on (topic, key) topic, key, state, min(id) over (partition by topic, key) from outbox_aside
where key is not null and state <> 'dropped' order by topic, key, id desc`

// loadAsides reads the picture; after is the position.
func loadAsides(ctx context.Context, db querier, after int64, keepOrder bool) (*asides, error) {
	a := &asides{ids: make(map[int64]bool), keys: make(map[asideKey]heldKey)}
	q := &pgx.Batch{}
	q.Queue(selectAsideIDs, after).Query(func(rows pgx.Rows) error {
		var id int64
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error { a.ids[id] = true; return nil })
		return err
	})
	if keepOrder {
		q.Queue(selectAsideKeys).Query(func(rows pgx.Rows) error {
			var topic string
			var key []byte
			var held heldKey
			_, err := pgx.ForEachRow(rows, []any{&topic, &key, &held.state, &held.first}, func() error {
				a.keys[asideKey{topic, string(key)}] = held
				return nil
			})
			return err
		})
	}
	if err := db.SendBatch(ctx, q).Close(); err != nil {
		return nil, fmt.Errorf("read what is set aside: %w", err)
	}
	return a, nil
}

// holds reports whether m has to wait behind a message that is set aside, and in which state: behind one that is sent
// again it is sent again too.
func (a *asides) holds(m *outgoing) (state string, held bool) {
	if m.key == nil {
		return "", false
	}
	key, ok := a.keys[asideKey{m.topic, string(m.key)}]
	return key.state, ok && m.id > key.first
}

// asideRow is a message to be set aside, and why.
type asideRow struct {
	message        *outgoing
	reason, detail string
	state          string
}

const insertAside = `
insert into outbox_aside (id, topic, key, event_id, payload, headers, reason, detail, state, attempts)
values ($1, $2, $3, $4, $5, coalesce($6::bytea[], '{}'), $7, $8, $9, 1)
on conflict (id) do update
set reason = excluded.reason, detail = excluded.detail, state = excluded.state, turn = null,
    attempts = outbox_aside.attempts + 1`

// setAside stores rows. It needs no fence: the row says that a message is not out, which only a turn of the lease's
// holder can change, and a turn begins with what is stored here.
func setAside(ctx context.Context, pool *pgxpool.Pool, rows []asideRow) error {
	q := &pgx.Batch{}
	for _, r := range rows {
		m := r.message
		q.Queue(insertAside, m.id, m.topic, m.key, m.eventID, m.payload, m.headers, r.reason, r.detail, r.state)
	}
	if err := pool.SendBatch(ctx, q).Close(); err != nil {
		return fmt.Errorf("set %d messages aside: %w", len(rows), err)
	}
	return nil
}

// toRetry are the rows that can be sent again: passed already ($1), or they could not be told from the ones that are
// read, and, if order is kept ($2), with nothing of their key in front that waits.
const toRetry = `
from outbox_aside a
where a.state = 'retry' and a.id <= $1 and not ($2 and exists (
  select from outbox_aside h where h.topic = a.topic and h.key = a.key and h.id < a.id and h.state = 'waiting'))`

const selectRetries = `select a.id, a.topic, a.key, a.event_id, a.payload, a.headers` + toRetry + `
order by a.id limit $3`

// retries are the messages to be sent again, in order.
func retries(ctx context.Context, db querier, passed int64, keepOrder bool, most int) ([]*outgoing, error) {
	rows, err := db.Query(ctx, selectRetries, passed, keepOrder, min(most, maxRetried))
	if err != nil {
		return nil, fmt.Errorf("read messages to be sent again: %w", err)
	}
	messages, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*outgoing, error) {
		m := &outgoing{}
		return m, row.Scan(&m.id, &m.topic, &m.key, &m.eventID, &m.payload, &m.headers)
	})
	if err != nil {
		return nil, fmt.Errorf("read messages to be sent again: %w", err)
	}
	return messages, nil
}

const markRetries = `
update outbox_aside set turn = case when id = any($2) then $1::bigint end where turn is not null or id = any($2)`

// markRetried notes which messages the turn sends again. Once that turn is done they are out.
func markRetried(ctx context.Context, pool *pgxpool.Pool, turn int64, ids []int64) error {
	if _, err := pool.Exec(ctx, markRetries, turn, ids); err != nil {
		return fmt.Errorf("note what is sent again: %w", err)
	}
	return nil
}

const deleteSettled = `
delete from outbox_aside
where state = 'retry' and turn <= (select done_turn from outbox_relay)
   or state = 'dropped' and id <= (select done from outbox_relay)`

// What waits behind another is sent again once nothing that was refused itself waits before it. It is asked at each
// turn too, because an operator's decision may come while the relay sets another message aside behind the one decided.
const freeFollowers = `
update outbox_aside b set state = 'retry', turn = null
where b.state = 'waiting' and b.reason = 'behind_another' and not exists (
  select from outbox_aside h
  where h.topic = b.topic and h.key = b.key and h.id < b.id and h.state = 'waiting' and h.reason <> 'behind_another')`

// A turn that was not done is not to be taken for the one that gets its number next.
const forgetTurns = `update outbox_aside set turn = null where turn is not null`

// settleAsides removes what is out, or was dropped and is passed. At the start of a session no turn is under way.
func settleAsides(ctx context.Context, pool *pgxpool.Pool, atStart bool) error {
	q := &pgx.Batch{}
	q.Queue(deleteSettled)
	q.Queue(freeFollowers)
	if atStart {
		q.Queue(forgetTurns)
	}
	if err := pool.SendBatch(ctx, q).Close(); err != nil {
		return fmt.Errorf("remove what is not set aside any more: %w", err)
	}
	return nil
}

const decidedAsides = `
select exists (select ` + toRetry + `) or exists (select from outbox_aside where state = 'dropped' and id <= $1)`

// asidesDecided reports whether an operator has decided about messages that are set aside.
func asidesDecided(ctx context.Context, db querier, passed int64, keepOrder bool) (yes bool, err error) {
	if err := db.QueryRow(ctx, decidedAsides, passed, keepOrder).Scan(&yes); err != nil {
		return false, fmt.Errorf("look for decisions about messages that are set aside: %w", err)
	}
	return yes, nil
}

const troubledTopics = `
select distinct on (topic) topic, id, key, payload, headers from outbox_aside
where reason = 'topic_refused' and state = 'waiting' order by topic, id`

// refusedTopics are the topics that messages are set aside for, each with one of them.
func refusedTopics(ctx context.Context, db querier) ([]*outgoing, error) {
	rows, err := db.Query(ctx, troubledTopics)
	if err != nil {
		return nil, fmt.Errorf("read which topics are refused: %w", err)
	}
	samples, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*outgoing, error) {
		m := &outgoing{}
		return m, row.Scan(&m.topic, &m.id, &m.key, &m.payload, &m.headers)
	})
	if err != nil {
		return nil, fmt.Errorf("read which topics are refused: %w", err)
	}
	return samples, nil
}

const retryTopic = `
update outbox_aside set state = 'retry' where topic = $1 and state = 'waiting' and reason = 'topic_refused'`

// retryAll has everything sent again that was set aside because of its topic, and what waits behind that.
func retryAll(ctx context.Context, pool *pgxpool.Pool, topic string) error {
	q := &pgx.Batch{}
	q.Queue(retryTopic, topic)
	q.Queue(freeFollowers)
	if err := pool.SendBatch(ctx, q).Close(); err != nil {
		return fmt.Errorf("send the messages of topic %s again: %w", topic, err)
	}
	return nil
}

const keepAside = `
update outbox_aside set state = 'waiting', reason = 'topic_refused', detail = $2, turn = null, attempts = attempts + 1
where topic = $1 and state = 'retry'`

// stopRetries lets what was to be sent again to topic wait, as before.
func stopRetries(ctx context.Context, pool *pgxpool.Pool, topic, detail string) error {
	if _, err := pool.Exec(ctx, keepAside, topic, detail); err != nil {
		return fmt.Errorf("set the messages of topic %s aside again: %w", topic, err)
	}
	return nil
}
