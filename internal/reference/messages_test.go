package reference

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is told, by a shop that sells all it has and more.
func TestEverythingIsTold(t *testing.T) {
	t.Parallel()
	i := New()
	for n, event := range []string{
		`"kind":"sku.defined","sku":"A","low_stock":3`,
		move("received", "A", 10),
		move("sold", "A", 7),
		move("sold", "A", 4),
		move("sold", "A", 3),
		move("received", "A", 3),
		move("received", "A", 5),
		move("reserved", "A", 6) + reservation,
		move("counted", "A", 5),
		move("counted", "A", 4),
		move("received", "B", 1),
		move("counted", "B", 0),
		move("received", "B", 1),
		`"kind":"stock.released","reservation":"nobody's"`,
	} {
		now := at("12:00:00").Add(time.Duration(n) * time.Second)
		if _, err := i.Apply(Record{Partition{"t", 0}, now, []byte(withID(event, n))}); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	for _, m := range i.Messages {
		what := strings.TrimPrefix(m.Kind, "stock.") + " " + m.Key
		if m.Available != nil {
			what += fmt.Sprint(" ", *m.Available)
		}
		told = append(told, strings.TrimSpace(what+" "+m.Reason))
	}
	want := []string{
		"changed A 10",
		"changed A 3", "low A 3",
		"rejected A 3 insufficient_stock",
		"changed A 0", "depleted A 0",
		"changed A 3",
		"changed A 8", "restored A 8",
		"changed A 2", "low A 2",
		"changed A -1", "depleted A -1", "overcommitted A -1",
		"changed A -2",
		"changed B 1", // nothing was ever there
		"changed B 0", "depleted B 0",
		"changed B 1", "restored B 1",
		"rejected nobody's unknown_reservation",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	rejected, err := json.Marshal(i.Messages[3])
	if err != nil || !strings.Contains(string(rejected), `"quantity":4`) {
		t.Errorf("of what was asked for is told %s (%v)", rejected, err)
	}
}
