package reference

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/inbox"
	"onhand/internal/testenv"
	"onhand/inventory"
)

// patience bounds every wait of this test.
const patience = 2 * time.Minute

// The histories lie this far back, so that all that lapses is over, grace and all, when the log has been read.
const ago = 24 * time.Hour

// For long runs, and for one that failed to be seen again.
var (
	seed    = flag.Uint64("seed", 0, "of the histories in the log; 0 = another one each time")
	records = flag.Int("records", 400, "in each history in the log")
)

// log is a topic with a history in each of its partitions, and what should come of it.
type log struct {
	topic     string
	brokers   []string
	histories []history // by partition
	counts    counters
}

// history is what one partition holds. It has tenants of its own, because order across partitions is not defined.
type history struct {
	tenants []string
	records []Record
	want    Snapshot
}

func TestTheServiceDoesWhatTheReferenceDoesWhateverItsBatches(t *testing.T) {
	t.Parallel()
	l := newLog(t, 3, *records, serviceKnows())
	for _, longest := range []int{1, 7, 2000} {
		t.Run(fmt.Sprintf("up to %d records", longest), func(t *testing.T) {
			t.Parallel()
			l.consume(t, longest)
		})
	}
	t.Run("by members that come and go", func(t *testing.T) {
		t.Parallel()
		l.consumeByMany(t)
	})
}

// newLog writes a history into each partition.
func newLog(t *testing.T, partitions int32, records int, knows Features) *log {
	t.Helper()
	l, i := &log{topic: testenv.Topic(t, partitions), brokers: testenv.Brokers(t)}, New()
	seed := cmp.Or(*seed, uint64(time.Now().UnixNano()))
	t.Logf("-seed %d", seed)
	for p := range partitions {
		s := Story{
			Features: knows, Partitions: []Partition{{l.topic, p}}, Records: records,
			Tenants: []string{fmt.Sprintf("%d one", p), fmt.Sprintf("%d two", p)},
			Start:   time.Now().Add(-ago).Truncate(time.Millisecond),
		}
		h := history{tenants: s.Tenants, records: s.History(seeded(seed + uint64(p)))}
		for _, r := range h.records {
			o, err := i.Apply(r)
			if err != nil {
				t.Fatal(err)
			}
			l.counts.add(o.Verdict)
		}
		l.histories = append(l.histories, h)
	}
	i.CaughtUp(time.Now())
	if err := i.Check(); err != nil {
		t.Fatal(err)
	}
	for p := range l.histories {
		h := &l.histories[p]
		h.want = reduced(i.Snapshot(h.tenants...), knows)
	}
	l.send(t)
	return l
}

func (l *log) send(t *testing.T) {
	t.Helper()
	producer := testenv.Producer(t, l.brokers)
	for _, h := range l.histories {
		send(t, producer, h.records)
	}
}

func send(t *testing.T, producer sarama.SyncProducer, records []Record) {
	t.Helper()
	messages := make([]*sarama.ProducerMessage, len(records))
	for i, r := range records {
		messages[i] = &sarama.ProducerMessage{
			Topic: r.Partition.Topic, Partition: r.Partition.ID, Value: sarama.ByteEncoder(r.Value), Timestamp: r.Timestamp,
		}
	}
	if err := producer.SendMessages(messages); err != nil {
		t.Fatal(err)
	}
}

// consume lets a service with batches of at most so many records read the log, and compares what it has then.
func (l *log) consume(t *testing.T, longest int) {
	t.Helper()
	pool, stop := startService(t, l.brokers, l.topic, longest)
	l.waitRead(t, pool, l.records())
	stop()
	l.compare(t, pool)
}

