package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
	"onhand/outbox"
)

// publishing is a service that publishes, and what a reader of committed records sees of it.
type publishing struct {
	t              *testing.T
	url            string
	pool           *pgxpool.Pool
	topic, changes string
	service        *service
}

// newPublishing has published what became of n receipts. config is that of the topic for outgoing messages.
func newPublishing(t *testing.T, n int, config map[string]*string) *publishing {
	t.Helper()
	p := &publishing{t: t, url: testenv.Database(t), topic: testenv.Topic(t, 1), changes: testenv.TopicWith(t, 1, config)}
	p.pool = connect(t, p.url)
	produceRecords(t, p.topic, n)
	p.start()
	awaitApplied(t, p.pool, int64(n))
	p.awaitPublished()
	return p
}

func (p *publishing) start() {
	p.t.Helper()
	p.service = start(p.t, append(serviceArgs(p.t, p.url, p.topic), "--outbox-topic", p.changes)...)
}

func (p *publishing) awaitPublished() {
	p.t.Helper()
	testenv.Eventually(p.t, waitingTime, "all messages have left", func() bool {
		return query[bool](p.t, p.pool, `
select done >= (select coalesce(max(id), 0) from outbox) and done = intent from outbox_relay`)
	})
}

func (p *publishing) awaitHalt(reason string) {
	p.t.Helper()
	testenv.Eventually(p.t, waitingTime, "the outbox halts", func() bool {
		return query[string](p.t, p.pool, `select coalesce(halt_reason, '') from outbox_relay`) == reason
	})
}

// as runs an outbox command that changes something.
func (p *publishing) as(args ...string) ended {
	p.t.Helper()
	return command(p.t, append(append([]string{"outbox"}, args...),
		"--database-url", p.url, "--because", "a test wants it")...)
}

func (p *publishing) brokers() string { return "--brokers=" + testenv.Brokers(p.t)[0] }

// seen are the payloads that are in the topic, in its order.
func (p *publishing) seen() (payloads []string) {
	p.t.Helper()
	reader, err := kafkalog.NewReader(testClient(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	tp := kafkalog.TopicPartition{Topic: p.changes}
	// Kafka answers a commit before its marker is in the log, and readers see nothing behind that.
	var ranges map[kafkalog.TopicPartition]kafkalog.Range
	testenv.Eventually(p.t, waitingTime, "no transaction is open", func() bool {
		ranges, err = reader.Ranges(p.t.Context(), []kafkalog.TopicPartition{tp})
		if err != nil {
			p.t.Fatal(err)
		}
		return ranges[tp].LastStable == ranges[tp].HighWatermark
	})
	err = reader.Scan(p.t.Context(), tp, ranges[tp].Start, ranges[tp].LastStable, func(m *sarama.ConsumerMessage) error {
		payloads = append(payloads, string(m.Value))
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return payloads
}

// written are the payloads in the database, in the order of their ids.
func (p *publishing) written() []string {
	p.t.Helper()
	rows, err := p.pool.Query(p.t.Context(), `select convert_from(payload, 'UTF8') from outbox order by id`)
	if err != nil {
		p.t.Fatal(err)
	}
	payloads, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		p.t.Fatal(err)
	}
	return payloads
}

func (p *publishing) expectSeen(want []string) {
	p.t.Helper()
	if got := p.seen(); !slices.Equal(got, want) {
		p.t.Errorf("readers see %d messages:\n%s\nwant %d:\n%s", len(got), strings.Join(got, "\n"), len(want),
			strings.Join(want, "\n"))
	}
}

func TestRunPublishesEachMovementOnceAndInOrder(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, 50, nil)
	p.expectSeen(p.written())
	e := command(t, "status", "--database-url", p.url).expect(t, exitDone, "OUTBOX DONE", "running")
	if strings.Contains(e.stdout, "HALTED") || p.service.stop() != exitDone {
		t.Errorf("%s\n%s", e.stdout, p.service.output.String())
	}
	command(t, "outbox", "show", "--database-url", p.url).expect(t, exitDone, "NOBODY PUBLISHES")
}

// forget takes the outbox's row back to where it was n messages ago, as a database does that loses its latest commits.
// The movements stay: that much the service would have applied again.
func (p *publishing) forget(n int) {
	p.t.Helper()
	p.service.stop()
	execute(p.t, p.pool, `
update outbox_relay
set (done, intent, done_turn, intent_turn) = (select id, id, 0, 0 from outbox order by id desc offset $1 limit 1)`, n)
}

func TestAnOutboxThatIsBehindKafkaGoesOnAsTheOperatorSays(t *testing.T) {
	t.Parallel()
	for from, again := range map[string]int{"database": 5, "kafka": 0} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			p := newPublishing(t, 20, nil)
			p.forget(5)
			p.start()
			p.awaitHalt(outbox.HaltDatabaseLost)
			produceRecords(t, p.topic, 3)
			awaitApplied(t, p.pool, 23)
			command(t, "status", "--database-url", p.url).expect(t, exitDone, "THE OUTBOX IS HALTED")
			written := p.written()
			p.expectSeen(written[:20])

			p.as("resume", "--from", from, p.brokers()).expect(t, exitDone, "BEFORE")
			p.awaitPublished()
			want := slices.Concat(written[:20], written[20-again:])
			p.expectSeen(want)
			if query[bool](t, p.pool, `select overruled or halt_reason is not null from outbox_relay`) {
				t.Error("the decision is not carried out")
			}
			// And the next session agrees with Kafka.
			p.service.stop()
			p.start()
			produceRecords(t, p.topic, 1)
			awaitApplied(t, p.pool, 24)
			p.awaitPublished()
			p.expectSeen(append(want, p.written()[23]))
		})
	}
}

