package inventory

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"onhand/inbox"
)

// example is one record of testdata (README.md there says how to read it).
type example struct {
	Name        string          `json:"name"`
	Headers     []exampleHeader `json:"headers"`
	Value       *string         `json:"value"`
	ValueBase64 []byte          `json:"value_base64"`
	Fill        string          `json:"fill"`
	Times       int             `json:"times"`
	Reason      string          `json:"reason"`
	Want        exampleRow      `json:"want"`
}

type exampleHeader struct {
	Key         string  `json:"key"`
	KeyBase64   []byte  `json:"key_base64"`
	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"value_base64"`
}

type exampleRow struct {
	ID       string `json:"id"`
	Tenant   string `json:"tenant"`
	Source   string `json:"source"`
	SKU      string `json:"sku"`
	Location string `json:"location"`
	OnHand   int64  `json:"on_hand"`
}

func examples(t testing.TB, file string) []example {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var es []example
	if err := json.Unmarshal(b, &es); err != nil {
		t.Fatalf("read %s: %v", file, err)
	}
	return es
}

func (e example) filled(s string) string {
	return strings.ReplaceAll(s, "<FILL>", strings.Repeat(e.Fill, e.Times))
}

func (e example) record() *inbox.Record {
	r := &inbox.Record{Topic: "inventory.events", Offset: 7, Timestamp: time.Unix(1_700_000_000, 0)}
	switch {
	case e.ValueBase64 != nil:
		r.Value = e.ValueBase64
	case e.Value != nil:
		r.Value = []byte(e.filled(*e.Value))
	}
	for _, h := range e.Headers {
		header := inbox.Header{Key: []byte(h.Key), Value: h.ValueBase64}
		if h.KeyBase64 != nil {
			header.Key = h.KeyBase64
		}
		if h.Value != nil {
			header.Value = []byte(*h.Value)
		}
		r.Headers = append(r.Headers, header)
	}
	return r
}
