package main

import (
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
)

// Four members apply orders that all want the same few rows of stock and the same reservations: half of the partitions
// name them in ascending order, half in descending. Batches that locked as they are told to would wait for one another
// in a circle.
func TestMembersWithOrdersInOppositeOrderDoNotDeadlock(t *testing.T) {
	t.Parallel()
	// The server counts deadlocks, so it is this test's own; and it looks for them long before the service gives up
	// waiting for a lock by itself.
	server := testenv.Postgres(t, "deadlock_timeout=10ms")
	url, topic := server.Database(), testenv.Topic(t, orderPartitions)
	pool, o := connect(t, url), newOrders()
	args := append(serviceArgs(t, url, topic), "--relay", "off", "--max-batch", "10", "--log-level", "debug")
	var members []*service
	for range 4 {
		members = append(members, start(t, args...))
	}

	// All rows are there before two batches want the same one: a batch that makes a row of stock locks out of order.
	o.awaitRead(t, pool, topic, o.receipts)
	o.awaitRead(t, pool, topic, o.promises)
	waited := 0
	o.send(t, topic, o.orders)
	testenv.Eventually(t, 3*waitingTime, "the orders are read", func() bool {
		waited += query[int](t, pool, `select count(*) from pg_stat_activity where wait_event_type = 'Lock'`)
		return o.areRead(t, pool)
	})
	if waited == 0 {
		t.Error("no batch was seen to wait for another one: nothing is shown")
	}

	for _, m := range members {
		m.stop()
		if n := strings.Count(m.output.String(), "40P01"); n != 0 {
			t.Errorf("a member met %d deadlocks", n)
		}
	}
	// What a session has counted is added up when it ends, at the latest.
	testenv.Eventually(t, waitingTime, "the members' sessions have ended", func() bool {
		return query[int](t, pool, `select count(*) from pg_stat_activity
			where backend_type = 'client backend' and application_name like 'onhand%'`) == 0
	})
	if n := query[int64](t, pool, `select deadlocks from pg_stat_database where datname = current_database()`); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
	o.compare(t, pool)
	command(t, "verify", "--database-url", url, "--brokers", testenv.Brokers(t)[0]).expect(t, exitDone, "OK")
}

// send writes each partition's records to it.
func (o *orders) send(t *testing.T, topic string, records [][]string) {
	t.Helper()
	var messages []*sarama.ProducerMessage
	for partition, values := range records {
		for _, value := range values {
			messages = append(messages, &sarama.ProducerMessage{
				Topic: topic, Partition: int32(partition), Value: sarama.StringEncoder(value),
			})
		}
	}
	if err := testenv.Producer(t, testenv.Brokers(t)).SendMessages(messages); err != nil {
		t.Fatal(err)
	}
	o.sent += len(messages)
}

func (o *orders) areRead(t *testing.T, pool *pgxpool.Pool) bool {
	t.Helper()
	return query[int](t, pool, `select coalesce(sum(next - start), 0) from offsets`) == o.sent
}

func (o *orders) awaitRead(t *testing.T, pool *pgxpool.Pool, topic string, records [][]string) {
	t.Helper()
	o.send(t, topic, records)
	testenv.Eventually(t, waitingTime, "the records are read", func() bool { return o.areRead(t, pool) })
}

// compare says where the database has not what must have come of the records.
func (o *orders) compare(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select sku, location, on_hand, reserved from stock`)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[place]goods)
	var at place
	var g goods
	if _, err := pgx.ForEachRow(rows, []any{&at.sku, &at.location, &g.onHand, &g.reserved}, func() error {
		got[at] = g
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for at, want := range o.stock {
		if got[at] != want {
			t.Errorf("%+v has %+v, want %+v", at, got[at], want)
		}
	}
	if len(got) != len(o.stock) {
		t.Errorf("%d rows of stock, want %d", len(got), len(o.stock))
	}
	applied := query[int](t, pool, `select sum(applied) from offsets`)
	rejected := query[int](t, pool, `select sum(rejected) from offsets`)
	if applied != o.sent-o.refused || rejected != o.refused {
		t.Errorf("%d applied, %d rejected, want %d and %d", applied, rejected, o.sent-o.refused, o.refused)
	}
}