func TestACopyThatIsAdoptedPublishesNothingUntilTheOperatorSaysWhere(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, 10, nil)
	p.service.stop()
	former := query[uuid.UUID](t, p.pool, `select id from installation`)
	adopt := func() ended {
		return command(t, "adopt", "--database-url", p.url, "--brokers", testenv.Brokers(t)[0], "--group", p.topic,
			"--because", "it was copied", "-o", "json").expect(t, exitDone)
	}
	if a := decoded[adopted](t, adopt()); a.OutboxHalted || a.After.ID != former {
		t.Errorf("the same database is %+v", a)
	}
	if query[bool](t, p.pool, `select halt_reason is not null or position_topic is null from outbox_relay`) {
		t.Error("an adoption that keeps the identity changed the outbox")
	}
	execute(t, p.pool, `update installation set system_identifier = system_identifier + 1`)
	if a := decoded[adopted](t, adopt()); !a.OutboxHalted || a.After.ID == former {
		t.Errorf("the copy is %+v", a)
	}
	p.start()
	produceRecords(t, p.topic, 5)
	awaitApplied(t, p.pool, 15)
	command(t, "outbox", "show", "--database-url", p.url).expect(t, exitDone, "HALTED new_identity", former.String())
	p.expectSeen(p.written()[:10])
	p.as("resume", "--from", "kafka", p.brokers()).expect(t, exitRefused)
	p.as("resume", "--from", "kafka", p.brokers(), "--of", former.String()).expect(t, exitDone)
	p.awaitPublished()
	if seen := p.seen(); len(seen) != 15 {
		t.Errorf("readers see %d messages", len(seen))
	}
}

// largeSKU makes messages that a topic with small does not take.
var largeSKU = strings.Repeat("L", 250)

const small = "850"

// receive produces a receipt of each SKU.
func (p *publishing) receive(skus ...string) {
	p.t.Helper()
	events := make([]string, len(skus))
	for i, sku := range skus {
		events[i] = `{"id":"` + uuid.NewString() + `","kind":"stock.received","sku":"` + sku + `","quantity":1}`
	}
	produce(p.t, p.topic, events)
}

// takeLarge lets the topic take large messages from now on.
func (p *publishing) takeLarge() {
	p.t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(testClient(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	large := "1000000"
	set := map[string]sarama.IncrementalAlterConfigsEntry{
		"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &large},
	}
	if err := admin.IncrementalAlterConfig(sarama.TopicResource, p.changes, set, false); err != nil {
		p.t.Fatal(err)
	}
}

func (p *publishing) awaitAside(n int) {
	p.t.Helper()
	testenv.Eventually(p.t, waitingTime, "messages are set aside", func() bool {
		return query[int](p.t, p.pool, `select count(*) from outbox_aside where state = 'waiting'`) == n
	})
}

// skus are those of the messages that readers see.
func (p *publishing) skus() string {
	var skus []string
	for _, payload := range p.seen() {
		_, rest, _ := strings.Cut(payload, `"sku":"`)
		sku, _, _ := strings.Cut(rest, `"`)
		_, rest, _ = strings.Cut(payload, `"version":`)
		version, _, _ := strings.Cut(rest, ",")
		skus = append(skus, sku[:1]+version)
	}
	return strings.Join(skus, " ")
}

func TestMessagesThatATopicIsTooSmallForLeaveInOrderWhenItHasGrown(t *testing.T) {
	t.Parallel()
	limit := small
	p := newPublishing(t, 0, map[string]*string{"max.message.bytes": &limit})
	p.receive("A", largeSKU, "A", largeSKU, "B")
	awaitApplied(t, p.pool, 5)
	p.awaitAside(2)
	p.awaitPublished()
	if got := p.skus(); got != "A1 A2 B1" {
		t.Errorf("readers see %s", got)
	}
	command(t, "outbox", "show", "--database-url", p.url).expect(t, exitDone, outbox.AsideMessage, outbox.AsideBehind)

	p.takeLarge()
	p.as("retry", "--topic", p.changes).expect(t, exitDone, "2 messages are sent again")
	testenv.Eventually(t, time.Minute, "they have left", func() bool { return p.skus() == "A1 A2 B1 L1 L2" })
	p.awaitAside(0)
}

func TestADroppedMessageNeverLeavesAndTheNextOfItsKeyDoes(t *testing.T) {
	t.Parallel()
	limit := small
	p := newPublishing(t, 0, map[string]*string{"max.message.bytes": &limit})
	p.receive(largeSKU, largeSKU, "A")
	awaitApplied(t, p.pool, 3)
	p.awaitAside(2)
	id := query[string](t, p.pool, `select min(id)::text from outbox_aside`)
	p.as("drop", id).expect(t, exitDone, "1 messages are dropped", "1 messages behind them are sent now")
	// The next one is tried, and refused for itself.
	testenv.Eventually(t, waitingTime, "the one behind it is tried", func() bool {
		return query[string](t, p.pool, `
select coalesce(string_agg(reason || ' ' || state, ', '), '') from outbox_aside`) == "message_refused waiting"
	})
	p.as("drop", "--all").expect(t, exitDone, "1 messages are dropped")
	testenv.Eventually(t, waitingTime, "nothing is set aside", func() bool {
		return query[int](t, p.pool, `select count(*) from outbox_aside`) == 0
	})
	p.receive("A")
	awaitApplied(t, p.pool, 4)
	p.awaitPublished()
	if got := p.skus(); got != "A1 A2" {
		t.Errorf("readers see %s", got)
	}
}
