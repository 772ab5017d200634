package deadletter

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"onhand/internal/cliout"
)

// How much of a value is shown around the error; the rest is a flag away.
const (
	excerptRunes = 48  // on either side
	hexRow       = 16  // bytes a line
	hexRows      = 8   // on either side
	hexColumn    = 10  // where a line's first byte stands: 8 digits and 2 spaces
	hexGap       = 8   // bytes before the extra space
	caret        = "^" // stands under the byte at which reading stopped
)

// Text is value as text with what a terminal must not see escaped, and under it a caret at the error; ok is false if
// the value is not UTF-8. It shows the error's surroundings, or the whole value with full. No position, no caret.
func Text(value []byte, position *int32, full bool) (text string, ok bool) {
	if !utf8.Valid(value) {
		return "", false
	}
	at := 0
	if position != nil {
		at = min(max(0, int(*position)), len(value))
	}
	before, after := string(value[:at]), string(value[at:])
	if !full {
		before, after = lastRunes(before), firstRunes(after, position == nil)
	}
	before = cliout.Printable(before)
	text = before + cliout.Printable(after)
	if position != nil {
		text += "\n" + strings.Repeat(" ", utf8.RuneCountInString(before)) + caret
	}
	return text, true
}

func lastRunes(s string) string {
	end := s
	for range excerptRunes {
		_, size := utf8.DecodeLastRuneInString(end)
		end = end[:len(end)-size]
	}
	if end == "" {
		return s
	}
	return "…" + s[len(end):]
}

func firstRunes(s string, both bool) string {
	n := excerptRunes
	if both {
		n *= 2
	}
	rest := s
	for range n {
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
	}
	if rest == "" {
		return s
	}
	return s[:len(s)-len(rest)] + "…"
}

// Hex is value as a dump of 16 bytes a line, with carets under the byte at which reading stopped.
func Hex(value []byte, position *int32, full bool) string {
	at := -1
	if position != nil {
		at = min(max(0, int(*position)), len(value))
	}
	first, last := 0, (len(value)-1)/hexRow
	if !full {
		first = max(0, at/hexRow-hexRows)
		last = min(last, first+2*hexRows)
	}
	dump := strings.Split(hex.Dump(value), "\n")
	var b strings.Builder
	if first > 0 {
		fmt.Fprintf(&b, "… %d bytes before\n", first*hexRow)
	}
	for i := first; i <= last && i < len(dump)-1; i++ {
		b.WriteString(dump[i] + "\n")
		if at >= 0 && at/hexRow == i {
			b.WriteString(hexCaret(at) + "\n")
		}
	}
	if at >= 0 && at/hexRow > last {
		b.WriteString(hexCaret(at) + " (the end)\n")
	}
	if left := len(value) - (last+1)*hexRow; left > 0 {
		fmt.Fprintf(&b, "… %d bytes after\n", left)
	}
	return b.String()
}

func hexCaret(at int) string {
	column := hexColumn + 3*(at%hexRow)
	if at%hexRow >= hexGap {
		column++
	}
	return strings.Repeat(" ", column) + caret + caret
}
