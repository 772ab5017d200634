package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/internal/verify"
)

// announce adds two rows of stock whose movements cross what can be crossed, and three events that were rejected: all
// that they tell has left too. C is low at 5, and may not be promised beyond what there is.
func (p *post) announce(t *testing.T) {
	t.Helper()
	q := &pgx.Batch{}
	q.Queue("delete from inbox")
	q.Queue("delete from outbox_messages")
	for _, m := range []struct {
		id                               int64
		sku                              string
		version, delta, onHand, reserved int64
	}{
		{4001, "C", 1, 20, 20, 0},
		{5001, "C", 2, -20, 0, 0},
		{5004, "C", 3, 2, 2, 0},
		{5005, "C", 4, 10, 12, 0},
		{5007, "C", 5, 0, 12, 12},
		{5010, "C", 6, -8, 4, 12},
		{6001, "D", 1, 1, 1, 0},
		{6002, "D", 2, -1, 0, 0},
	} {
		q.Queue(`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
			message_id, reserved)
			values ('', $1, 'main', $2, $3, $4, 'stock.adjusted', 'e' || $5::bigint, '', $5, nullif($6::bigint, 0))`,
			m.sku, m.version, m.delta, m.onHand, m.id, m.reserved)
	}
	q.Queue(`insert into skus (tenant, sku, low_stock) values ('', 'C', 5), ('', 'D', null)`)
	q.Queue(`insert into stock (tenant, sku, location, on_hand, reserved, version, backorder, last_topic, last_partition)
		values ('', 'C', 'main', 4, 12, 6, 'deny', 't', 0), ('', 'D', 'main', 0, 0, 2, 'deny', 't', 0)`)
	for id, what := range map[int64]string{
		5002: `stock.low C "on_hand":0,"reserved":0,"available":0,"threshold":5,"version":2,"event_id":"e5001"`,
		5003: `stock.depleted C "on_hand":0,"reserved":0,"available":0,"version":2,"event_id":"e5001"`,
		5006: `stock.restored C "on_hand":12,"reserved":0,"available":12,"version":4,"event_id":"e5005"`,
		5008: `stock.low C "on_hand":12,"reserved":12,"available":0,"threshold":5,"version":5,"event_id":"e5007"`,
		5009: `stock.depleted C "on_hand":12,"reserved":12,"available":0,"version":5,"event_id":"e5007"`,
		5011: `stock.overcommitted C "on_hand":4,"reserved":12,"available":-8,"version":6,"event_id":"e5010"`,
		6003: `stock.depleted D "on_hand":0,"reserved":0,"available":0,"version":2,"event_id":"e6002"`,
	} {
		kind, rest, _ := strings.Cut(what, " ")
		sku, says, _ := strings.Cut(rest, " ")
		p.tell(q, id, kind, sku, fmt.Sprintf(`{"kind":%q,"sku":%q,"location":"main",%s,"event_kind":"stock.adjusted"}`,
			kind, sku, says))
	}
	for id, says := range map[int64]string{
		4002: `"sku":"C","location":"main","quantity":30,"on_hand":20,"reserved":0,"available":20,"version":1`,
		5012: `"reservation":"R"`,
		6004: `"sku":"D","location":"main","quantity":1,"if_version":7,"on_hand":0,"reserved":0,"available":0,"version":2`,
	} {
		key := map[int64]string{4002: "C", 5012: "R", 6004: "D"}[id]
		p.tell(q, id, "stock.rejected", key, fmt.Sprintf(`{"kind":"stock.rejected",%s,"event_id":"x%d","source":"shop",`+
			`"event_kind":"stock.sold","reason":"no"}`, says, id))
		q.Queue(`insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition, incarnation,
			"offset", message_id) values ('', 'x' || $1::bigint, 'shop', 1, 'rejected', 'no', 't', 0, 1, $1, $1)`, id)
	}
	q.Queue(`update outbox_relay set done = 6004, intent = 6004`)
	if err := p.pool.SendBatch(t.Context(), q).Close(); err != nil {
		t.Fatal(err)
	}
}

