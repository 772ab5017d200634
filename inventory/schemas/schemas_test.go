package schemas_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"onhand/inbox"
	"onhand/inventory"
	"onhand/inventory/schemas"
)

// beyondSchemas are the reasons for which the decoder parks events of the short form that no schema can refuse: it sees
// bytes where a schema sees values, adds lines up, and compares one field with another.
var beyondSchemas = []string{
	"invalid_utf8", "lone_surrogate", "duplicate_key", "too_deep", "misspelt_field",
	"if_version_conflict", "same_location", "bad_bundle",
	"quantity_not_integer", "if_version_not_integer", "backorder_limit_not_integer", "ttl_not_integer",
	"low_stock_not_integer", "quantity_out_of_range",
	"bad_counted_at", "bad_expires_at", // the first moment of the year 1 stands for none
	"id_too_long", "source_too_long", "tenant_too_long", "sku_too_long", "location_too_long", "reason_too_long",
	"reservation_too_long", "to_too_long", "transfer_too_long", "name_too_long", "unit_too_long",
}

// messages are what is published; the other kinds are read.
var messages = []string{
	"stock.changed", "stock.low", "stock.depleted", "stock.restored", "stock.overcommitted", "stock.rejected",
}

func TestEveryKindHasASchemaAndEverySchemaAKind(t *testing.T) {
	t.Parallel()
	want := slices.Clone(messages)
	for k := inventory.Received; k <= inventory.Defined; k++ {
		want = append(want, k.String())
	}
	slices.Sort(want)
	if got := schemas.Kinds(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, ok := schemas.Of("order.placed"); ok {
		t.Error("a schema of a kind that is not ours")
	}
	for kind := range compiled(t) {
		if read := document(t, kind); read["title"] != kind ||
			read["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s: title %v, of %v", kind, read["title"], read["$schema"])
		}
	}
}

// A field that several kinds have is the same in all of them; only the bounds of a quantity are not.
func TestSchemasSayTheSameOfTheSameField(t *testing.T) {
	t.Parallel()
	first := make(map[string]any)
	for _, kind := range schemas.Kinds() {
		if slices.Contains(messages, kind) {
			continue
		}
		properties, ok := document(t, kind)["properties"].(map[string]any)
		if !ok || len(properties) != 24 {
			t.Errorf("%s judges %d fields", kind, len(properties))
		}
		for name, of := range properties {
			switch {
			case of == false || slices.Contains([]string{"kind", "quantity", "transfer"}, name):
			case first[name] == nil:
				first[name] = of
			case !reflect.DeepEqual(of, first[name]):
				t.Errorf("%s.%s: %v, and %v elsewhere", kind, name, of, first[name])
			}
		}
	}
}

func TestSchemasJudgeTheExamplesAsTheDecoderDoes(t *testing.T) {
	t.Parallel()
	of := compiled(t)
	for _, e := range examples(t, "good.json") {
		if kind, value := kindOf(e.value()); of[kind] != nil {
			if err := of[kind].Validate(value); err != nil {
				t.Errorf("%s: %v", e.Name, err)
			}
		}
	}
	refused := 0
	for _, e := range examples(t, "bad.json") {
		kind, value := kindOf(e.value())
		if of[kind] == nil || len(e.Headers) > 0 || e.Times > 1<<16 {
			continue // not of a kind, not of the short form, or only too large
		}
		switch err := of[kind].Validate(value); {
		case err != nil:
			refused++
		case !slices.Contains(beyondSchemas, e.Reason):
			t.Errorf("%s: the schema takes it", e.Name)
		}
	}
	if refused < 100 {
		t.Errorf("the schemas refuse %d of the bad examples", refused)
	}
}

// base is a right event of each kind; the test below changes it.
var base = map[string]string{
	"stock.received":          `{"sku":"S","quantity":1}`,
	"stock.sold":              `{"lines":[{"sku":"S","quantity":1}]}`,
	"stock.returned":          `{"sku":"S","quantity":1,"condition":"damaged"}`,
	"stock.adjusted":          `{"sku":"S","quantity":-1,"location":"north"}`,
	"stock.counted":           `{"sku":"S","quantity":0,"counted_at":"2026-01-02T15:04:05Z"}`,
	"stock.reserved":          `{"sku":"S","quantity":1,"reservation":"r","ttl":60}`,
	"stock.released":          `{"reservation":"r"}`,
	"stock.fulfilled":         `{"reservation":"r","lines":[{"sku":"S","quantity":1}]}`,
	"stock.transferred":       `{"sku":"S","quantity":1,"to":"north"}`,
	"stock.transfer_received": `{"transfer":"t","sku":"S","quantity":0}`,
	"sku.defined":             `{"sku":"S","backorder":"limit","backorder_limit":5}`,
}

