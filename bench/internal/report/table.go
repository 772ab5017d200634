package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes r for people: a table a workload and one of the targets; medians, with the least and the most in
// parentheses.
func (r Report) WriteText(w io.Writer) error {
	c := r.Conditions
	_, err := fmt.Fprintf(w, "%d cores, Kafka %s, PostgreSQL %s (fsync %s, full_page_writes %s, synchronous_commit %s)\n",
		c.Cores, c.Kafka, c.Postgres["server_version"],
		c.Postgres["fsync"], c.Postgres["full_page_writes"], c.Postgres["synchronous_commit"])
	if err != nil {
		return err
	}
	for _, workload := range r.Workloads {
		if err := workload.write(w); err != nil {
			return err
		}
	}
	return r.writeTargets(w)
}

func (w Workload) write(to io.Writer) error {
	if _, err := fmt.Fprintf(to, "\n%s: %s; rounds: %d; %s\n\n", w.Name, w.About, w.Rounds, w.Conditions.when()); err != nil {
		return err
	}
	columns, base := w.columns(), speed(w.Results)
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	titles := []string{"", "records"}
	for _, f := range columns {
		titles = append(titles, f.title)
		if f.name == base {
			titles = append(titles, "onhand is x")
		}
	}
	_, _ = fmt.Fprintln(t, strings.Join(append(titles, "result"), "\t")+"\t")
	for _, l := range w.Lines {
		_, _ = fmt.Fprintln(t, strings.Join(l.cells(columns, base), "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	if err := w.writeStatements(to); err != nil {
		return err
	}
	return w.writeFaults(to)
}

// when says what day it was measured on, and on which code.
func (c Conditions) when() string {
	day := c.Started.Format(time.DateOnly)
	if c.Code == "" {
		return day
	}
	return day + ", commit " + c.Code
}

// columns are the figures that any line has.
func (w Workload) columns() []figure {
	var columns []figure
	for _, f := range figures {
		for _, l := range w.Lines {
			if _, known := l.Figures[f.name]; known {
				columns = append(columns, f)
				break
			}
		}
	}
	return columns
}

// cells are a line of the table; the ratio stands behind the figure that it is of.
func (l Line) cells(columns []figure, base string) []string {
	cells := []string{l.Name, strconv.FormatInt(l.Records, 10)}
	for _, f := range columns {
		cell := "-"
		if s, known := l.Figures[f.name]; known {
			cell = s.text(f.decimals, f.unit)
		}
		cells = append(cells, cell)
		if f.name == base {
			ratio := "-"
			if l.OnhandRatio != nil && l.Name != Onhand {
				ratio = l.OnhandRatio.text(2, 1)
			}
			cells = append(cells, ratio)
		}
	}
	if l.Wrong {
		return append(cells, "WRONG")
	}
	return append(cells, "right")
}

func (w Workload) writeFaults(to io.Writer) error {
	for _, result := range w.Results {
		for _, fault := range result.Faults {
			if _, err := fmt.Fprintf(to, "%s, round %d: %s\n", result.Line, result.Round, fault); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeTargets leaves out what was not measured, and says how much that is.
func (r Report) writeTargets(w io.Writer) error {
	if _, err := fmt.Fprint(w, "\ntargets\n\n"); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "figure\tmust\taim\tmeasured\tverdict")
	missing := 0
	for _, target := range r.Targets {
		if target.Measured == nil {
			missing++
			continue
		}
		must, aim := target.bounds()
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", target.Figure, must, aim,
			target.Measured.text(target.decimals, 1), target.Verdict)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	fewest := fullEvents
	for _, workload := range r.Workloads {
		fewest = min(fewest, workload.Conditions.Events)
	}
	if fewest < fullEvents {
		const remark = "with fewer events than --full has: millions are up to %.1f times fewer too\n"
		_, err := fmt.Fprintf(w, remark, fullEvents/float64(max(fewest, 1)))
		if err != nil {
			return err
		}
	}
	if missing > 0 {
		_, err := fmt.Fprintf(w, "%d more were not measured in this run\n", missing)
		return err
	}
	return nil
}

// fullEvents is with how many events a run the targets are as their names say: the long backlog is ten times as much,
// a full inbox twenty times.
const fullEvents = 500_000

// bounds are what the figure must be and should be, for people.
func (t Target) bounds() (must, aim string) {
	sign, unit := ">=", t.Unit
	if t.AtMost {
		sign = "<="
	}
	if unit != "" && unit != "x" {
		unit = " " + unit
	}
	return fmt.Sprintf("%s %v%s", sign, t.Must, unit), fmt.Sprintf("%v%s", t.Aim, unit)
}

// text is s with that many decimals, in that unit; the ends are left out of a single reading.
func (s Spread) text(decimals int, unit float64) string {
	if s.Min == s.Max {
		return fmt.Sprintf("%.*f", decimals, s.Median/unit)
	}
	return fmt.Sprintf("%.*f (%.*f-%.*f)", decimals, s.Median/unit, decimals, s.Min/unit, decimals, s.Max/unit)
}