func (p *post) tell(q *pgx.Batch, id int64, kind, key, payload string) {
	q.Queue(`insert into outbox_messages (id, slot, key, event_id, payload, type) values ($1, 0, $2, '', $3, $4)`,
		id, []byte(key), []byte(payload), kind)
}

func TestWhatIsToldBesideChangesIsFoundRight(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.announce(t)
	letters := p.letters(t)
	p.send(t, letters)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if o := report.Outbox; o.Messages != 17 || o.Announced != 10 || o.Waiting != 0 || o.Forgotten != 0 || o.Removed != 0 ||
		o.Partitions[0].Announcements != 10 || o.Partitions[0].Other+o.Partitions[1].Other != 0 {
		t.Errorf("%s", shown(report))
	}

	// What the database has given up cannot be compared, and is no fault.
	change(t, p.pool, `delete from outbox_messages`)
	change(t, p.pool, `delete from inbox where event_id = 'x4002'`)
	expectDifference(t, p.verify(t), "message 4002", "no event was rejected")
	change(t, p.pool, `update inbox_memory set dropped_rows = 1`)
	report = p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Forgotten != 1 {
		t.Errorf("%s", shown(report))
	}
}

// behind moves the letter with an id behind another one.
func behind(id, other int64) func([]letter) []letter {
	return func(ls []letter) []letter {
		at := func(id int64) int { return slices.IndexFunc(ls, func(l letter) bool { return l.id == id }) }
		moved := ls[at(id)]
		ls = slices.Delete(ls, at(id), at(id)+1)
		return slices.Insert(ls, at(other)+1, moved)
	}
}

// altered changes what the letter with an id says.
func altered(id int64, from, to string) func([]letter) []letter {
	return func(ls []letter) []letter {
		return replacedIn(slices.IndexFunc(ls, func(l letter) bool { return l.id == id }), from, to)(ls)
	}
}

// twice sends the letter with an id once more, at the end, as change has it.
func twice(id int64, change func(*letter)) func([]letter) []letter {
	return func(ls []letter) []letter {
		return append(ls, ls[slices.IndexFunc(ls, func(l letter) bool { return l.id == id })].with(change))
	}
}

func missing(id int64) func([]letter) []letter {
	return func(ls []letter) []letter { return without(ls, id) }
}

