package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// How much of the statements is shown.
const (
	mostStatements = 12
	statementWidth = 80
)

// writeStatements shows what onhand sent to the server in its last round, where that was counted.
func (w Workload) writeStatements(to io.Writer) error {
	of := named(w.Results, Onhand)
	if len(of) == 0 || len(of[len(of)-1].Statements) == 0 {
		return nil
	}
	last := of[len(of)-1]
	batches := float64(max(last.Batches.Commits, 1))
	if _, err := fmt.Fprint(to, "\nonhand's statements in the last round, a batch, by the server's time\n\n"); err != nil {
		return err
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "ms\tcalls\trows\t")
	for _, s := range last.Statements[:min(len(last.Statements), mostStatements)] {
		text := strings.Join(strings.Fields(s.Text), " ")
		if len(text) > statementWidth {
			text = strings.ToValidUTF8(text[:statementWidth], "") + "..."
		}
		_, _ = fmt.Fprintf(t, "%.2f\t%.2f\t%.0f\t  %s\n", s.Seconds*1000/batches, float64(s.Calls)/batches,
			float64(s.Rows)/batches, text)
	}
	return t.Flush()
}
