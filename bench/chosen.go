package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"onhand/bench/internal/report"
)

// chosen returns the workloads that names ask for. Without names these are all of them, or the quick ones, some of which
// play fewer rounds then. What one of them needs to be measured before is not added: it is measured then, briefly.
func chosen(all []workload, names []string, full bool) ([]workload, error) {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(w workload) bool { return w.name == name }) {
			return nil, fmt.Errorf("there is no workload %q", name)
		}
	}
	for i := range all {
		if full || len(names) > 0 {
			all[i].rounds = 0
		}
	}
	return slices.DeleteFunc(all, func(w workload) bool {
		if len(names) > 0 {
			return !slices.Contains(names, w.name)
		}
		return !full && !w.quick
	}), nil
}

func namesOf(all []workload) []string {
	names := make([]string, len(all))
	for i, w := range all {
		names[i] = w.name
	}
	return names
}

// among leaves out the lines of contestants that names do not ask for, and workloads without any line then. floor means
// each size of it; no names mean everybody.
func among(all []workload, names []string) ([]workload, error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		known := func(c contestant) bool { return c.name == name }
		if name != report.Floor && !slices.ContainsFunc(everybody(), known) {
			return nil, fmt.Errorf("there is no contestant %q", name)
		}
	}
	wanted := func(l line) bool {
		isFloor := strings.HasPrefix(l.contestant, report.FloorPrefix)
		return slices.Contains(names, l.contestant) || isFloor && slices.Contains(names, report.Floor)
	}
	unwanted := func(l line) bool { return !wanted(l) }
	for i := range all {
		all[i].lines = slices.DeleteFunc(all[i].lines, unwanted)
	}
	return slices.DeleteFunc(all, func(w workload) bool { return len(w.lines) == 0 }), nil
}

// listCmd shows what --workload takes.
type listCmd struct{}

// Run writes a line a workload.
func (listCmd) Run(s *streams) error {
	t := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	for _, w := range workloads((&measureCmd{}).sizes()) {
		when := "--full"
		if w.quick {
			when = "default"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", w.name, when, w.about)
	}
	return t.Flush()
}
