package cliout

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Grid is rows of cells whose columns line up, and lines of text after them. Rows may be of different length.
type Grid struct {
	rows  [][]string
	lines []string
}

// Row adds one row. Cells are printed with fmt.Sprint, nil as nothing, and with control characters escaped: what comes
// from a topic must not drive the terminal.
func (g *Grid) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		if cell != nil {
			row[i] = Printable(fmt.Sprint(cell))
		}
	}
	g.rows = append(g.rows, row)
}

// Text adds a line of its own after the rows, escaped like a cell.
func (g *Grid) Text(format string, args ...any) {
	g.lines = append(g.lines, Printable(fmt.Sprintf(format, args...)))
}

func (g *Grid) write(w io.Writer) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range g.rows {
		if _, err := fmt.Fprintln(tw, strings.Join(row, "\t")+"\t"); err != nil {
			return err
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	// A last cell that is short or empty would leave spaces at the end of its line.
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	for _, line := range g.lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// Printable is s with everything escaped that a terminal would act on or not show, as in a Go string. Backslashes stay.
func Printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		case r == unicode.ReplacementChar && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			quoted := fmt.Sprintf("%+q", r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
