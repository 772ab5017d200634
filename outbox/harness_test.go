package outbox

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// world is one test's outbox: its database, the topic it goes to, and a reader there that knows nothing of relays.
type world struct {
	t       *testing.T
	url     string
	pool    *pgxpool.Pool
	brokers []string
	topic   string
	install uuid.UUID
	client  sarama.Client
	outside *outside
}

// newWorld makes a world on the shared servers.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, testenv.Database(t), testenv.Brokers(t), testenv.Topic(t, 3))
}

func newWorldOn(t *testing.T, url string, brokers []string, topic string) *world {
	t.Helper()
	w := &world{t: t, url: url, brokers: brokers, topic: topic, install: uuid.New()}
	w.pool = w.newPool()
	w.exec(`create table numbers (key text primary key, n bigint not null)`)
	var err error
	if w.client, err = sarama.NewClient(brokers, kafkalog.Config("outside", 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.client.Close() })
	w.outside = newOutside(t, w.client, topic)
	return w
}

// newPool is for a relay of its own, or for the test itself.
func (w *world) newPool() *pgxpool.Pool {
	w.t.Helper()
	cfg, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(pool.Close)
	return pool
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	testenv.Execute(w.t, w.pool, sql, args...)
}

// scan reads one row.
func (w *world) scan(dst []any, sql string, args ...any) {
	w.t.Helper()
	testenv.Scan(w.t, w.pool, dst, sql, args...)
}

const nextNumber = `
insert into numbers (key, n) values ($1, 1) on conflict (key) do update set n = numbers.n + 1 returning n`

// tryAppend writes one message for each of keys in one transaction, each numbered after the last one of its key. The
// table of numbers says what must come out, also where a commit's answer is lost.
func (w *world) tryAppend(ctx context.Context, keys ...string) error {
	keys = slices.Sorted(slices.Values(keys)) // or two of them could deadlock
	return pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		ms := make([]Message, len(keys))
		for i, key := range keys {
			var n int64
			if err := tx.QueryRow(ctx, nextNumber, key).Scan(&n); err != nil {
				return err
			}
			ms[i] = Message{Topic: w.topic, Key: []byte(key), EventID: key, Payload: strconv.AppendInt(nil, n, 10)}
		}
		_, err := Append(ctx, tx, ms...)
		return err
	})
}

func (w *world) append(keys ...string) {
	w.t.Helper()
	if err := w.tryAppend(context.Background(), keys...); err != nil {
		w.t.Fatal(err)
	}
}

const nextNumbers = `
insert into numbers (key, n) values ($1, $2) on conflict (key) do update set n = numbers.n + $2 returning n - $2`

// appendMany writes n messages of one key in one transaction.
func (w *world) appendMany(key string, n int) {
	w.t.Helper()
	ctx := context.Background()
	err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		var last int64
		if err := tx.QueryRow(ctx, nextNumbers, key, n).Scan(&last); err != nil {
			return err
		}
		ms := make([]Message, n)
		for i := range ms {
			number := strconv.AppendInt(nil, last+int64(i)+1, 10)
			ms[i] = Message{Topic: w.topic, Key: []byte(key), EventID: key, Payload: number}
		}
		_, err := Append(ctx, tx, ms...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// feed appends messages until stop is called: so many writers at the same time, each a transaction of some keys at
// every interval. A server that is away is none of its business.
func (w *world) feed(writers int, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for writer := range writers {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				one, other := "key-"+strconv.Itoa((i+writer)%5), "key-"+strconv.Itoa(5+i%4)
				// Not under a context that stop ends: that would break connections.
				bounded, end := context.WithTimeout(context.Background(), patience)
				_ = w.tryAppend(bounded, one, other, one)
				end()
				pause(ctx, every)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return stop
}

// config is a relay of w's outbox, quick to notice things.
func (w *world) config(member string) Config {
	return Config{
		Brokers: w.brokers, Pool: w.newPool(), Installation: w.install, PositionTopic: w.topic, Member: member,
		LeaseTime: 2 * time.Second, TransactionTimeout: 5 * time.Second, Log: testLog(w.t, member),
	}
}

// testLog writes where ONHAND_TEST_LOG asks for it.
func testLog(t *testing.T, member string) zerolog.Logger {
	if os.Getenv("ONHAND_TEST_LOG") == "" {
		return zerolog.Nop()
	}
	return zerolog.New(os.Stderr).With().Timestamp().Str("test", t.Name()).Str("member", member).Logger()
}

// start runs a relay until the test ends or stop is called; stop waits for its end.
func (w *world) start(cfg Config) (r *Relay, stop func()) {
	w.t.Helper()
	return startRelay(w.t, cfg)
}

func startRelay(t *testing.T, cfg Config) (r *Relay, stop func()) {
	t.Helper()
	r, err := NewRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, testenv.Background(t, patience, "the relay", r.Run)
}

func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	testenv.Eventually(w.t, patience, what, condition)
}

// stays makes sure that condition holds all the time that d is long.
func (w *world) stays(what string, d time.Duration, condition func() bool) {
	w.t.Helper()
	over := time.After(d)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			if !condition() {
				w.t.Fatalf("not so any more: %s", what)
			}
		}
	}
}

