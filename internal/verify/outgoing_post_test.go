package verify_test

import (
	"slices"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
	"onhand/internal/verify"
)

// letter is a message as it lies in the topic.
type letter struct {
	id        int64
	partition int32
	key       []byte
	value     []byte
	headers   []sarama.RecordHeader
}

// with returns a copy that change has changed.
func (l letter) with(change func(*letter)) letter {
	l.headers = slices.Clone(l.headers)
	change(&l)
	return l
}

// post is an installation whose messages have left: nine movements of three rows of stock, A in partition 0 and B in
// partition 1. What the topic holds is up to each test.
type post struct {
	shop
	pool *pgxpool.Pool
	id   uuid.UUID
}

func openPost(t *testing.T) *post {
	t.Helper()
	client, err := sarama.NewClient(testenv.Brokers(t), kafkalog.Config("verify-test", sessionTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	log, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	p := &post{shop: shop{client: client, log: log}, pool: pool, id: uuid.New()}
	change(t, pool, `insert into installation (id, system_identifier, database, cluster_id, consumer_group)
		values ($1, 1, 'd', 'c', 'g')`, p.id)
	p.newTopic(t, 2)
	p.keepBooks(t)
	return p
}

// newTopic gives the installation another outgoing topic, with nothing in it.
func (p *post) newTopic(t *testing.T, partitions int32) {
	t.Helper()
	p.topic = testenv.Topic(t, partitions)
	change(t, p.pool, `update installation set outbox_topic = $1`, p.topic)
}

// keepBooks writes the ledger anew, of which everything has left.
func (p *post) keepBooks(t *testing.T) {
	t.Helper()
	testenv.EmptyArchive(t, p.pool, "true")
	q := &pgx.Batch{}
	for _, table := range []string{"movements", "stock", "skus", "outbox_aside", "operator_actions"} {
		q.Queue("delete from " + table)
	}
	for _, m := range []struct {
		id                    int64
		tenant, sku, location string
		version, delta, sum   int64
		beside                []int64 // reserved, damaged, in transit; nil = nothing ever was
	}{
		{1001, "", "A", "main", 1, 10, 10, nil},
		{1002, "shop 2", `B "é'`, "main", 1, 4, 4, []int64{2, 0, 0}},
		{1003, "", "A", "main", 2, -3, 7, nil},
		{2001, "", "A", "north", 1, 1, 1, []int64{0, 3, 0}},
		{2002, "", "A", "main", 3, -2, 5, nil},
		{2003, "shop 2", `B "é'`, "main", 2, 1, 5, []int64{3, 0, 4}},
		{3001, "", "A", "north", 2, 1, 2, []int64{0, 1, 5}},
		{3002, "shop 2", `B "é'`, "main", 3, 1, 6, []int64{0, 0, 0}},
		{3003, "", "A", "main", 4, -3, 2, nil},
	} {
		q.Queue(`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
			message_id, traceparent, reserved, damaged, in_transit)
			values ($1, $2, $3, $4, $5, $6, 'stock.adjusted', 'e' || $7::bigint, $8, $7, $9,
			  ($10::bigint[])[1], ($10::bigint[])[2], ($10::bigint[])[3])`,
			m.tenant, m.sku, m.location, m.version, m.delta, m.sum, m.id, m.tenant, m.tenant, m.beside)
	}
	q.Queue(`insert into skus (tenant, sku, backorder, backorder_limit)
		select distinct tenant, sku, 'limit', 2 from movements`)
	q.Queue(`insert into stock (tenant, sku, location, on_hand, version, backorder, backorder_limit, last_topic,
		last_partition, moved_at)
		select tenant, sku, location, sum(delta), count(*), 'limit', 2, 't', 0, now() from movements group by 1, 2, 3`)
	q.Queue(`update outbox_relay set done = 3003, intent = 3003, halt_reason = null, halted_at = null`)
	if err := p.pool.SendBatch(t.Context(), q).Close(); err != nil {
		t.Fatal(err)
	}
}

// letters are all messages in their order, as the relay reads them.
func (p *post) letters(t *testing.T) []letter {
	t.Helper()
	rows, err := p.pool.Query(t.Context(), `select id, key, payload, headers from outbox order by id`)
	if err != nil {
		t.Fatal(err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l letter, err error) {
		var headers [][]byte
		err = row.Scan(&l.id, &l.key, &l.value, &headers)
		for i := 0; i+1 < len(headers); i += 2 {
			l.headers = append(l.headers, sarama.RecordHeader{Key: headers[i], Value: headers[i+1]})
		}
		if l.key[0] == 'B' {
			l.partition = 1
		}
		return l, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// send writes letters to the topic in one transaction.
func (p *post) send(t *testing.T, letters []letter) { t.Helper(); p.transact(t, letters, true) }

func (p *post) transact(t *testing.T, letters []letter, commit bool) {
	t.Helper()
	sender := producer(t, "verify-"+uuid.NewString())
	if err := sender.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	p.write(t, sender, letters)
	end := sender.AbortTxn
	if commit {
		end = sender.CommitTxn
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

func (p *post) write(t *testing.T, sender sarama.SyncProducer, letters []letter) {
	t.Helper()
	var messages []*sarama.ProducerMessage
	for _, l := range letters {
		m := &sarama.ProducerMessage{
			Topic: p.topic, Partition: l.partition, Value: sarama.ByteEncoder(l.value), Headers: l.headers,
		}
		if l.key != nil {
			m.Key = sarama.ByteEncoder(l.key)
		}
		messages = append(messages, m)
	}
	if err := sender.SendMessages(messages); err != nil {
		t.Fatal(err)
	}
}

func (p *post) config() verify.Config {
	return verify.Config{
		Pool: p.pool, Log: p.log, Differences: 20, OutboxOnly: true, Patience: patience,
	}
}

func (p *post) verify(t *testing.T) *verify.Report { t.Helper(); return run(t, p.config()) }

// verifyFromLogStart is verify with --from-log-start.
func (p *post) verifyFromLogStart(t *testing.T) *verify.Report {
	t.Helper()
	cfg := p.config()
	cfg.FromLogStart = true
	return run(t, cfg)
}

// without returns letters without those of ids.
func without(letters []letter, ids ...int64) []letter {
	return slices.DeleteFunc(slices.Clone(letters), func(l letter) bool { return slices.Contains(ids, l.id) })
}

func (p *post) deleteRecords(t *testing.T, partition int32, before int64) {
	t.Helper()
	p.awaitMarker(t, partition)
	admin, err := sarama.NewClusterAdminFromClient(p.client)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.DeleteRecords(p.topic, map[int32]int64{partition: before}); err != nil {
		t.Fatal(err)
	}
}

// archive leaves the last movement of A at main, and opening balances.
func (p *post) archive(t *testing.T) {
	t.Helper()
	for _, sql := range []string{
		`insert into movements_archive select * from movements where message_id <> 3003`,
		`delete from movements where message_id in (select message_id from movements_archive)
		   and (tenant, sku, location, version) not in
		     (select tenant, sku, location, max(version) from movements_archive group by 1, 2, 3)`,
		`update movements set delta = on_hand, kind = 'ledger.opened', event_id = '', event_source = 'onhand:ledger',
		   message_id = null where message_id <> 3003`,
	} {
		change(t, p.pool, sql)
	}
}