func TestWhatIsWrongWithWhatIsToldBesideChangesIsFound(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.announce(t)
	same := func(*letter) {}
	as := func(id int64, kind, from string) func(*letter) {
		return func(l *letter) {
			l.headers[2].Value, l.headers[4].Value = []byte(kind), fmt.Append(nil, id)
			l.value = []byte(strings.Replace(string(l.value), from, kind, 1))
		}
	}
	for _, f := range []fault{
		{"the last goods went, and nobody is told", missing(5003), "message 5003, 'C'", "stock.depleted of version 2"},
		{"likewise at the end", missing(6003), "message 6003, 'D'", "stock.depleted of version 2"},
		{"a rejection that nobody is told of", missing(4002), "message 4002", `"x4002" from "shop" was rejected`},
		{"a crossing twice", twice(6003, same), "message 6003", "once"},
		{"a rejection twice", twice(5012, same), "message 5012", "once"},
		{"a crossing out of order", behind(5002, 5003), "message 5002", "in its order"},
		{"a crossing behind the next version", behind(5003, 5004), "message 5003", "before version 3"},
		{"a crossing before its movement's message", behind(5006, 5003), "message 5006", "behind the message of version 4"},
		{"a rejection behind the next version", behind(4002, 5001), "message 4002", "what found version 1 before version 2"},
		{"a rejection before what it found", behind(6004, 6001), "message 6004", "what found version 2 behind"},
		{
			"a crossing of what only rose", twice(5006, as(5006, "stock.depleted", "stock.restored")),
			"message 5006", "from above 0",
		},
		{
			"a crossing of what only fell", twice(5003, as(5003, "stock.restored", "stock.depleted")),
			"message 5003", "from the threshold",
		},
		{
			"a crossing of what all is there", twice(5006, as(5006, "stock.overcommitted", "stock.restored")),
			"message 5006", "from the floor",
		},
		{
			"a threshold that was not crossed", altered(5002, `"threshold":5`, `"threshold":20`),
			"message 5002", "the threshold",
		},
		{"a threshold that is none", altered(5002, `"threshold":5`, `"threshold":-5`), "message 5002", "the threshold"},
		{
			"a threshold for another kind", altered(5003, `"version"`, `"threshold":5,"version"`),
			"message 5003", "no threshold",
		},
		{"another quantity", altered(5011, `"available":-8`, `"available":-7`), "message 5011", "available -8"},
		{"another event", altered(5011, `"e5010"`, `"e5007"`), "message 5011", `event_id "e5010"`},
		{"a crossing of nothing", altered(5011, `"version":6`, `"version":7`), "message 5011", "no movement crossed this"},
		{
			"a crossing with the id of another", twice(5006, as(5013, "stock.restored", "stock.restored")), "message 5013",
			"right behind message 5005",
		},
		{"a rejection of nobody", altered(4002, "x4002", "x4003"), "message 4002", "no event was rejected"},
		{
			"a rejection under another id", twice(4002, as(4003, "stock.rejected", "stock.rejected")), "message 4003",
			"rejected, message 4002",
		},
		{"a rejection for another reason", altered(5012, `"no"`, `"yes"`), "message 5012", `reason "no"`},
		{"a rejection by what was not there", altered(4002, `"on_hand":20`, `"on_hand":21`), "message 4002", "on_hand 20"},
		{"a rejection by a version that is none", altered(6004, `"version":2`, `"version":9`), "message 6004", "version 0"},
		{"a rejection under another key", func(ls []letter) []letter {
			i := slices.IndexFunc(ls, func(l letter) bool { return l.id == 5012 })
			ls[i] = ls[i].with(func(l *letter) { l.key = []byte("C") })
			return ls
		}, "message 5012", `key "R"`},
		{"a rejection without its type", func(ls []letter) []letter {
			i := slices.IndexFunc(ls, func(l letter) bool { return l.id == 5012 })
			ls[i] = ls[i].with(func(l *letter) { l.headers[0].Value = []byte("text/plain") })
			return ls
		}, "message 5012", "headers"},
	} {
		t.Run(f.name, func(t *testing.T) {
			p.newTopic(t, 2)
			p.send(t, f.spoil(p.letters(t)))
			expectDifference(t, p.verify(t), f.place, f.says)
		})
	}
}

// What Kafka refused, or an operator gave up, may be missing or late, as with the messages of movements.
func TestWhatIsToldBesideChangesIsExcusedLikeChanges(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.announce(t)
	p.send(t, without(p.letters(t), 5003, 5012))
	expect(t, p.verify(t), verify.Violation)
	change(t, p.pool, `insert into outbox_aside (id, topic, event_id, reason, detail)
		values (5003, 't', '', 'message_refused', ''), (5012, 't', '', 'message_refused', '')`)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Excused != 2 {
		t.Errorf("%s", shown(report))
	}

	change(t, p.pool, `delete from outbox_aside`)
	p.newTopic(t, 2)
	p.send(t, behind(5003, 5011)(behind(4002, 5001)(p.letters(t))))
	expect(t, p.verify(t), verify.Violation)
	cfg := p.config()
	cfg.FollowRefused = true
	report = run(t, cfg)
	expect(t, report, verify.OK)
	if report.Outbox.Late != 2 {
		t.Errorf("%s", shown(report))
	}

	// Two were sent again from where an operator let the outbox go on.
	p.newTopic(t, 2)
	letters := p.letters(t)
	p.send(t, append(slices.Clone(letters), letters[len(letters)-2:]...))
	expect(t, p.verify(t), verify.Violation)
	change(t, p.pool, `insert into operator_actions (actor, command, because, before, after)
		values ('me', 'outbox resume', 'so', '{"done":6004}', '{"done":6002,"kafka":{"id":6004}}')`)
	report = p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Repeated != 2 || report.Outbox.Announced != 10 {
		t.Errorf("%s", shown(report))
	}
}