// values are what the test below puts anywhere.
var values = []string{
	`null`, `true`, `""`, `"S"`, `"main"`, `"north"`, `"a\u0000"`, `"onhand:x"`, `"damaged"`, `"limit"`, `"allow"`,
	`"` + strings.Repeat("x", 32) + `"`, `"` + strings.Repeat("x", 33) + `"`, `"` + strings.Repeat("x", 256) + `"`,
	`"` + strings.Repeat("é", 200) + `"`, `"` + strings.Repeat("x", 1025) + `"`,
	`0`, `1`, `-1`, `7`, `2147483647`, `2147483648`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`,
	`1.5`, `3.0`, `1e2`, `-0`,
	`"2026-01-02T15:04:05Z"`, `"2026-01-02T15:04:05.123456789+14:00"`, `"2026-02-30T15:04:05Z"`, `"2026-01-02t15:04:05z"`,
	`"2026-01-02T15:04:60Z"`, `"2026-01-02T24:00:00Z"`, `"2026-01-02T15:04:05+24:00"`,
	`"2026-01-02"`, `"0001-01-01T00:00:00Z"`,
	`[]`, `{}`, `[{}]`, `["S"]`, `[{"sku":"S","quantity":1}]`, `[{"sku":"S","quantity":1},{"sku":"T","quantity":2}]`,
	`[{"sku":"S","quantity":-1,"location":"north"}]`, `[{"sku":"S","quantity":0,"if_version":3,"note":{}}]`,
	`[{"sku":"T","quantity":1,"location":""}]`, `[{"sku":"T","quantity":1,"condition":"damaged"}]`, `[{"sku":"T"}]`,
	`[{"sku":"T","quantity":1,"Quantity":2}]`,
}

func TestSchemasAndTheDecoderAgreeOnWhateverIsWritten(t *testing.T) {
	t.Parallel()
	of := compiled(t)
	decoder := inventory.NewDecoder(inventory.DecoderConfig{})
	fields := slices.Sorted(maps.Keys(document(t, "stock.sold")["properties"].(map[string]any)))
	fields = append(fields, "note", "Sku")
	kinds := slices.Sorted(maps.Keys(base))
	taken, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(rt, "kind")
		event := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(base[kind]), &event); err != nil {
			rt.Fatal(err)
		}
		event["id"], event["kind"] = json.RawMessage(`"e"`), json.RawMessage(`"`+kind+`"`)
		for range rapid.IntRange(0, 3).Draw(rt, "changes") {
			field := rapid.SampledFrom(fields).Draw(rt, "field")
			switch {
			case field == "kind":
			case rapid.IntRange(0, 3).Draw(rt, "remove") == 0:
				delete(event, field)
			default:
				event[field] = json.RawMessage(rapid.SampledFrom(values).Draw(rt, "value"))
			}
		}
		text, err := json.Marshal(event)
		if err != nil {
			rt.Fatal(err)
		}
		_, value := kindOf(text)
		schemaSays := of[kind].Validate(value)
		_, decoderSays := decoder.Decode(&inbox.Record{Value: text})
		var refusal *inbox.Refusal
		switch {
		case decoderSays == nil && schemaSays != nil:
			rt.Fatalf("the decoder takes %s, the schema does not: %v", text, schemaSays)
		case decoderSays == nil:
			taken++
		case !errors.As(decoderSays, &refusal):
			rt.Fatalf("%s: %v", text, decoderSays)
		case schemaSays == nil && !slices.Contains(beyondSchemas, refusal.Code):
			rt.Fatalf("the schema takes %s, the decoder does not: %v", text, decoderSays)
		default:
			refused++
		}
	})
	if taken < 10 || refused < 10 {
		t.Errorf("%d taken, %d refused: that proves little", taken, refused)
	}
}

// example is a record of ../testdata.
type example struct {
	Name        string            `json:"name"`
	Headers     []json.RawMessage `json:"headers"`
	Value       *string           `json:"value"`
	ValueBase64 []byte            `json:"value_base64"`
	Fill        string            `json:"fill"`
	Times       int               `json:"times"`
	Reason      string            `json:"reason"`
}

func examples(t *testing.T, file string) []example {
	t.Helper()
	text, err := os.ReadFile("../testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var es []example
	if err := json.Unmarshal(text, &es); err != nil {
		t.Fatal(err)
	}
	return es
}

func (e example) value() []byte {
	if e.Value == nil {
		return e.ValueBase64
	}
	return []byte(strings.ReplaceAll(*e.Value, "<FILL>", strings.Repeat(e.Fill, e.Times)))
}

// kindOf reads what schemas judge, and its kind; empty if it is nothing that has one.
func kindOf(text []byte) (string, any) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return "", nil
	}
	object, _ := value.(map[string]any)
	kind, _ := object["kind"].(string)
	return kind, value
}

func document(t *testing.T, kind string) map[string]any {
	t.Helper()
	text, ok := schemas.Of(kind)
	if !ok {
		t.Fatalf("no schema of %s", kind)
	}
	var read map[string]any
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return read
}

// compiled are all schemas, in the words of a validator.
func compiled(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := make(map[string]*jsonschema.Schema)
	for _, kind := range schemas.Kinds() {
		text, _ := schemas.Of(kind)
		read, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(kind+".json", read); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if all[kind], err = c.Compile(kind + ".json"); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	return all
}
