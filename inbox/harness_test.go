package inbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/testenv"
)

// patience bounds every wait of these tests.
const patience = 40 * time.Second

// world is one test's database, topic and producer, and the consumers that it started.
type world struct {
	t        *testing.T
	url      string
	pool     *pgxpool.Pool
	brokers  []string
	topic    string
	group    string
	install  uuid.UUID
	producer sarama.SyncProducer
}

// newWorld makes a world whose handler keeps a tally: one row a word, counted up by its events.
func newWorld(t *testing.T, partitions int32) *world {
	t.Helper()
	w := &world{
		t: t, url: testenv.Database(t), brokers: testenv.Brokers(t), topic: testenv.Topic(t, partitions),
		group: "group-" + uuid.NewString(), install: uuid.New(),
	}
	w.pool = testenv.Pool(t, w.url)
	w.exec(`create table tally (word text primary key, n integer not null check (n < 1000000))`)
	w.producer = testenv.Producer(t, w.brokers)
	return w
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

// number reads one number; no row is 0.
func (w *world) number(sql string, args ...any) int64 {
	w.t.Helper()
	var n int64
	if err := w.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// send produces values to one partition, in order.
func (w *world) send(partition int32, values ...string) {
	w.t.Helper()
	w.sendTo(w.topic, partition, values...)
}

func (w *world) sendTo(topic string, partition int32, values ...string) {
	w.t.Helper()
	ms := make([]*sarama.ProducerMessage, len(values))
	for i, v := range values {
		ms[i] = &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.StringEncoder(v)}
	}
	if err := w.producer.SendMessages(ms); err != nil {
		w.t.Fatal(err)
	}
}

// numbered are n events `id word` with ids prefix-0, prefix-1, ...
func numbered(prefix string, n int, word string) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("%s-%d %s", prefix, i, word)
	}
	return values
}

// words reads events of the form `id word`; a word of `!code` is parked with that code.
type words struct{}

func (words) Decode(r *Record) (Event, error) {
	id, word, ok := strings.Cut(string(r.Value), " ")
	if !ok {
		return Event{}, Park("no_word")
	}
	if code, bad := strings.CutPrefix(word, "!"); bad {
		return Event{}, Park(code)
	}
	return Event{ID: id, Fingerprint: FingerprintBytes(r.Value), Body: word}, nil
}

const countWord = `insert into tally (word, n) values ($1, 1) on conflict (word) do update set n = tally.n + 1`

// tally is the simple form: it counts the event's word.
func tally(ctx context.Context, tx Tx, e Event) error {
	_, err := tx.Exec(ctx, countWord, e.Body)
	return err
}

// tallyBatch is the batch form of tally; words of `no-...` are rejected.
type tallyBatch struct{}

func (tallyBatch) Load(q *pgx.Batch, items []*Item, locks Locks) {
	ws := make([]string, len(items))
	for i, item := range items {
		ws[i] = item.Body.(string)
	}
	if locks == WaitForLocks {
		q.Queue(`select word from tally where word = any($1) order by word for update`, ws)
		return
	}
	q.Queue(`select t.word from tally t where t.word = any($1)
	  and not exists (
	    select from (select s.word from tally s where s.word = any($1) for update skip locked) f
	    where f.word = t.word)`, ws).Query(func(rows pgx.Rows) error {
		held := map[string]bool{}
		var word string
		_, err := pgx.ForEachRow(rows, []any{&word}, func() error { held[word] = true; return nil })
		for _, item := range items {
			item.Blocked = held[item.Body.(string)]
		}
		return err
	})
}

func (tallyBatch) Apply(q *pgx.Batch, fresh []*Item) error {
	for _, item := range fresh {
		word := item.Body.(string)
		if strings.HasPrefix(word, "no-") {
			item.Reject("not_this_word")
			continue
		}
		q.Queue(countWord, word)
	}
	return nil
}

// config is a consumer of w's topic in the batch form, quick to notice things.
func (w *world) config() Config {
	log := zerolog.Nop()
	if testing.Verbose() {
		log = zerolog.New(zerolog.NewTestWriter(w.t)).Level(zerolog.DebugLevel)
	}
	if os.Getenv("ONHAND_TEST_LOG") != "" {
		log = zerolog.New(os.Stderr).With().Timestamp().Str("test", w.t.Name()).Logger()
	}
	return Config{
		Brokers: w.brokers, Topics: []string{w.topic}, Group: w.group, Pool: w.pool, Installation: w.install,
		Decoder: words{}, NewBatch: func() BatchHandler { return tallyBatch{} },
		SessionTimeout: 6 * time.Second, CheckEvery: time.Second, Log: log,
	}
}

// start runs a consumer until the test ends or stop is called; stop waits for its end.
func (w *world) start(cfg Config) (c *Consumer, stop func()) {
	w.t.Helper()
	c, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, testenv.Background(w.t, patience, "the consumer", c.Run)
}

// eventually waits until condition holds.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	eventually(w.t, what, condition)
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	testenv.Eventually(t, patience, what, condition)
}

// next is the stored position of a partition of w's topic; -1 = none.
func (w *world) next(partition int32) int64 {
	w.t.Helper()
	return w.number(`select coalesce(max(next), -1) from offsets where topic = $1 and partition = $2`, w.topic, partition)
}

func (w *world) waitNext(partition int32, want int64) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("partition %d at %d", partition, want), func() bool { return w.next(partition) == want })
}

func (w *world) counted(word string) int64 {
	w.t.Helper()
	return w.number(`select n from tally where word = $1`, word)
}

func (w *world) haltReason(partition int32) string {
	w.t.Helper()
	var reason string
	w.scan([]any{&reason}, `select coalesce(max(halt_reason), '') from offsets where topic = $1 and partition = $2`,
		w.topic, partition)
	return reason
}

// databaseAddress is where the database listens.
func (w *world) databaseAddress() string {
	cfg := w.pool.Config().ConnConfig
	return fmt.Sprintf("%s:%d", cfg.Host, cfg.Port)
}
