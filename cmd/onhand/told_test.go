package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"onhand/internal/testenv"
	"onhand/inventory/schemas"
)

// A shop sells until little is left, sells the rest, asks for more than there is, and gets a delivery: who reads the
// outgoing topic hears of each, once, in order, as the schemas say.
func TestAShopThatSellsBelowItsThresholdHearsOfIt(t *testing.T) {
	t.Parallel()
	p := &publishing{t: t, url: testenv.Database(t), topic: testenv.Topic(t, 1), changes: testenv.Topic(t, 1)}
	p.pool = connect(t, p.url)
	p.start()
	// Each in a batch of its own, then all at once under another name: how they are cut changes nothing.
	shop := func(sku string) []string {
		return []string{
			`{"id":"1` + sku + `","kind":"sku.defined","sku":"` + sku + `","low_stock":3}`,
			`{"id":"2` + sku + `","kind":"stock.received","sku":"` + sku + `","quantity":10}`,
			`{"id":"3` + sku + `","kind":"stock.sold","sku":"` + sku + `","quantity":6}`,
			`{"id":"4` + sku + `","kind":"stock.sold","sku":"` + sku + `","quantity":1}`,
			`{"id":"5` + sku + `","kind":"stock.sold","sku":"` + sku + `","quantity":1}`,
			`{"id":"6` + sku + `","kind":"stock.sold","sku":"` + sku + `","quantity":2}`,
			`{"id":"7` + sku + `","kind":"stock.sold","sku":"` + sku + `","quantity":1}`,
			`{"id":"8` + sku + `","kind":"stock.received","sku":"` + sku + `","quantity":3}`,
			`{"id":"9` + sku + `","kind":"stock.received","sku":"` + sku + `","quantity":1}`,
		}
	}
	want := []string{
		"stock.changed 10", "stock.changed 4", "stock.changed 3", "stock.low 3", "stock.changed 2", "stock.changed 0",
		"stock.depleted 0", "stock.rejected 0", "stock.changed 3", "stock.changed 4", "stock.restored 4",
	}
	for i, event := range shop("A") {
		produce(t, p.topic, []string{event})
		testenv.Eventually(t, waitingTime, "the event is decided", func() bool {
			return query[int](t, p.pool, `select coalesce(sum(next), 0)::int from offsets`) == i+1
		})
	}
	produce(t, p.topic, shop("B"))
	testenv.Eventually(t, waitingTime, "all is decided, and told", func() bool {
		return query[bool](t, p.pool, `select coalesce(sum(next), 0) = 18
		  and (select done >= (select max(id) from outbox) from outbox_relay) from offsets`)
	})

	heard := make(map[string][]string)
	for _, payload := range p.seen() {
		suitsSchema(t, payload)
		var m struct {
			Kind      string      `json:"kind"`
			SKU       string      `json:"sku"`
			Available json.Number `json:"available"`
		}
		if err := json.Unmarshal([]byte(payload), &m); err != nil {
			t.Fatal(err)
		}
		heard[m.SKU] = append(heard[m.SKU], m.Kind+" "+m.Available.String())
	}
	for _, sku := range []string{"A", "B"} {
		if !slices.Equal(heard[sku], want) {
			t.Errorf("of %s is told %q, want %q", sku, heard[sku], want)
		}
	}
	command(t, "verify", "--database-url", p.url, p.brokers(), "--outbox").
		expect(t, exitDone, "8 messages beside these", "OK")
}

// suitsSchema holds a message against the schema of its kind.
func suitsSchema(t *testing.T, payload string) {
	t.Helper()
	message, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(payload)))
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := message.(map[string]any)["kind"].(string)
	text, ok := schemas.Of(kind)
	if !ok {
		t.Fatalf("%s has no schema", payload)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(kind, document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(message); err != nil {
		t.Errorf("%s: %v", payload, err)
	}
}
