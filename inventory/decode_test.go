package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"onhand/inbox"
)

func TestEveryBadRecordIsParkedUnderItsOwnReason(t *testing.T) {
	t.Parallel()
	d := NewDecoder(DecoderConfig{})
	for _, bad := range examples(t, "bad.json") {
		t.Run(bad.Name, func(t *testing.T) {
			t.Parallel()
			r := bad.record()
			_, err := d.Decode(r)
			var refusal *inbox.Refusal
			if !errors.As(err, &refusal) || !refusal.Parked {
				t.Fatalf("got %v, want it parked as %s", err, bad.Reason)
			}
			if refusal.Code != bad.Reason {
				t.Errorf("parked as %v at %d, want %s", refusal, refusal.Position, bad.Reason)
			}
			if refusal.Position < -1 || refusal.Position > len(r.Value) {
				t.Errorf("position %d in a value of %d bytes", refusal.Position, len(r.Value))
			}
			if strings.IndexFunc(refusal.Detail, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
				t.Errorf("detail %q is not printable ASCII", refusal.Detail)
			}
		})
	}
}

func TestEveryReasonToParkHasABadRecord(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, bad := range examples(t, "bad.json") {
		seen[bad.Reason] = true
	}
	listed := make(map[string]bool)
	for _, c := range ParkCodes() {
		if listed[c.Name] {
			t.Errorf("%s is listed twice", c.Name)
		}
		listed[c.Name] = true
		if !seen[c.Name] {
			t.Errorf("no bad record for %s", c.Name)
		}
	}
	for code := range seen {
		if !listed[code] {
			t.Errorf("%s is not listed", code)
		}
	}
	if len(listed) < 40 {
		t.Errorf("only %d reasons", len(listed))
	}
}

func TestRecordsThatLookBadAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	d := NewDecoder(DecoderConfig{})
	for _, good := range examples(t, "good.json") {
		t.Run(good.Name, func(t *testing.T) {
			t.Parallel()
			got, err := d.Decode(good.record())
			if err != nil {
				t.Fatal(err)
			}
			e := got.Body.(*Event)
			row := exampleRow{got.ID, got.Tenant, got.Source, e.SKU, e.Line.Location, e.Line.Quantity}
			want := good.Want
			want.ID, want.SKU = good.filled(want.ID), good.filled(want.SKU)
			if row != want {
				t.Errorf("got %+v, want %+v", row, want)
			}
		})
	}
}

func TestAnEventIsReadWhole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value string
		want  Event
	}{
		{
			`{"id":"e","kind":"stock.sold","sku":"S","quantity":3}`,
			Event{Kind: Sold, SKU: "S", Line: Line{Location: "main", Quantity: 3, IfVersion: AnyVersion}},
		},
		{
			`{"reason":"r","if_version":0,"location":"north","quantity":-3,"sku":"S","kind":"stock.adjusted","id":"e"}`,
			Event{Kind: Adjusted, SKU: "S", Line: Line{Location: "north", Quantity: -3}},
		},
		{
			`{"id":"e","kind":"stock.returned","sku":"S","quantity":3,"if_version":7}`,
			Event{Kind: Returned, SKU: "S", Line: Line{Location: "main", Quantity: 3, IfVersion: 7}},
		},
		{
			`{"id":"e","kind":"stock.counted","sku":"S","quantity":-0}`,
			Event{Kind: Counted, SKU: "S", Line: Line{Location: "main", IfVersion: AnyVersion}},
		},
		{`{"id":"e","kind":"sku.defined","sku":"S"}`, Event{Kind: Defined, SKU: "S"}},
		{`{"id":"e","kind":"sku.defined","sku":"S","backorder":"deny"}`, Event{Kind: Defined, SKU: "S"}},
		{
			`{"id":"e","kind":"sku.defined","sku":"S","backorder":"limit","backorder_limit":5}`,
			Event{Kind: Defined, SKU: "S", Policy: Policy{Limit, 5}},
		},
	} {
		got, err := NewDecoder(DecoderConfig{}).Decode(&inbox.Record{Value: []byte(tt.value)})
		if err != nil {
			t.Errorf("%s: %v", tt.value, err)
			continue
		}
		if *got.Body.(*Event) != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.value, got.Body, tt.want)
		}
	}
}

