package verify_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"onhand/internal/verify"
)

// fault is a topic that is not as it should be, and a difference that must be found.
type fault struct {
	name  string
	spoil func([]letter) []letter
	place string // part of the place
	says  string // part of what was expected or found
}

// one returns a spoil that changes the first message, of version 1 of A at main.
func one(change func(*letter)) func([]letter) []letter {
	return func(ls []letter) []letter { ls[0] = ls[0].with(change); return ls }
}

func replaced(from, to string) func([]letter) []letter {
	return replacedIn(0, from, to)
}

// replacedIn changes what the nth message says.
func replacedIn(n int, from, to string) func([]letter) []letter {
	return func(ls []letter) []letter {
		ls[n] = ls[n].with(func(l *letter) { l.value = bytes.Replace(l.value, []byte(from), []byte(to), 1) })
		return ls
	}
}

var faults = []fault{
	// what is there, and in which order
	{
		"a message that is missing", func(ls []letter) []letter { return without(ls, 1003) },
		"message 1003, 'A'", "version 2",
	},
	{
		"the first message is missing", func(ls []letter) []letter { return without(ls, 1001) },
		"message 1001", "version 1",
	},
	{
		"the last message is missing", func(ls []letter) []letter { return without(ls, 3003) },
		"message 3003", "version 4",
	},
	{
		"all messages of a row are missing", func(ls []letter) []letter { return without(ls, 1002, 2003, 3002) },
		`message 2003, 'B "é''' at 'main' of tenant 'shop 2'`, "version 2",
	},
	{"a partition is empty", func(ls []letter) []letter { return ls[1:2] }, "message 3003", "version 4"},
	{
		"a message twice in a row", func(ls []letter) []letter { return append(ls[:1:1], ls...) },
		"offset 1, message 1001", "once",
	},
	{
		"a message once more", func(ls []letter) []letter { return append(ls, ls[2]) },
		"offset 6, message 1003", "behind version 4",
	},
	{"everything twice", func(ls []letter) []letter { return append(ls, ls...) }, "message 2001", "once"},
	{
		"two messages swapped", func(ls []letter) []letter { ls[2], ls[4] = ls[4], ls[2]; return ls },
		"message 1003", "version 2 before version 3",
	},
	{
		"the first two swapped", func(ls []letter) []letter { ls[0], ls[2] = ls[2], ls[0]; return ls },
		"message 1001", "version 1 before version 2",
	},
	{
		"a row in two partitions", func(ls []letter) []letter { ls[8].partition = 1; return ls },
		"/1 offset 3, message 3003", "in one partition, 0",
	},
	{
		"a message twice, in two partitions",
		func(ls []letter) []letter { return append(ls, ls[8].with(func(l *letter) { l.partition = 1 })) },
		"/1 offset 3, message 3003", "once",
	},
	{
		"a message of nobody", func(ls []letter) []letter {
			return append(ls, ls[0].with(func(l *letter) { l.headers[4].Value = []byte("999") }))
		}, "offset 6, message 999", "no message",
	},
	{
		"a message under the name of another", one(func(l *letter) { l.headers[4].Value = []byte("1003") }),
		"message 1003", "version 2",
	},
	{
		"a message of a stranger", one(func(l *letter) { l.headers[3].Value = []byte("urn:uuid:x") }),
		"message 1001", "version 1",
	},

	// what it says
	{"another quantity", replaced(`"on_hand":10`, `"on_hand":11`), "message 1001", "on_hand 10"},
	{"another quantity available", replaced(`"available":10`, `"available":9`), "message 1001", "available 10"},
	{"something reserved", replaced(`"reserved":0`, `"reserved":1`), "message 1001", "reserved 0"},
	{"something damaged", replaced(`"available":10`, `"available":10,"damaged":1`), "message 1001", "no damaged"},
	{"nothing in transit", replaced(`"available":10`, `"available":10,"in_transit":0`), "message 1001", "no in_transit"},
	{
		"a promise that is lost", replacedIn(1, `"reserved":2,"available":2`, `"reserved":0,"available":4`),
		"message 1002", "reserved 2, available 2",
	},
	{"damage that is lost", replacedIn(3, `"damaged":3,`, ``), "message 2001", "damaged missing"},
	{"other goods in transit", replacedIn(5, `"in_transit":4`, `"in_transit":5`), "message 2003", "in_transit 4"},
	{"another version", replaced(`"version":1`, `"version":2`), "message 1001", "version 1"},
	{"another one before", replaced(`"follows":0`, `"follows":1`), "message 1001", "follows 0"},
	{"another delta", replaced(`"delta":10`, `"delta":-10`), "message 1001", "delta -10"},
	{"another SKU", replaced(`"sku":"A"`, `"sku":"a"`), "message 1001", `sku "A"`},
	{"another place", replaced(`"location":"main"`, `"location":"north"`), "message 1001", `location "main"`},
	{"another event", replaced(`"event_id":"e1001"`, `"event_id":"e1002"`), "message 1001", "event_id"},
	{"another kind of event", replaced(`stock.adjusted`, `stock.sold`), "message 1001", "event_kind"},
	{"another kind", replaced(`stock.changed`, `stock.change`), "message 1001", "kind"},
	{"a tenant", replaced(`{`, `{"tenant":"x",`), "message 1001", "no tenant"},
	{"a source", replaced(`{`, `{"source":"",`), "message 1001", "no source"},
	{"a number as text", replaced(`"delta":10`, `"delta":"10"`), "message 1001", "delta 10"},
	{"text as a number", replaced(`"sku":"A"`, `"sku":1`), "message 1001", "sku"},
	{"a fraction", replaced(`"delta":10`, `"delta":10.0`), "message 1001", "delta 10.0"},
	{"a member that is missing", replaced(`,"reserved":0`, ``), "message 1001", "reserved missing"},
	{"a member twice", replaced(`{`, `{"sku":"A",`), "message 1001", "a JSON object"},
	{"no JSON", replaced(`{`, `[`), "message 1001", "a JSON object"},
	{"nothing", one(func(l *letter) { l.value = nil }), "message 1001", "a JSON object"},
	{"another key", one(func(l *letter) { l.key = []byte("B") }), "message 1001", `key "A"`},
	{"no key", one(func(l *letter) { l.key = nil }), "message 1001", `key "A"`},

	// its headers
	{
		"another version of CloudEvents", one(func(l *letter) { l.headers[1].Value = []byte("2") }),
		"message 1001", "ce_specversion: 2",
	},
	{"headers in another order", one(func(l *letter) {
		l.headers[0], l.headers[1] = l.headers[1], l.headers[0]
	}), "message 1001", "headers"},
	{"a header too many", one(func(l *letter) {
		l.headers = append(l.headers, sarama.RecordHeader{Key: []byte("x")})
	}), "message 1001", "headers"},
	{"a trace of nothing", one(func(l *letter) {
		l.headers = append(l.headers, sarama.RecordHeader{Key: []byte("traceparent"), Value: []byte("y")})
	}), "message 1001", `traceparent ""`},
	{"a trace that is lost", func(ls []letter) []letter {
		ls[1] = ls[1].with(func(l *letter) { l.headers = l.headers[:5] })
		return ls
	}, "message 1002", `traceparent "shop 2"`},
	{"two ids", one(func(l *letter) {
		l.headers = append(l.headers, sarama.RecordHeader{Key: []byte("ce_id"), Value: []byte("1003")})
	}), "/0 offset 0", "one header ce_id"},
	{"no id", one(func(l *letter) { l.headers = l.headers[:4] }), "/0 offset 0", "one header ce_id"},
	{
		"an id that is no number", one(func(l *letter) { l.headers[4].Value = []byte("01001") }),
		"/0 offset 0", "one header ce_id",
	},
}

