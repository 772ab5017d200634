package reference

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
	"onhand/internal/verify"
	"onhand/inventory"
)

// shop is a topic and a service that tests of deadlines write to and read from.
type shop struct {
	t        *testing.T
	topic    string
	producer sarama.SyncProducer
	pool     *pgxpool.Pool
	brokers  []string
	sent     int
	next     int // event
}

func newShop(t *testing.T, partitions int32) *shop {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	brokers := testenv.Brokers(t)
	return &shop{
		t: t, topic: testenv.Topic(t, partitions), producer: testenv.Producer(t, brokers), pool: pool, brokers: brokers,
	}
}

// record is an event, without its id, of a moment.
func (s *shop) record(partition int32, at time.Time, event string) Record {
	s.next++
	return Record{
		Partition{s.topic, partition}, at.Truncate(time.Millisecond), []byte(fmt.Sprintf(`{"id":"e%d",%s}`, s.next, event)),
	}
}

func (s *shop) send(records ...Record) {
	s.t.Helper()
	send(s.t, s.producer, records)
	s.sent += len(records)
}

func (s *shop) waitRead() {
	s.t.Helper()
	testenv.Eventually(s.t, patience, "all is read", func() bool { return decided(s.t, s.pool) == s.sent })
}

func (s *shop) states() string {
	s.t.Helper()
	return scalar[string](s.t, s.pool,
		`select coalesce(string_agg(reservation || ' ' || state, ', ' order by reservation), '') from reservations`)
}

func (s *shop) waitStates(want string) {
	s.t.Helper()
	testenv.Eventually(s.t, patience, "reservations are "+want, func() bool { return s.states() == want })
}

