package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"onhand/inventory"
	"onhand/inventory/schemas"
)

// docs/events.md is held against the code: every kind, each with its fields, and every reason.

func TestTheListOfEventsHasEveryKindWithItsFieldsAndItsReasons(t *testing.T) {
	t.Parallel()
	events := document(t, "docs/events.md")
	rejected := make(map[string]bool)
	for _, c := range inventory.RejectCodes() {
		rejected[c.Name] = false
	}
	for kind := inventory.Received; kind <= inventory.Defined; kind++ {
		row := regexp.MustCompile(`(?m)^\| ` + "`" + kind.String() + "`" + ` \|.*$`).FindString(events)
		cells := strings.Split(row, "|")
		if len(cells) != 9 {
			t.Errorf("%s: the row is %q", kind, row)
			continue
		}
		for _, field := range fieldsOf(t, kind.String()) {
			if !strings.Contains(cells[2], "`"+field+"`") {
				t.Errorf("%s: no %s in %q", kind, field, cells[2])
			}
		}
		for _, match := range regexp.MustCompile("`([a-z]+_[a-z_]+)`").FindAllStringSubmatch(cells[7], -1) {
			if _, known := rejected[match[1]]; !known && match[1] != "counted_at" {
				t.Errorf("%s is rejected as %s, which is no reason", kind, match[1])
			}
			rejected[match[1]] = true
		}
	}
	for reason, named := range rejected {
		if !named && reason != "version_mismatch" && reason != "overflow" { // those are of all kinds
			t.Errorf("nothing is rejected as %s", reason)
		}
	}
}

// fieldsOf are the fields that kind has beside those of every event, and of a line.
func fieldsOf(t *testing.T, kind string) (names []string) {
	t.Helper()
	text, _ := schemas.Of(kind)
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	everywhere := []string{
		"id", "kind", "source", "tenant", "time", "reason", "sku", "quantity", "location", "if_version", "lines",
	}
	for name, allowed := range schema.Properties {
		if allowed != false && !slices.Contains(everywhere, name) {
			names = append(names, name)
		}
	}
	return names
}

func TestTheListOfEventsHasEveryReasonWithItsMeaning(t *testing.T) {
	t.Parallel()
	_, rest, _ := strings.Cut(document(t, "docs/events.md"), "\n## Why events are rejected\n")
	rejections, parkings, _ := strings.Cut(rest, "\n## Why records are parked\n")
	for section, codes := range map[string][]inventory.Code{
		rejections: inventory.RejectCodes(), parkings: inventory.ParkCodes(),
	} {
		var got, want []string
		for line := range strings.Lines(section) {
			if strings.HasPrefix(line, "| `") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		for _, c := range codes {
			want = append(want, fmt.Sprintf("| `%s` | %s |", c.Name, c.Meaning))
		}
		for _, row := range want {
			if !slices.Contains(got, row) {
				t.Errorf("missing: %s", row)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d reasons, want %d", len(got), len(want))
		}
	}
}

func TestTheListOfEventsHasExamplesThatAreReadAsTheyStand(t *testing.T) {
	t.Parallel()
	readExamples(t, "docs/events.md", 8)
	if !strings.Contains(document(t, "README.md"), "](docs/events.md)") {
		t.Error("the README does not lead there")
	}
}
