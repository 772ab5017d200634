package main

import (
	"strings"
	"testing"

	"onhand/internal/deadletter"
	"onhand/internal/testenv"
)

// parked is a schema with dead letters at offsets 1, 2 and 3, each parked later than the one before.
func parked(t *testing.T) (url string) {
	t.Helper()
	url = testenv.Database(t)
	execute(t, connect(t, url), `
insert into dead_letters (topic, partition, incarnation, "offset", reason, detail, error_position, key, value, headers,
                          record_time, parked_at)
values
    ('stock', 0, 1, 1, 'not_json', 'unexpected x', 5, 'SKU-1', '{"a":x}', '{}', now(), now() - interval '3 min'),
    ('stock', 1, 1, 2, 'tombstone', '', null, null, null, '{}', null, now() - interval '2 min'),
    ('stock', 0, 1, 3, 'invalid_utf8', E'esc \x1b[31m', 2, '\xff', '\x2261ff22',
     array['h1', null, '\xfe', 'v2']::bytea[], now(), now() - interval '1 min'),
    ('other', 0, 2, 1, 'not_json', '', 0, null, 'x', '{}', now(), now())`)
	return url
}

func TestDeadLettersAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	url := parked(t)
	for _, c := range []struct{ flags, want string }{
		{"", "other/1 stock/3 stock/2 stock/1"},
		{"--limit 2", "other/1 stock/3"},
		{"--topic stock", "stock/3 stock/2 stock/1"},
		{"--topic stock --partition 0", "stock/3 stock/1"},
		{"--reason not_json", "other/1 stock/1"},
		{"--reason not_json --topic nowhere", ""},
	} {
		args := append([]string{"dead-letters", "list", "--database-url", url, "-o", "json"}, strings.Fields(c.flags)...)
		var got []string
		for _, l := range decoded[[]deadletter.Summary](t, command(t, args...)) {
			got = append(got, l.Topic+"/"+string(rune('0'+l.Offset)))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s lists %v, want %s", c.flags, got, c.want)
		}
	}
	e := command(t, "dead-letters", "list", "--database-url", url).
		expect(t, exitDone, "REASON", "tombstone", `esc \x1b[31m`)
	if strings.Contains(e.stdout, "\x1b") {
		t.Errorf("the terminal is driven by %q", e.stdout)
	}
	command(t, "dead-letters", "list", "--database-url", url, "--limit", "0").expect(t, exitUsage, "--limit")
}

func TestADeadLetterIsShownWithTheErrorMarked(t *testing.T) {
	t.Parallel()
	url := parked(t)
	show := func(args ...string) ended {
		return command(t, append([]string{"dead-letters", "show", "--database-url", url}, args...)...)
	}
	show("stock", "0", "1").expect(t, exitDone, "not_json", "unexpected x", "SKU-1", "\n{\"a\":x}\n     ^\n",
		"00000000  7b 22 61 22 3a 78 7d", "\n                         ^^\n")
	show("stock", "1", "2").expect(t, exitDone, "tombstone", "(null: a tombstone)")
	show("stock", "0", "3").expect(t, exitDone, "not UTF-8", "0xff", "h1 = (null)", "0xfe = v2", `esc \x1b[31m`)
	show("stock", "0", "2").expect(t, exitFailed, "no dead letter there")
	show("other", "0", "1", "--incarnation", "1").expect(t, exitFailed, "no dead letter there")
	show("other", "0", "1", "--incarnation", "2").expect(t, exitDone)
}

func TestADeadLetterAsJSONKeepsEveryByte(t *testing.T) {
	t.Parallel()
	url := parked(t)
	show := func(offset string) ended {
		return command(t, "dead-letters", "show", "stock", "0", offset, "--database-url", url, "-o", "json")
	}
	e := show("3")
	l := decoded[shownLetter](t, e)
	if string(l.Value.Base64) != "\"a\xff\"" || l.Value.Text != nil || *l.ErrorPosition != 2 ||
		string(l.Key.Base64) != "\xff" {
		t.Errorf("%s", e.stdout)
	}
	if len(l.Headers) != 2 || *l.Headers[0].Key.Text != "h1" || l.Headers[0].Value != nil ||
		string(l.Headers[1].Key.Base64) != "\xfe" {
		t.Errorf("%s", e.stdout)
	}
	text := decoded[shownLetter](t, show("1"))
	if *text.Value.Text != `{"a":x}` || text.Key == nil || text.RecordTime == nil {
		t.Errorf("%+v", text)
	}
}