// consumeByMany lets members read the log of which one leaves and another comes, again and again, each in the middle of
// what it does.
func (l *log) consumeByMany(t *testing.T) {
	t.Helper()
	pool := testenv.Pool(t, testenv.Database(t))
	cfg := serviceConfig(pool, l.brokers, l.topic, inventory.Config{})
	cfg.MaxBatch = 3
	members := []func(){startMember(t, cfg), startMember(t, cfg)}
	const changes = 4
	for n := range changes {
		l.waitRead(t, pool, l.records()*(n+1)/(changes+1))
		members[n]()
		members = append(members, startMember(t, cfg))
	}
	l.waitRead(t, pool, l.records())
	for _, stop := range members[changes:] {
		stop()
	}
	l.compare(t, pool)
}

func (l *log) records() (total int) {
	for _, h := range l.histories {
		total += len(h.records)
	}
	return total
}

// waitRead waits until so many records are read; if these are all, also until all that is due has lapsed.
func (l *log) waitRead(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	testenv.Eventually(t, patience, fmt.Sprintf("%d records are read", n), func() bool {
		return decided(t, pool) >= n && (n < l.records() || scalar[int64](t, pool,
			"select count(*) from reservations where state = 'open' and expires_at < now()") == 0)
	})
}

// compare compares what a service has with what it should have.
func (l *log) compare(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for p, h := range l.histories {
		h.compare(t, pool, fmt.Sprintf("partition %d", p))
	}
	if got := counted(t, pool); got != l.counts {
		t.Errorf("counted %+v, want %+v", got, l.counts)
	}
	checkMessages(t, pool)
	if n := scalar[int64](t, pool, "select (select sum(remembered) from offsets) - (select count(*) from inbox)"); n != 0 {
		t.Errorf("the inbox is believed to have %d rows more than it has", n)
	}
}

func (h history) compare(t *testing.T, pool *pgxpool.Pool, where string) {
	t.Helper()
	if d := difference(stored(t.Context(), t, pool, serviceKnows(), h.tenants), h.want); d != "" {
		t.Errorf("%s: %s\nof the records\n%s", where, d, told(h.records))
	}
}

// startService runs a service on a database of its own.
func startService(t *testing.T, brokers []string, topic string, longest int) (pool *pgxpool.Pool, stop func()) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	cfg := serviceConfig(pool, brokers, topic, inventory.Config{})
	cfg.MaxBatch = longest
	return pool, startMember(t, cfg)
}

// serviceConfig is a group's, with handlers that know of each other.
func serviceConfig(pool *pgxpool.Pool, brokers []string, topic string, handling inventory.Config) inbox.Config {
	handling.Hints = &inventory.Hints{}
	return inbox.Config{
		Brokers: brokers, Topics: []string{topic}, Group: "group-" + uuid.NewString(), Installation: uuid.New(),
		Pool: pool, Decoder: inventory.NewDecoder(inventory.DecoderConfig{}),
		NewBatch:       func() inbox.BatchHandler { return inventory.NewHandler(handling) },
		SessionTimeout: 6 * time.Second, Log: zerolog.Nop(),
	}
}

func startMember(t *testing.T, cfg inbox.Config) (stop func()) {
	t.Helper()
	consumer, err := inbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return testenv.Background(t, patience, "the consumer", consumer.Run)
}

// decided is how many records the service has read.
func decided(t *testing.T, pool *pgxpool.Pool) int {
	t.Helper()
	if halted := scalar[string](t, pool, `
select coalesce(string_agg(concat_ws(': ', halt_reason, halt_detail), ', '), '') from offsets
where halt_reason is not null`); halted != "" {
		t.Fatalf("halted: %s", halted)
	}
	return scalar[int](t, pool, "select coalesce(sum(next - start), 0)::bigint from offsets")
}