// verify has the service's own verification look at what there is.
func (s *shop) verify() {
	s.t.Helper()
	client, reader, err := kafkalog.Connect(s.t.Context(), s.brokers, "verify", 10*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	v, err := verify.Begin(s.t.Context(), verify.Config{Pool: s.pool, Log: reader, Differences: 10})
	if err != nil {
		s.t.Fatal(err)
	}
	defer v.Close()
	report, err := v.Run(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if report.Verdict != verify.OK {
		s.t.Errorf("verify says %s: %+v", report.Verdict, report.Differences)
	}
}

func TestWhatABatchCannotTakeLapsesInTheNextOnesInOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	start := time.Now().Add(-ago)
	records := []Record{
		s.record(0, start, move("received", "A", 100_000)), s.record(0, start, move("received", "B", 100_000)),
	}
	// Of 2,500, half have the same deadline, and the ids do not stand in the order of the log.
	for i := range 2500 {
		at := start.Add(time.Hour)
		if i%2 == 0 {
			at = at.Add(time.Duration(rand.IntN(1000)) * time.Millisecond)
		}
		event := move("reserved", []string{"A", "B"}[i%3%2], 2) +
			fmt.Sprintf(`,"reservation":"r%04d","expires_at":%q`, (i*7919)%2500, stamp(at.Truncate(time.Millisecond)))
		records = append(records, s.record(0, start.Add(time.Second), event))
	}
	// It can only be sold when all has lapsed; what is parked lets time pass as well.
	records = append(records,
		s.record(0, start.Add(time.Hour+500*time.Millisecond), move("received", "A", 1)),
		s.record(0, start.Add(2*time.Hour), move("transferred", "A", 1)+`,"to":"main"`),
		s.record(0, start.Add(time.Hour), several("sold", of("A", "main", 100_001), of("B", "main", 100_000))))
	h, i := history{tenants: []string{""}, records: records}, New()
	for _, r := range records {
		if _, err := i.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	h.want = reduced(i.Snapshot(h.tenants...), serviceKnows())
	s.send(records...)
	stop := startMember(t, serviceConfig(s.pool, s.brokers, s.topic, inventory.Config{}))
	s.waitRead()
	stop()
	h.compare(t, s.pool, "the only partition")
	s.verify()
}

func TestAtTheEndOfTheLogItLapsesByTheClockAndGrace(t *testing.T) {
	t.Parallel()
	const grace = 2 * time.Second
	s := newShop(t, 2)
	stop := startMember(t, serviceConfig(s.pool, s.brokers, s.topic, inventory.Config{Grace: grace}))
	now := time.Now()
	s.send(s.record(0, now, move("received", "A", 5)),
		s.record(0, now, move("reserved", "A", 2)+`,"reservation":"r","ttl":1`),
		s.record(0, now, move("reserved", "A", 2)+`,"reservation":"s","ttl":3600`),
		s.record(1, now, move("received", "B", 5)))
	s.waitStates("r expired, s open")
	if early := scalar[string](t, s.pool, `
select coalesce(max(reservation), '') from reservations
where state = 'expired' and updated_at < expires_at + interval '2 s'`); early != "" {
		t.Errorf("%s lapsed within its grace", early)
	}
	if got := scalar[string](t, s.pool, `
select concat_ws(' ', on_hand, reserved, version) from stock where sku = 'A'`); got != "5 2 4" {
		t.Errorf("on hand, reserved and version are %s, want 5 2 4", got)
	}
	if got := scalar[string](t, s.pool, `
select concat_ws(' ', event_id, outcome, partition, "offset") from inbox where source = 'onhand:expiry'`); got !=
		"r applied 0 3" {
		t.Errorf("the inbox has %s, want r applied 0 3", got)
	}
	if decided(t, s.pool) != s.sent {
		t.Errorf("a position moved without a record")
	}
	stop()
	s.verify()
}

// What lies in a transaction that is not decided may have been in time: nobody can know before it is.
func TestNothingLapsesByTheClockBesideAnOpenTransaction(t *testing.T) {
	t.Parallel()
	s := newShop(t, 1)
	now := time.Now()
	s.send(s.record(0, now, move("received", "A", 5)),
		s.record(0, now, move("reserved", "A", 2)+`,"reservation":"r","ttl":2`))
	producer := transactional(t, s.brokers)
	if err := producer.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	send(t, producer, []Record{s.record(0, now.Add(time.Second), `"kind":"stock.fulfilled","reservation":"r"`)})
	stop := startMember(t, serviceConfig(s.pool, s.brokers, s.topic, inventory.Config{}))
	s.waitRead()
	deadline := time.Until(now.Add(2 * time.Second))
	<-time.After(deadline + 5*time.Second) // two looks and more
	if got := s.states(); got != "r open" {
		t.Errorf("beside an open transaction: %s, want r open", got)
	}
	if err := producer.CommitTxn(); err != nil {
		t.Fatal(err)
	}
	s.waitStates("r fulfilled")
	stop()
}

// transactional is a producer of one transaction after another.
func transactional(t *testing.T, brokers []string) sarama.SyncProducer {
	t.Helper()
	c := sarama.NewConfig()
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	c.Producer.Partitioner, c.Producer.Transaction.ID = sarama.NewManualPartitioner, t.Name()
	p, err := sarama.NewSyncProducer(brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestAHaltedPartitionLetsNothingLapse(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	now := time.Now()
	cfg := serviceConfig(s.pool, s.brokers, s.topic, inventory.Config{})
	for p := range int32(2) {
		sku := fmt.Sprintf("S%d", p)
		s.send(s.record(p, now, move("received", sku, 5)),
			s.record(p, now, move("reserved", sku, 2)+fmt.Sprintf(`,"reservation":"r%d","ttl":3600`, p)))
	}
	stop := startMember(t, cfg)
	s.waitRead()
	stop()
	// Halted, it may lie before something that was in time; and by the clock both are over now.
	testenv.Execute(t, s.pool, `
update offsets set halt_reason = 'topic_compacted', halt_detail = 'a test', halted_at = now() where partition = 0`)
	testenv.Execute(t, s.pool, `update reservations set expires_at = now() - interval '1 h'`)
	stop = startMember(t, cfg)
	s.waitStates("r0 open, r1 expired")
	<-time.After(3 * time.Second)
	s.waitStates("r0 open, r1 expired")
	stop()
}

func TestWhatIsDueBehindAHeldRowHoldsUpItsOwnPartitionAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	start := time.Now().Add(-ago)
	cfg := serviceConfig(s.pool, s.brokers, s.topic, inventory.Config{Grace: time.Hour})
	s.send(s.record(0, start, move("received", "A", 5)), s.record(0, start, move("received", "B", 5)),
		s.record(0, start, move("reserved", "A", 5)+`,"reservation":"r","ttl":60`),
		s.record(0, start, move("reserved", "B", 5)+`,"reservation":"q","ttl":30`))
	stop := startMember(t, cfg)
	s.waitRead()
	holder, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(context.Background()) }()
	if _, err := holder.Exec(t.Context(), `select from stock where sku = 'A' for update`); err != nil {
		t.Fatal(err)
	}
	late := s.record(0, start.Add(2*time.Minute), move("sold", "B", 5))
	s.send(s.record(0, start.Add(60*time.Second), move("received", "B", 1)), late,
		s.record(1, start.Add(time.Hour), move("received", "C", 1)))
	testenv.Eventually(t, patience, "all but the late record is read", func() bool {
		return decided(t, s.pool) == s.sent-1
	})
	s.waitStates("q expired, r open")
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.waitRead()
	s.waitStates("q expired, r expired")
	stop()
	s.verify()
}

// Two members, of which one lets lapse what the other fulfils: whoever locks it first has it, and the other one sees
// that. Nothing is done twice, and nothing is left.
func TestWhatIsFulfilledWhileItLapsesEndsOnce(t *testing.T) {
	t.Parallel()
	const reservations = 400
	s := newShop(t, 2)
	start := time.Now().Add(-ago)
	var made, fulfilled []Record
	made = append(made, s.record(0, start, move("received", "A", 10_000)),
		s.record(0, start, move("received", "B", 10_000)))
	for i := range reservations {
		id := fmt.Sprintf(`,"reservation":"r%d"`, i)
		made = append(made, s.record(0, start, several("reserved", of("A", "main", 1), of("B", "main", 2))+id+
			fmt.Sprintf(`,"ttl":%d`, 60+i/100)))
		fulfilled = append(fulfilled, s.record(1, start, `"kind":"stock.fulfilled"`+id))
	}
	s.send(made...)
	cfg := serviceConfig(s.pool, s.brokers, s.topic, inventory.Config{Grace: time.Hour})
	cfg.MaxBatch = 5
	first, second := startMember(t, cfg), startMember(t, cfg)
	s.waitRead()
	testenv.Eventually(t, patience, "each member has a partition", func() bool {
		return scalar[int](t, s.pool, `select count(distinct owner) from offsets`) == 2
	})
	rand.Shuffle(len(fulfilled), func(i, j int) { fulfilled[i], fulfilled[j] = fulfilled[j], fulfilled[i] })
	for i := range 5 {
		s.send(fulfilled[i*80 : (i+1)*80]...)
		<-time.After(100 * time.Millisecond) // so that some are before it, and some are not
		s.send(s.record(0, start.Add(time.Duration(60+i)*time.Second), move("received", "A", 1)))
	}
	s.waitRead()
	first()
	second()
	if got := scalar[string](t, s.pool, `
select concat_ws(' ', count(*) filter (where state = 'open'), count(*) filter (where state = 'fulfilled') - (
  select count(*) from inbox where outcome = 'applied' and source = '' and event_id in (
    select event_id from movements where kind = 'stock.fulfilled')),
  count(*) filter (where state = 'expired') - (select count(*) from inbox where source = 'onhand:expiry'),
  (select count(*) from inbox where reason = 'reservation_closed') - count(*) filter (where state = 'expired'))
from reservations`); got != "0 0 0 0" {
		t.Errorf("open ones, and differences of those fulfilled, expired and refused, are %s", got)
	}
	n := scalar[int64](t, s.pool, "select count(*) from reservations where state = 'fulfilled'")
	t.Logf("%d of %d were fulfilled", n, reservations)
	const rows = "select string_agg(on_hand || ' ' || reserved, ', ' order by sku) from stock"
	if got, want := scalar[string](t, s.pool, rows), fmt.Sprintf("%d 0, %d 0", 10_005-n, 10_000-2*n); got != want {
		t.Errorf("stock is %s, want %s", got, want)
	}
	s.verify()
}