func TestTheTimeOfAnEventIsItsOwn(t *testing.T) {
	t.Parallel()
	value := `{"id":"e","kind":"stock.sold","sku":"S","quantity":3,"time":"2026-01-02T15:04:05.5+01:00"}`
	got, err := NewDecoder(DecoderConfig{}).Decode(&inbox.Record{Value: []byte(value)})
	if want := time.Date(2026, 1, 2, 14, 4, 5, 5e8, time.UTC); err != nil || !got.Time.Equal(want) {
		t.Errorf("got %v, %v, want %v", got.Time, err, want)
	}
}

func TestUnknownKindsAreIgnoredIfTheOperatorSaysSo(t *testing.T) {
	t.Parallel()
	d := NewDecoder(DecoderConfig{IgnoreUnknownKinds: true})
	for value, want := range map[string]string{
		`{"id":"e","kind":"order.placed","ID":3,"quantity":"many"}`: "",
		`{"id":"e","kind":"order.placed","id":"f"}`:                 "duplicate_key",
		`{"id":"e","kind":"order.placed"`:                           "not_json",
		`{"id":"e"}`:                                                "missing_kind",
	} {
		_, err := d.Decode(&inbox.Record{Value: []byte(value)})
		var refusal *inbox.Refusal
		switch {
		case want == "" && !errors.Is(err, inbox.ErrIgnored):
			t.Errorf("%s: %v, want it ignored", value, err)
		case want != "" && (!errors.As(err, &refusal) || refusal.Code != want):
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
}

func TestTheBoundOnValuesIsTheOperators(t *testing.T) {
	t.Parallel()
	value := []byte(`{"id":"e","kind":"stock.sold","sku":"S","quantity":3}`)
	for bound, fits := range map[int]bool{len(value): true, len(value) - 1: false} {
		_, err := NewDecoder(DecoderConfig{MaxRecordBytes: bound}).Decode(&inbox.Record{Value: value})
		if (err == nil) != fits {
			t.Errorf("a value of %d bytes under a bound of %d: %v", len(value), bound, err)
		}
	}
}

func TestThePositionIsWhereReadingStopped(t *testing.T) {
	t.Parallel()
	d := NewDecoder(DecoderConfig{})
	// The bar marks the byte, and is taken out.
	for _, marked := range []string{
		`{"id":"e","kind":"stock.sold","sku":"S","quantity": |"3"}`,
		`{"id":"e","kind":"stock.sold","sku": |{"a":{}},"quantity":3}`,
		`{"id":"e","kind":|"stock.lost","sku":"S","quantity":3}`,
		`{"id":"e","kind":"stock.sold",|"SKU":"S","quantity":3}`,
		`{"id":"e","kind":"stock.sold",|"id":"S","quantity":3}`,
		`{"id":"e","kind":"stock.sold","sku":"S","quantity":3} |x`,
		`{"id":"e","kind":"stock.sold","sku":"S","quantity":3|`,
		`{"id":"e","kind":"stock.sold","sku":"S","quantity":0|3}`,
		`{"id":"e","kind":"stock.sold","sku":"|` + "\xff" + `","quantity":3}`,
		`{"id":"e","a":` + strings.Repeat("[", 31) + `|[`,
	} {
		want := strings.Index(marked, "|")
		value := strings.Replace(marked, "|", "", 1)
		_, err := d.Decode(&inbox.Record{Value: []byte(value)})
		var refusal *inbox.Refusal
		if !errors.As(err, &refusal) || refusal.Position != want {
			t.Errorf("%q: %v at %d, want %d", value, err, refusal.Position, want)
		}
	}
}

func TestADecoderKeepsNothingOfARecord(t *testing.T) {
	t.Parallel()
	value := []byte(`{"id":"event","kind":"stock.sold","sku":"SKU","quantity":3,"location":"north"}`)
	e, err := NewDecoder(DecoderConfig{}).Decode(&inbox.Record{Value: value})
	if err != nil {
		t.Fatal(err)
	}
	copy(value, bytes.Repeat([]byte("x"), len(value)))
	if body := e.Body.(*Event); e.ID != "event" || body.SKU != "SKU" || body.Line.Location != "north" {
		t.Errorf("the event changed with the record's bytes: %+v %+v", e, body)
	}
}

func FuzzDecode(f *testing.F) {
	for _, file := range []string{"bad.json", "good.json"} {
		for _, e := range examples(f, file) {
			if v := e.record().Value; len(v) < 4096 {
				f.Add(v)
			}
		}
	}
	d := NewDecoder(DecoderConfig{})
	known := make(map[string]bool)
	for _, c := range ParkCodes() {
		known[c.Name] = true
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := d.Decode(&inbox.Record{Value: value})
		if err == nil {
			checkDecoded(t, value, e)
			return
		}
		var refusal *inbox.Refusal
		if !errors.As(err, &refusal) || !known[refusal.Code] || !refusal.Parked {
			t.Fatalf("refused with %v", err)
		}
		if refusal.Position < -1 || refusal.Position > len(value) {
			t.Fatalf("%v at %d of %d", refusal, refusal.Position, len(value))
		}
	})
}

// checkDecoded holds what was read of value against what the standard library, told to be strict, reads there.
func checkDecoded(t *testing.T, value []byte, e inbox.Event) {
	t.Helper()
	var want struct {
		ID       string      `json:"id"`
		Kind     string      `json:"kind"`
		SKU      string      `json:"sku"`
		Quantity json.Number `json:"quantity"`
		Tenant   string      `json:"tenant"`
		Source   string      `json:"source"`
	}
	if err := json.Unmarshal(value, &want); err != nil {
		t.Fatalf("accepted what encoding/json refuses: %v", err)
	}
	body := e.Body.(*Event)
	if e.ID != want.ID || e.Tenant != want.Tenant || e.Source != want.Source || body.SKU != want.SKU ||
		body.Kind.String() != want.Kind {
		t.Fatalf("got %+v %+v, want %+v", e, body, want)
	}
	if n, err := want.Quantity.Int64(); body.Kind != Defined && (err != nil || n != body.Line.Quantity) {
		t.Fatalf("got quantity %d, want %s", body.Line.Quantity, want.Quantity)
	}
	for _, name := range []string{e.ID, body.SKU} {
		if name == "" || len(name) > maxNameBytes || strings.ContainsRune(name, 0) {
			t.Fatalf("%q is not a name", name)
		}
	}
	again := fmt.Appendf(nil, `{"id":%s,"kind":%s,"sku":%s}`, jsonText(t, e.ID), jsonText(t, body.Kind.String()),
		jsonText(t, body.SKU))
	if !json.Valid(again) {
		t.Fatalf("%s is not JSON", again)
	}
	if e.Fingerprint>>56 != fingerprintVersion {
		t.Fatalf("fingerprint %x", e.Fingerprint)
	}
}

func jsonText(t *testing.T, s string) []byte {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func BenchmarkDecode(b *testing.B) {
	value := []byte(`{"id":"0190f5c2-7c1e-7cc4-8d6a-2f4b7a1c9e55","kind":"stock.sold","sku":"SKU-0001234",` +
		`"quantity":3,"location":"warehouse-1","time":"2025-11-23T15:04:05.123Z","source":"shop-eu"}`)
	r := &inbox.Record{Value: value}
	d := NewDecoder(DecoderConfig{})
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(r); err != nil {
			b.Fatal(err)
		}
	}
}
