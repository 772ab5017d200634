package cliout_test

import (
	"strings"
	"testing"

	"onhand/internal/cliout"
)

func TestColumnsLineUpAndTextFollows(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	err := cliout.New(&b, cliout.Table).Print(nil, func(g *cliout.Grid) {
		g.Text("%d rows", 2)
		g.Row("TOPIC", "NEXT", "OWNER")
		g.Row("orders", 7, nil)
		g.Row("a", 12345, "me")
	})
	want := `TOPIC   NEXT   OWNER
orders  7
a       12345  me
2 rows
`
	if got := b.String(); err != nil || got != want {
		t.Errorf("%v, got\n%s", err, got)
	}
}

func TestJSONIsTheValueAlone(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	table := func(*cliout.Grid) { t.Error("a table was made") }
	err := cliout.New(&b, cliout.JSON).Print(map[string]string{"a": "<b>"}, table)
	if want := "{\n  \"a\": \"<b>\"\n}\n"; err != nil || b.String() != want {
		t.Errorf("%v, got %s", err, b.String())
	}
}

func TestNothingDrivesTheTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain Größe 数 ok":      "plain Größe 数 ok",
		"\x1b[31mred":           `\x1b[31mred`,
		"two\nlines\ttab\r\x00": `two\nlines\ttab\r\x00`,
		"left\u202eright":       `left\u202eright`,
		"broken\xff\xfe end":    `broken\xff\xfe end`,
		"\u0085next":            `\u0085next`,
		`back\slash 'quotes'`:   `back\slash 'quotes'`,
	} {
		if got := cliout.Printable(in); got != want {
			t.Errorf("%q became %s, want %s", in, got, want)
		}
	}
	var b strings.Builder
	_ = cliout.New(&b, cliout.Table).Print(nil, func(g *cliout.Grid) {
		g.Row("a\tb\x1b")
		g.Text("c\x1bd\n")
	})
	if b.String() != "a\\tb\\x1b\nc\\x1bd\\n\n" {
		t.Errorf("got %q", b.String())
	}
}
