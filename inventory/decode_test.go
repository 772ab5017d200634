package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
			row := exampleRow{got.ID, got.Tenant, got.Source, e.Lines[0].SKU, e.Lines[0].Location, e.Lines[0].Quantity}
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
	noon := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		value string
		want  Event
	}{
		{
			`{"id":"e","kind":"stock.sold","sku":"S","quantity":3}`,
			Event{Kind: Sold, Lines: []Line{{"S", "main", 3, AnyVersion}}},
		},
		{
			`{"reason":"r","if_version":0,"location":"north","quantity":-3,"sku":"S","kind":"stock.adjusted","id":"e"}`,
			Event{Kind: Adjusted, Lines: []Line{{"S", "north", -3, 0}}},
		},
		{
			`{"id":"e","kind":"stock.returned","sku":"S","quantity":3,"if_version":7}`,
			Event{Kind: Returned, Lines: []Line{{"S", "main", 3, 7}}},
		},
		{
			`{"id":"e","kind":"stock.counted","sku":"S","quantity":-0}`,
			Event{Kind: Counted, Lines: []Line{{"S", "main", 0, AnyVersion}}},
		},
		{`{"id":"e","kind":"sku.defined","sku":"S"}`, Event{Kind: Defined, Definition: &Definition{SKU: "S"}}},
		{
			`{"id":"e","kind":"sku.defined","sku":"S","backorder":"deny"}`,
			Event{Kind: Defined, Definition: &Definition{SKU: "S"}},
		},
		{
			`{"id":"e","kind":"sku.defined","sku":"S","backorder":"limit","backorder_limit":5}`,
			Event{Kind: Defined, Definition: &Definition{SKU: "S", Policy: Policy{Limit, 5}}},
		},
		{
			`{"id":"e","kind":"sku.defined","sku":"S","name":"Shirt, blue","unit":"piece","low_stock":0,
			  "bundle":[{"sku":"U","quantity":2},{"quantity":1,"sku":"T"}]}`,
			Event{Kind: Defined, Definition: &Definition{
				SKU: "S", Name: "Shirt, blue", Unit: "piece", LowStock: new(int64(0)), Bundle: []Part{{"T", 1}, {"U", 2}},
			}},
		},
		{
			`{"id":"e","kind":"stock.sold","location":"north","lines":[
			  {"sku":"T","quantity":2,"if_version":0},{"sku":"S","quantity":1,"location":"south"},
			  {"sku":"T","quantity":3},{"sku":"S","quantity":4}]}`,
			Event{Kind: Sold, Lines: []Line{{"S", "north", 4, AnyVersion}, {"S", "south", 1, AnyVersion}, {"T", "north", 5, 0}}},
		},
		{
			`{"id":"e","kind":"stock.adjusted","condition":"damaged","lines":[
			  {"sku":"S","quantity":9223372036854775807},{"sku":"S","quantity":1},{"sku":"S","quantity":-1}]}`,
			Event{Kind: Adjusted, Condition: Damaged, Lines: []Line{{"S", "main", math.MaxInt64, AnyVersion}}},
		},
		{
			`{"id":"e","kind":"stock.adjusted","condition":"sellable","lines":[
			  {"sku":"S","quantity":-9223372036854775808},{"sku":"S","quantity":-7},{"sku":"S","quantity":7}]}`,
			Event{Kind: Adjusted, Lines: []Line{{"S", "main", math.MinInt64, AnyVersion}}},
		},
		{
			`{"id":"e","kind":"stock.adjusted","lines":[{"sku":"S","quantity":-7},{"sku":"S","quantity":7}]}`,
			Event{Kind: Adjusted, Lines: []Line{{"S", "main", 0, AnyVersion}}},
		},
		{
			`{"id":"e","kind":"stock.counted","sku":"S","quantity":3,"counted_at":"2026-01-02T15:04:05Z"}`,
			Event{Kind: Counted, Lines: []Line{{"S", "main", 3, AnyVersion}}, CountedAt: noon},
		},
		{
			`{"id":"e","kind":"stock.reserved","reservation":"r","sku":"S","quantity":3,"ttl":2147483647}`,
			Event{
				Kind: Reserved, Lines: []Line{{"S", "main", 3, AnyVersion}}, Reservation: "r",
				Deadline: Deadline{After: math.MaxInt32},
			},
		},
		{
			`{"id":"e","kind":"stock.reserved","reservation":"r","expires_at":"2026-01-02T15:04:05Z"}`,
			Event{Kind: Reserved, Reservation: "r", Deadline: Deadline{At: noon}},
		},
		{`{"id":"e","kind":"stock.reserved","reservation":"r"}`, Event{Kind: Reserved, Reservation: "r"}},
		{`{"id":"e","kind":"stock.released","reservation":"r"}`, Event{Kind: Released, Reservation: "r"}},
		{
			`{"id":"e","kind":"stock.fulfilled","reservation":"r","lines":[{"sku":"S","quantity":3,"if_version":4}]}`,
			Event{Kind: Fulfilled, Reservation: "r", Lines: []Line{{"S", "main", 3, 4}}},
		},
		{
			`{"id":"e","kind":"stock.transferred","sku":"S","quantity":3,"to":"north","transfer":"t"}`,
			Event{Kind: Transferred, Lines: []Line{{"S", "main", 3, AnyVersion}}, To: "north", Transfer: "t"},
		},
		{
			`{"id":"e","kind":"stock.transfer_received","transfer":"t","lines":[
			  {"sku":"T","quantity":0},{"sku":"S","quantity":3}]}`,
			Event{
				Kind: TransferReceived, Transfer: "t", Lines: []Line{{"S", "", 3, AnyVersion}, {"T", "", 0, AnyVersion}},
			},
		},
		{`{"id":"e","kind":"stock.transfer_received","transfer":"t"}`, Event{Kind: TransferReceived, Transfer: "t"}},
	} {
		got, err := NewDecoder(DecoderConfig{}).Decode(&inbox.Record{Value: []byte(tt.value)})
		if err != nil {
			t.Errorf("%s: %v", tt.value, err)
			continue
		}
		e := *got.Body.(*Event)
		e.single = [1]Line{} // where a line lies does not matter
		if !reflect.DeepEqual(e, tt.want) {
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
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S","quantity":1},{"sku":"S","quantity": |0}]}`,
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S","quantity":1}, |{"quantity":1}]}`,
		`{"id":"e","kind":"stock.sold","lines": |[]}`,
		`{"id":"e","kind":"stock.sold","lines": |[{"sku":"S","quantity":1}],"sku":"S"}`,
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S","quantity":1},|"S"]}`,
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S",|"Quantity":1}]}`,
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S","quantity":1,"if_version":|"1"}]}`,
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S","quantity":1,"note":tru|}]}`,
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S","quantity":1,|"sku":"T"}]}`,
		`{"id":"e","kind":"stock.sold","lines":[{"sku":"S","quantity":1}|`,
		`{"id":"e","kind":"stock.transferred","to":"a","lines":[{"sku":"S","quantity":1,"location":|"a"}]}`,
		`{"id":"e","kind":"stock.transferred","to": |"main","lines":[{"sku":"S","quantity":1}]}`,
		`{"id":"e","kind":"sku.defined","sku":"S","bundle":[{"sku": |"S","quantity":1}]}`,
		`{"id":"e","lines":[{"a":` + strings.Repeat("[", 29) + `|[`,
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
	if body := e.Body.(*Event); e.ID != "event" || body.Lines[0].SKU != "SKU" || body.Lines[0].Location != "north" {
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
	type line struct {
		SKU      string      `json:"sku"`
		Quantity json.Number `json:"quantity"`
	}
	var want struct {
		line

		ID     string `json:"id"`
		Kind   string `json:"kind"`
		Tenant string `json:"tenant"`
		Source string `json:"source"`
		Lines  []line `json:"lines"`
	}
	if err := json.Unmarshal(value, &want); err != nil {
		t.Fatalf("accepted what encoding/json refuses: %v", err)
	}
	body := e.Body.(*Event)
	if e.ID != want.ID || e.Tenant != want.Tenant || e.Source != want.Source || body.Kind.String() != want.Kind {
		t.Fatalf("got %+v %+v, want %+v", e, body, want)
	}
	sums := make(map[string]int64) // they wrap around alike, however lines are added up
	for _, l := range body.Lines {
		sums[l.SKU] += l.Quantity
	}
	lines := want.Lines
	if lines == nil && want.SKU != "" && body.Kind != Defined {
		lines = []line{want.line}
	}
	for _, l := range lines {
		n, err := l.Quantity.Int64()
		if _, there := sums[l.SKU]; err != nil || !there {
			t.Fatalf("got lines %+v, want %+v", body.Lines, lines)
		}
		sums[l.SKU] -= n
	}
	for sku, rest := range sums {
		if rest != 0 {
			t.Fatalf("%q: got lines %+v, want %+v", sku, body.Lines, lines)
		}
	}
	checkWhole(t, e, body)
}

// checkWhole holds an event against what whoever applies it relies on.
func checkWhole(t *testing.T, e inbox.Event, body *Event) {
	t.Helper()
	names := []string{e.ID}
	if body.Kind == Defined {
		names = append(names, body.Definition.SKU)
	} else if body.Definition != nil || len(body.Lines) == 0 && body.Kind.needsLines() {
		t.Fatalf("%+v", body)
	}
	for i, l := range body.Lines {
		names = append(names, l.SKU)
		if i > 0 && body.Lines[i-1].compare(l) >= 0 {
			t.Fatalf("lines %+v are not in order, each once", body.Lines)
		}
		if l.IfVersion < AnyVersion || (l.Location == "") != (body.Kind == TransferReceived) ||
			body.Kind == Transferred && l.Location == body.To {
			t.Fatalf("line %+v of %+v", l, body)
		}
	}
	for _, name := range names {
		if name == "" || len(name) > maxNameBytes || strings.ContainsRune(name, 0) || !utf8.ValidString(name) {
			t.Fatalf("%q is not a name", name)
		}
	}
	if e.Fingerprint>>56 != fingerprintVersion {
		t.Fatalf("fingerprint %x", e.Fingerprint)
	}
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