// A SKU or a reservation in two partitions has no order of its own; here it is given one, by writing a record only when
// those of the other partition before it have been read. The records are of the future, so that by the clock nothing
// is over yet, and what lapses does so by the log alone.
func TestTheServiceDoesWhatTheReferenceDoesAcrossPartitions(t *testing.T) {
	t.Parallel()
	forever := strconv.Itoa(math.MaxInt64)
	topic := testenv.TopicWith(t, 2, map[string]*string{"message.timestamp.after.max.ms": &forever})
	brokers, i := testenv.Brokers(t), New()
	seed := cmp.Or(*seed, uint64(time.Now().UnixNano()))
	t.Logf("-seed %d", seed)
	one, two := Partition{topic, 0}, Partition{topic, 1}
	s := Story{
		Features: serviceKnows(), Partitions: []Partition{one, one, one, one, two}, Records: *records / 2,
		Tenants: []string{"t"}, Start: time.Now().Add(30 * 24 * time.Hour).Truncate(time.Millisecond),
	}
	h := history{tenants: s.Tenants, records: s.History(seeded(seed))}
	pool, stop := startService(t, brokers, topic, 2000)
	producer := testenv.Producer(t, brokers)
	read := 0
	for run := range runs(h.records) {
		send(t, producer, run)
		read += len(run)
		testenv.Eventually(t, patience, "the run is read", func() bool { return decided(t, pool) == read })
		for _, r := range run {
			if _, err := i.Apply(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	h.want = reduced(i.Snapshot(h.tenants...), s.Features)
	h.compare(t, pool, "partitions 0 and 1")
	checkMessages(t, pool)
}

// runs cuts a history where the partition changes.
func runs(records []Record) iter.Seq[[]Record] {
	return func(yield func([]Record) bool) {
		for len(records) > 0 {
			n := 1
			for n < len(records) && records[n].Partition == records[0].Partition {
				n++
			}
			if !yield(records[:n]) {
				return
			}
			records = records[n:]
		}
	}
}

func scalar[T any](t *testing.T, pool *pgxpool.Pool, sql string) (v T) {
	t.Helper()
	if err := pool.QueryRow(context.Background(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// counters are how many records became what.
type counters struct{ applied, rejected, duplicate, parked int64 }

func (c *counters) add(v Verdict) {
	switch v {
	case Applied:
		c.applied++
	case Rejected:
		c.rejected++
	case Duplicate:
		c.duplicate++
	case Conflict, Parked:
		c.parked++
	}
}

func counted(t *testing.T, pool *pgxpool.Pool) (c counters) {
	t.Helper()
	err := pool.QueryRow(t.Context(), `
select sum(applied)::bigint, sum(rejected)::bigint, sum(duplicate)::bigint, sum(parked)::bigint from offsets`).Scan(
		&c.applied, &c.rejected, &c.duplicate, &c.parked)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkMessages says whether each row of the inbox names the first message of its event, which is a movement's or that
// of its rejection.
func checkMessages(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	if !serviceKnows().Lines {
		return // one line, one movement: the inbox names none
	}
	if n := scalar[int64](t, pool, `
with messages as (select id, convert_from(payload, 'UTF8')::jsonb as said from outbox)
select count(*)
from inbox i
left join (
  select coalesce(said ->> 'tenant', '') as tenant, said ->> 'event_id' as event_id,
         coalesce(said ->> 'source', '') as source, min(id) as first,
         bool_or(said ->> 'kind' = 'stock.rejected') as rejected
  from messages group by 1, 2, 3
) m on m.tenant = i.tenant and m.event_id = i.event_id and m.source = i.source
where i.message_id is distinct from m.first or (i.outcome = 'rejected') is distinct from coalesce(m.rejected, false)
`); n > 0 {
		t.Errorf("%d rows of the inbox do not name the first message of their events", n)
	}
}

// told is a history as it was written, but for the beginning of a long one.
func told(records []Record) string {
	const most = 500
	var b strings.Builder
	for offset, r := range records[max(0, len(records)-most):] {
		fmt.Fprintf(&b, "%d %s %s\n", offset+max(0, len(records)-most), stamp(r.Timestamp), r.Value)
	}
	return b.String()
}
