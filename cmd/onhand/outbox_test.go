package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
	"onhand/outbox"
)

// leaving is a schema of an installation whose outbox nobody publishes.
type leaving struct {
	t     *testing.T
	url   string
	pool  *pgxpool.Pool
	topic string // where Kafka keeps the position, if it is told one
	id    uuid.UUID
}

// newLeaving has published up to 1000, perhaps up to 2000; messages 1500, 2500 and 3500 are there.
func newLeaving(t *testing.T) *leaving {
	t.Helper()
	l := &leaving{t: t, url: testenv.Database(t), topic: testenv.Topic(t, 1), id: uuid.New()}
	l.pool = connect(t, l.url)
	execute(t, l.pool, `insert into installation (id, system_identifier, database, cluster_id, consumer_group)
		values ($1, 1, 'd', 'c', 'g')`, l.id)
	execute(t, l.pool, `select count(nextval('outbox_id')) from generate_series(1, 4)`)
	execute(t, l.pool, `insert into outbox_messages (id, slot, topic, event_id)
		values (1500, 0, 't', ''), (2500, 0, 't', ''), (3500, 0, 't', '')`)
	execute(t, l.pool, `
update outbox_relay set done = 1000, done_turn = 4, intent = 2000, intent_turn = 5, position_topic = $1`, l.topic)
	return l
}

func (l *leaving) halt(reason string) {
	l.t.Helper()
	execute(l.t, l.pool, `update outbox_relay set halt_reason = $1, halt_detail = 'for a test', halted_at = now()`, reason)
}

// aside sets messages aside: 10 was refused, 20 waits behind it, 30 has a topic of its own.
func (l *leaving) aside() {
	l.t.Helper()
	execute(l.t, l.pool, `
insert into outbox_aside (id, topic, key, event_id, payload, reason, detail, attempts)
values (10, 't', '\xff0a', 'e-10', 'abc', 'message_refused', E'too \x1b[31m large', 2),
       (20, 't', '\xff0a', 'e-20', null, 'behind_another', 'an earlier one', 1),
       (30, 'u', 'k', 'e-30', null, 'topic_refused', 'no such topic', 1)`)
}

