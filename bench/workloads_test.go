package main

import (
	"slices"
	"testing"

	"onhand/bench/internal/report"
)

func someSizes() sizes { return sizes{events: 1000, short: 120, seconds: 1} }

func TestEveryWorkloadAsksAboutOnhandWithKnownContestants(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, w := range workloads(someSizes()) {
		if w.name == "" || w.about == "" || seen[w.name] {
			t.Errorf("%+v: no name, no text, or twice", w)
		}
		seen[w.name] = true
		lines := map[string]bool{}
		for _, l := range w.lines {
			known := func(c contestant) bool { return c.name == l.contestant }
			if !slices.ContainsFunc(everybody(), known) || lines[l.name] || l.records < 1 && !l.open() {
				t.Errorf("%s: %+v", w.name, l)
			}
			lines[l.name] = true
		}
		if !lines[report.Onhand] {
			t.Errorf("%s says nothing about onhand", w.name)
		}
	}
}

func TestEveryTargetHasItsWorkloadAndItsLine(t *testing.T) {
	t.Parallel()
	all := workloads(someSizes())
	for _, goal := range report.Asks() {
		i := slices.IndexFunc(all, func(w workload) bool { return w.name == goal.Workload })
		if i < 0 {
			t.Errorf("nothing measures %q", goal.Workload)
			continue
		}
		isIt := func(l line) bool { return l.name == goal.Line }
		if goal.Line != report.Floor && !slices.ContainsFunc(all[i].lines, isIt) {
			t.Errorf("%s has no line %q", goal.Workload, goal.Line)
		}
	}
}

func TestAShopsWorkloadsFindStockAndPlayOneRoundUnlessAskedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		names  []string
		full   bool
		rounds int
	}{{nil, false, 1}, {nil, true, 0}, {[]string{"orders", "reservations"}, false, 0}} {
		ws, err := chosen(workloads(someSizes()), tt.names, tt.full)
		if err != nil {
			t.Fatal(err)
		}
		shops := slices.DeleteFunc(ws, func(w workload) bool { return !w.lines[0].shape.OfShop() })
		if !slices.Equal(names(shops), []string{"orders", "reservations"}) {
			t.Fatalf("%v, full %t: %v", tt.names, tt.full, names(shops))
		}
		for _, w := range shops {
			if w.rounds != tt.rounds || len(w.lines) != 4 {
				t.Errorf("%v, full %t: %s in %d rounds, %d lines", tt.names, tt.full, w.name, w.rounds, len(w.lines))
			}
			for _, l := range w.lines {
				if l.prefill.SKUs != l.shape.SKUs || l.prefill.Backorder == (l.name == report.Onhand) {
					t.Errorf("%s, %s: %+v", w.name, l.name, l.prefill)
				}
			}
		}
	}
}

func names(ws []workload) []string {
	var all []string
	for _, w := range ws {
		all = append(all, w.name)
	}
	return all
}

func TestWorkloadsAndContestantsCanBeChosen(t *testing.T) {
	t.Parallel()
	all := len(workloads(someSizes()))
	for _, tt := range []struct {
		names []string
		full  bool
		want  int
	}{{nil, true, all}, {nil, false, 10}, {[]string{"drain", "zipf"}, false, 2}, {[]string{"drain"}, true, 1}} {
		ws, err := chosen(workloads(someSizes()), tt.names, tt.full)
		if err != nil || len(ws) != tt.want {
			t.Errorf("%v, full %t: %v, %v", tt.names, tt.full, names(ws), err)
		}
	}
	if _, err := chosen(workloads(someSizes()), []string{"drian"}, false); err == nil {
		t.Error("a workload that is misspelt is let through")
	}
	ws, err := among(workloads(someSizes()), []string{"floor", "textbook"})
	want := []string{
		"headline", "one-sku", "skus-1m", "orders", "reservations", "growth-v4", "drain", "drain-wal", "latency-500", "wire",
	}
	if err != nil || !slices.Equal(names(ws), want) {
		t.Errorf("%v, %v", names(ws), err)
	}
	if lines := ws[0].lines; len(lines) != 4 || lines[0].name != "floor-1" || lines[3].name != "textbook" {
		t.Errorf("%+v", ws[0].lines)
	}
	if _, err := among(ws, []string{"flor"}); err == nil {
		t.Error("a contestant that is misspelt is let through")
	}
}
