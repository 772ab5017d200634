package deadletter_test

import (
	"strings"
	"testing"

	"onhand/internal/deadletter"
)

func TestTheCaretStandsUnderTheError(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 100)
	for _, c := range []struct {
		value    string
		position int32
		want     string
	}{
		{`{"a":x}`, 5, "{\"a\":x}\n     ^"},
		{`{"a":`, 5, "{\"a\":\n     ^"},
		{`x`, 0, "x\n^"},
		{"\"tab\t\"x", 6, "\"tab\\t\"x\n       ^"},
		{"größe x", 8, "größe x\n      ^"},
		{`short`, 99, "short\n     ^"},
		{long + "X" + long, 200, "…" + long[:96] + "X" + long[:94] + "…\n" + strings.Repeat(" ", 49) + "^"},
	} {
		if got, ok := deadletter.Text([]byte(c.value), &c.position, false); !ok || got != c.want {
			t.Errorf("%q at %d:\n%s\nwant\n%s", c.value, c.position, got, c.want)
		}
	}
}

func TestTextIsWholeOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	value := []byte(strings.Repeat("x", 500))
	if got, _ := deadletter.Text(value, nil, false); got != strings.Repeat("x", 96)+"…" {
		t.Errorf("excerpt: %s", got)
	}
	if got, _ := deadletter.Text(value, nil, true); got != string(value) {
		t.Errorf("full: %s", got)
	}
	if got, ok := deadletter.Text([]byte("\xff"), nil, true); ok {
		t.Errorf("bytes that are no text are shown as %s", got)
	}
}

func TestTheDumpMarksTheByteAndItsSurroundings(t *testing.T) {
	t.Parallel()
	value := []byte("0123456789abcdefGHIJ")
	position := int32(9)
	want := `00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|
                                      ^^
00000010  47 48 49 4a                                       |GHIJ|
`
	if got := deadletter.Hex(value, &position, false); got != want {
		t.Errorf("got\n%s", got)
	}
	position = 17
	want = `00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|
00000010  47 48 49 4a                                       |GHIJ|
             ^^
`
	if got := deadletter.Hex(value, &position, false); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestTheDumpOfALargeValueIsCutAroundTheError(t *testing.T) {
	t.Parallel()
	value := make([]byte, 16*100)
	position := int32(16 * 50)
	got := deadletter.Hex(value, &position, false)
	if lines := strings.Count(got, "\n"); lines != 17+1+2 ||
		!strings.HasPrefix(got, "… 672 bytes before\n000002a0") || !strings.HasSuffix(got, "… 656 bytes after\n") {
		t.Errorf("%d lines:\n%s", lines, got)
	}
	if full := deadletter.Hex(value, &position, true); strings.Count(full, "\n") != 100+1 {
		t.Errorf("full has %d lines", strings.Count(full, "\n"))
	}
	end := int32(len(value))
	if got := deadletter.Hex(value, &end, false); !strings.HasSuffix(got, "^^ (the end)\n") {
		t.Errorf("at the end:\n%s", got)
	}
	if got := deadletter.Hex(nil, nil, false); got != "" {
		t.Errorf("nothing: %q", got)
	}
}