// tell commits a position to Kafka as the relay of an installation does it; another metadata is one set by hand.
func (l *leaving) tell(installation uuid.UUID, topic string, id int64, metadata string) {
	l.t.Helper()
	manager, err := sarama.NewOffsetManagerFromClient(outbox.ProducerID(installation), testClient(l.t))
	if err != nil {
		l.t.Fatal(err)
	}
	partition, err := manager.ManagePartition(topic, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	partition.MarkOffset(id, metadata)
	manager.Commit()
	partition.AsyncClose()
	for err := range partition.Errors() {
		l.t.Error(err)
	}
	if err := manager.Close(); err != nil {
		l.t.Error(err)
	}
}

func marked(installation uuid.UUID, turn int) string {
	return fmt.Sprintf("%s %d %s", installation, turn, uuid.New())
}

// as runs an outbox command.
func (l *leaving) as(args ...string) ended {
	l.t.Helper()
	return command(l.t, append(append([]string{"outbox"}, args...), "--database-url", l.url)...)
}

// because runs an outbox command that changes something.
func (l *leaving) because(args ...string) ended {
	l.t.Helper()
	return l.as(append(args, "--because", "a test wants it")...)
}

func (l *leaving) brokers() string { return "--brokers=" + testenv.Brokers(l.t)[0] }

// row is the relay's row in a few words.
func (l *leaving) row() string {
	l.t.Helper()
	return query[string](l.t, l.pool, `select format('%s/%s to %s/%s %s%s', done, done_turn, intent, intent_turn,
		coalesce(halt_reason, 'running'), case when overruled then ', overruled' end) from outbox_relay`)
}

func (l *leaving) expectRow(want string) {
	l.t.Helper()
	if got := l.row(); got != want {
		l.t.Errorf("the row says %s, want %s", got, want)
	}
}

// actions are all commands on record, with what changed.
func (l *leaving) expectActions(want ...string) {
	l.t.Helper()
	got := query[string](l.t, l.pool, `select coalesce(string_agg(command, '; ' order by id), '') from operator_actions
		where because = 'a test wants it' and actor like '%@%' and before is not null and after is not null`)
	if got != strings.Join(want, "; ") {
		l.t.Errorf("on record is %s, want %v", got, want)
	}
}

func TestOutboxShowTellsHowFarMessagesHaveLeft(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	l.tell(l.id, l.topic, 2000, marked(l.id, 5))
	execute(t, l.pool, `update outbox_relay set owner = 'member-1', lease_until = now() + interval '1 h',
		waiting_for = 'topic x: no such topic', waiting_since = '2026-01-31T00:00:00Z'`)
	e := l.as("show", l.brokers()).expect(t, exitDone, "1000 (turn 4)", "2000 (turn 5), kept for "+l.topic+"/0", "waiting",
		"member-1", "topic x: no such topic", "2026-01-31T00:00:00Z")
	if e.stderr != "" || strings.Contains(e.stdout, "HALTED") {
		t.Errorf("it says %s%s", e.stdout, e.stderr)
	}
	shown := decoded[shownOutbox](t, l.as("show", l.brokers(), "-o", "json"))
	if shown.Done != 1000 || shown.Intent != 2000 || shown.Messages != 3 || *shown.Oldest != 1500 || shown.More ||
		shown.Kafka.ID != 2000 || *shown.Kafka.Turn != 5 || !shown.Leading || shown.Advice != "" || shown.Listed == nil {
		t.Errorf("%+v", shown)
	}
	l.as("show").expect(t, exitDone, "Kafka's position is unknown", "1000 (turn 4)")
	l.as("show", "--brokers=127.0.0.1:1").expect(t, exitDone, "Kafka's position is unknown", "1000 (turn 4)")
}

func TestOutboxShowTellsWhyItIsHaltedAndWhatToDo(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	for reason, word := range map[string]string{
		outbox.HaltDatabaseLost: "--from kafka", outbox.HaltKafkaForgot: "--from intent",
		outbox.HaltKafkaBehind: "--from kafka", outbox.HaltNewIdentity: "--of",
		outbox.HaltOutcomeUnknown: "kafka-transactions.sh",
	} {
		l.halt(reason)
		l.as("show").expect(t, exitDone, "HALTED "+reason, "for a test", "what to do", "outbox resume", word)
	}
	execute(t, l.pool, `update outbox_relay set halt_reason = null, overruled = true`)
	l.as("show").expect(t, exitDone, "an operator has resumed it", "NOBODY PUBLISHES")
}

func TestOutboxShowListsWhatIsSetAsideAndDrivesNoTerminal(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	l.aside()
	e := l.as("show").expect(t, exitDone, "message_refused", "behind_another", "topic_refused", "0xff0a", "e-10",
		`too \x1b[31m large`)
	if strings.Contains(e.stdout, "\x1b") {
		t.Errorf("the terminal is driven by %q", e.stdout)
	}
	shown := decoded[shownOutbox](t, l.as("show", "-o", "json", "--limit", "1"))
	if len(shown.Aside) != 3 || len(shown.Listed) != 1 || shown.Listed[0].ID != 10 || shown.Listed[0].Attempts != 2 ||
		shown.Listed[0].Bytes != 5 {
		t.Errorf("%+v", shown)
	}
	l.as("show", "--limit", "-1").expect(t, exitUsage, "--limit")
}

func TestAPositionOfAnotherInstallationOrTopicIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	former, other := uuid.New(), testenv.Topic(t, 1)
	l.tell(former, l.topic, 7000, marked(former, 70))
	l.tell(former, other, 8000, marked(former, 80))
	show := func(args ...string) *kafkaPosition {
		return decoded[shownOutbox](t, l.as(append([]string{"show", l.brokers(), "-o", "json"}, args...)...)).Kafka
	}
	if k := show(); k != nil {
		t.Errorf("without one of its own it has %+v", k)
	}
	if k := show("--of", former.String()); k == nil || k.ID != 8000 || k.Topic != other {
		t.Errorf("of the former installation: %+v", k)
	}
	l.tell(l.id, other, 900, marked(l.id, 4)) // left behind when the position moved
	l.tell(l.id, l.topic, 2000, "by hand")
	if k := show(); k == nil || k.ID != 2000 || k.Turn != nil {
		t.Errorf("it has %+v", k)
	}
	execute(t, l.pool, `update outbox_relay set position_topic = null`)
	if k := show(); k == nil || k.ID != 900 || *k.Turn != 4 {
		t.Errorf("not knowing the topic it has %+v", k)
	}
	l.as("show", "--of", "nobody").expect(t, exitUsage, "--of")
}