func TestWhateverIsWrongInTheOutgoingTopicIsFound(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			p.newTopic(t, 2)
			spoiled := f.spoil(append([]letter(nil), letters...))
			p.send(t, spoiled)
			expectDifference(t, p.verify(t), f.place, f.says)
		})
	}
}

// expectDifference fails the test unless the report has a difference of I7 at place that says so.
func expectDifference(t *testing.T, r *verify.Report, place, says string) {
	t.Helper()
	expect(t, r, verify.Violation)
	if r.Outbox.Verdict != verify.Violation {
		t.Errorf("the outbox's verdict is %q", r.Outbox.Verdict)
	}
	for _, d := range r.Differences {
		if d.Invariant == "I7" && strings.Contains(d.Place, place) &&
			(strings.Contains(d.Expected, says) || strings.Contains(d.Found, says)) {
			return
		}
	}
	t.Errorf("no difference of I7 at %q says %q\n%s", place, says, shown(r))
}

// What one fault does not do: drag others along.
func TestOneFaultIsOneDifference(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	for name, spoiled := range map[string][]letter{
		"one missing": without(letters, 2002), "one twice": append(letters[:3:3], letters[2:]...),
		"two swapped": append(append([]letter{letters[2]}, letters[:2]...), letters[3:]...),
		"one altered": replaced(`10`, `11`)(append([]letter(nil), letters...)),
	} {
		p.newTopic(t, 2)
		p.send(t, spoiled)
		if report := p.verify(t); report.Found != 1 {
			t.Errorf("%s: %s", name, shown(report))
		}
	}
}

// Rows of stock are asked about, and records compared, in chunks of 2,000.
func TestInManyRowsTheOneMessageThatIsMissingIsFound(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	const rows = 4001
	for _, sql := range []string{
		`delete from movements`,
		`delete from stock`,
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
		 select '', 'S' || 10000 + n, 'main', 1, 1, 1, 'stock.received', 'e', '', 10000 + n
		 from generate_series(1, $1::int) n`,
		`insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
		 select '', 'S' || 10000 + n, 'main', 1, 1, 'deny', 't', 0, now() from generate_series(1, $1::int) n`,
		`update outbox_relay set done = 20000, intent = 20000`,
	} {
		args := []any{rows}
		if !strings.Contains(sql, "$1") {
			args = nil
		}
		change(t, p.pool, sql, args...)
	}
	letters := p.letters(t)
	p.send(t, letters)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Messages != rows {
		t.Errorf("%s", shown(report))
	}
	for _, id := range []int64{10001, 12000, 12001, 14000, 14001} {
		p.newTopic(t, 1)
		p.send(t, without(letters, id))
		report := p.verify(t)
		expectDifference(t, report, fmt.Sprintf("message %d, 'S%d'", id, id), "version 1")
		if report.Found != 1 {
			t.Errorf("%s", shown(report))
		}
	}
}

func TestAPayloadMayBeWrittenInAnotherWay(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := replaced(`{"kind":"stock.changed","sku":"A"`, `{ "sku":"\u0041", "kind":"stock.changed"`)(p.letters(t))
	p.send(t, letters)
	expect(t, p.verify(t), verify.OK)
}