// numbers is how many messages of each key were committed.
func (w *world) numbers() map[string]int64 {
	w.t.Helper()
	rows, err := w.pool.Query(context.Background(), `select key, n from numbers`)
	if err != nil {
		w.t.Fatal(err)
	}
	want := make(map[string]int64)
	var key string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&key, &n}, func() error { want[key] = n; return nil }); err != nil {
		w.t.Fatal(err)
	}
	return want
}

// awaitAll waits until as many messages are visible as were committed, and the relay has stored that. Then each of them
// must be there once, in the order of its key.
func (w *world) awaitAll() {
	w.t.Helper()
	want := w.numbers()
	total := 0
	for _, n := range want {
		total += int(n)
	}
	w.eventually(fmt.Sprintf("%d messages are visible", total), func() bool { return w.visible() >= total })
	w.check()
	w.eventually("the relay's row says so", func() bool {
		r := w.row()
		return r.done == r.intent && r.done.id == w.lastID()
	})
	w.visible()
	w.check()
}

// visible is how many messages a reader of committed records sees.
func (w *world) visible() int {
	// The broker may be away: then it is as many as were seen last.
	_ = w.outside.catchUp(context.Background())
	return len(w.outside.seen)
}

// check compares what the outside reader saw so far with what was committed.
func (w *world) check() {
	w.t.Helper()
	if found := w.outside.differences(w.numbers()); len(found) > 0 {
		w.t.Fatalf("%d differences between what was written and what can be read:\n%s", len(found),
			strings.Join(found[:min(len(found), 20)], "\n"))
	}
}

// lastID is the id of the last message that is committed.
func (w *world) lastID() (id int64) {
	w.t.Helper()
	w.scan([]any{&id}, `select coalesce(max(id), 0) from outbox`)
	return id
}

// relayRow is outbox_relay as a person looks at it.
type relayRow struct {
	done, intent place
	owner, halt  string
	overruled    bool
}

func (w *world) row() (r relayRow) {
	w.t.Helper()
	w.scan([]any{
		&r.done.id, &r.done.turn, &r.done.by, &r.intent.id, &r.intent.turn, &r.intent.by, &r.owner, &r.halt, &r.overruled,
	}, `
select done, done_turn, coalesce(done_by, '00000000-0000-0000-0000-000000000000'),
       intent, intent_turn, coalesce(intent_by, '00000000-0000-0000-0000-000000000000'),
       coalesce(owner, ''), coalesce(halt_reason, ''), overruled
from outbox_relay`)
	return r
}

// position is what Kafka has committed for the relay; nil = nothing.
func (w *world) position() *place {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	committed, err := w.outside.reader.Committed(ctx, ProducerID(w.install))
	if err != nil {
		w.t.Fatal(err)
	}
	c, ok := committed[kafkalog.TopicPartition{Topic: w.topic}]
	if !ok {
		return nil
	}
	p := stored(c.Offset, c.Metadata, w.install)
	return &p
}

// expire ends the lease, as if its holder had been silent for long enough.
func (w *world) expire() {
	w.t.Helper()
	w.exec(`update outbox_relay set lease_until = clock_timestamp() - interval '1 s' where lease_until is not null`)
}