// The database went back to before its position moved to another topic.
func TestAPositionThatMovedToAnotherTopicSinceIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	moved := testenv.Topic(t, 1)
	l.tell(l.id, l.topic, 2000, marked(l.id, 5))
	l.tell(l.id, moved, 6500, marked(l.id, 9))
	l.as("show", l.brokers()).expect(t, exitDone, "6500 (turn 9), kept for "+moved+"/0")
	l.halt(outbox.HaltDatabaseLost)
	l.because("resume", "--from", "database", l.brokers()).expect(t, exitDone, "6500 (turn 9)")
	l.expectRow("1000/9 to 1000/9 running, overruled")
}

func TestResumeGoesOnBehindThePositionThatTheOperatorChose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		row  string
		says []string
	}{
		"done, without Kafka": {
			[]string{"--from", "database"}, "1000/5 to 1000/5 running, overruled", []string{"Kafka's position is unknown"},
		},
		"done": {
			[]string{"--from", "database", "B"},
			"1000/9 to 1000/9 running, overruled",
			[]string{"3 messages are published again"},
		},
		"intent": {
			[]string{"--from", "intent", "B"},
			"2000/9 to 2000/9 running, overruled",
			[]string{"1 messages of this database are passed", "2 messages are published again"},
		},
		"Kafka": {
			[]string{"--from", "kafka", "B"},
			"6500/9 to 6500/9 running, overruled",
			[]string{"3 messages of this database are passed", "3 numbers of the sequence", "6500 (turn 9)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLeaving(t)
			l.tell(l.id, l.topic, 6500, marked(l.id, 9))
			l.halt(outbox.HaltDatabaseLost)
			args := []string{"resume"}
			for _, arg := range c.args {
				if arg == "B" {
					arg = l.brokers()
				}
				args = append(args, arg)
			}
			l.because(args...).expect(t, exitDone, c.says...)
			l.expectRow(c.row)
			l.expectActions("outbox resume --from " + c.args[1])
			want := int64(7001)
			if name == "done, without Kafka" {
				want = 4001
			}
			if next := query[int64](t, l.pool, `select nextval('outbox_id')`); next != want {
				t.Errorf("the next message is %d, want %d", next, want)
			}
			l.because(args...).expect(t, exitRefused, "is not halted")
		})
	}
}

func TestResumeFromTheFormerInstallationsPosition(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	former := uuid.New()
	l.tell(former, l.topic, 2500, marked(former, 7))
	l.halt(outbox.HaltNewIdentity)
	l.because("resume", "--from", "kafka", l.brokers()).expect(t, exitRefused, "no position of this outbox is known")
	l.expectRow("1000/4 to 2000/5 new_identity")
	l.because("resume", "--from", "kafka", l.brokers(), "--of", former.String()).expect(t, exitDone, "2500 (turn 7)")
	l.expectRow("2500/7 to 2500/7 running, overruled")
	l.expectActions("outbox resume --from kafka --of " + former.String())
}

func TestResumeAsksForWhatItNeeds(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	l.halt(outbox.HaltDatabaseLost)
	l.because("resume").expect(t, exitUsage, "--from")
	l.because("resume", "--from", "here").expect(t, exitUsage, "--from")
	l.because("resume", "--from", "kafka").expect(t, exitUsage, "--brokers")
	l.as("resume", "--from", "database").expect(t, exitUsage, "--because")
	l.because("resume", "--from", "kafka", "--brokers", "127.0.0.1:1").expect(t, exitFailed, "connect to Kafka")
	l.expectRow("1000/4 to 2000/5 database_lost_commits")
	l.expectActions()
}

func TestRetryAndDropDecideAboutMessagesThatAreSetAside(t *testing.T) {
	t.Parallel()
	states := `select string_agg(format('%s %s', id, state), ', ' order by id) from outbox_aside`
	for name, c := range map[string]struct {
		args         []string
		says, states string
	}{
		"retry one":   {[]string{"retry", "10"}, "1 messages are sent again", "10 retry, 20 retry, 30 waiting"},
		"retry late":  {[]string{"retry", "20"}, "1 of them have an earlier", "10 waiting, 20 retry, 30 waiting"},
		"retry topic": {[]string{"retry", "--topic", "u"}, "1 messages are sent again", "10 waiting, 20 waiting, 30 retry"},
		"retry all":   {[]string{"retry", "--all"}, "3 messages are sent again", "10 retry, 20 retry, 30 retry"},
		"drop one":    {[]string{"drop", "10"}, "1 messages behind them are sent now", "10 dropped, 20 retry, 30 waiting"},
		"drop some":   {[]string{"drop", "10", "20"}, "2 messages are dropped", "10 dropped, 20 dropped, 30 waiting"},
		"drop topic":  {[]string{"drop", "--topic", "t"}, "2 messages are dropped", "10 dropped, 20 dropped, 30 waiting"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLeaving(t)
			l.aside()
			l.because(c.args...).expect(t, exitDone, c.says)
			if got := query[string](t, l.pool, states); got != c.states {
				t.Errorf("they are %s, want %s", got, c.states)
			}
			l.expectActions("outbox " + strings.Join(c.args, " "))
			if n := query[int](t, l.pool, `select jsonb_array_length(before) from operator_actions`); n == 0 {
				t.Error("the record does not say which")
			}
		})
	}
}

