package report

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteTable writes r for people: medians, with the least and the most in parentheses.
func (r Report) WriteTable(w io.Writer) error {
	c := r.Conditions
	_, err := fmt.Fprintf(w, "%d rounds, %d cores, Kafka %s, PostgreSQL %s (fsync %s, full_page_writes %s, "+
		"synchronous_commit %s), %d partitions, %d SKUs\n\n",
		c.Rounds, c.Cores, c.Kafka, c.Postgres["server_version"], c.Postgres["fsync"], c.Postgres["full_page_writes"],
		c.Postgres["synchronous_commit"], c.Partitions, c.SKUs)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "contestant\tevents\tevents/s\tonhand is x\tWAL B/event\tclient s/M\tPostgres s/M\t"+
		"peak MiB\tresult\t")
	for _, l := range r.Lines {
		ratio := "-"
		if l.OnhandRatio != nil && l.Contestant != Onhand {
			ratio = l.OnhandRatio.text(2, 1)
		}
		verdict := "right"
		if l.Wrong {
			verdict = "WRONG"
		}
		const mebibyte = 1 << 20
		_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", l.Contestant, l.Events,
			l.PerSecond.text(0, 1), ratio, l.WAL.text(0, 1), l.ClientCPU.text(1, 1), l.PostgresCPU.text(1, 1),
			l.PeakMemory.text(0, mebibyte), verdict)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return r.writeFaults(w)
}

func (r Report) writeFaults(w io.Writer) error {
	for _, result := range r.Results {
		for _, fault := range result.Faults {
			if _, err := fmt.Fprintf(w, "%s, round %d: %s\n", result.Contestant, result.Round, fault); err != nil {
				return err
			}
		}
	}
	return nil
}

// text is s with that many decimals, in that unit.
func (s Spread) text(decimals int, unit float64) string {
	return fmt.Sprintf("%.*f (%.*f-%.*f)", decimals, s.Median/unit, decimals, s.Min/unit, decimals, s.Max/unit)
}