// Those are on record and printed by their ids, all of them: the messages themselves are gone.
func TestDroppingMoreMessagesThanAreListedNamesThemAll(t *testing.T) {
	t.Parallel()
	const n = outbox.MaxExamples + 30
	drop := func(more ...string) (*leaving, ended) {
		l := newLeaving(t)
		execute(t, l.pool, `insert into outbox_aside (id, topic, event_id, reason, detail)
			select i, 't', 'e', 'message_refused', 'too large' from generate_series(1, $1::integer) i`, n)
		l.as("show").expect(t, exitDone, "110 more are set aside; --limit lists them")
		if e := l.as("show", "--limit", "130").expect(t, exitDone); strings.Contains(e.stdout, "more are set aside") {
			t.Errorf("it says %s", e.stdout)
		}
		return l, l.because(append([]string{"drop", "--all"}, more...)...)
	}
	l, e := drop()
	e.expect(t, exitDone, "130 messages are dropped", "30 more are not listed")
	if got := query[int64](t, l.pool, `select sum(message::bigint) from operator_actions,
		jsonb_array_elements_text(after -> 'ids') as message`); got != n*(n+1)/2 {
		t.Errorf("the ids on record come to %d", got)
	}
	_, e = drop("-o", "json")
	if d := decoded[decision](t, e); len(d.IDs) != n || d.IDs[n-1] != n || len(d.Examples) != outbox.MaxExamples {
		t.Errorf("it names %d messages and lists %d", len(d.IDs), len(d.Examples))
	}
}

func TestDecisionsWantToKnowWhichMessages(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	l.aside()
	for _, verb := range []string{"retry", "drop"} {
		l.because(verb).expect(t, exitUsage, "<id>")
		l.because(verb, "10", "--all").expect(t, exitUsage, "<id>")
		l.because(verb, "ten").expect(t, exitUsage)
		l.as(verb, "10").expect(t, exitUsage, "--because")
		l.because(verb, "10", "11").expect(t, exitFailed, "11 (not set aside)")
		l.because(verb, "--topic", "none").expect(t, exitDone, "0 messages")
	}
	l.expectActions()
	if n := query[int](t, l.pool, `select count(*) from outbox_aside where state = 'waiting'`); n != 3 {
		t.Errorf("%d wait", n)
	}
}

func TestStatusHasASectionAboutTheOutbox(t *testing.T) {
	t.Parallel()
	l := newLeaving(t)
	l.aside()
	status := func(more ...string) ended {
		return command(t, append([]string{"status", "--database-url", l.url}, more...)...)
	}
	status().expect(t, exitDone, "OUTBOX DONE", "NOBODY PUBLISHES", "1 messages for u are set aside",
		"topic_refused, waiting")
	execute(t, l.pool, `update outbox_relay set owner = 'member-1', lease_until = now() + interval '1 h',
		waiting_for = 'topic x', waiting_since = '2026-01-31T00:00:00Z'`)
	status().expect(t, exitDone, "member-1", "Outgoing messages wait since 2026-01-31T00:00:00Z for: topic x")
	l.halt(outbox.HaltKafkaForgot)
	status().expect(t, exitDone, "HALTED kafka_forgot_position", "THE OUTBOX IS HALTED since", "for a test")
	report := decoded[map[string]any](t, status("-o", "json"))
	o, ok := report["outbox"].(map[string]any)
	if !ok || o["done"] != 1000.0 || o["waiting"] != 3.0 || o["halt_reason"] != "kafka_forgot_position" ||
		o["waiting_for"] != "topic x" || o["aside"] == nil {
		t.Errorf("%v", report["outbox"])
	}
}
