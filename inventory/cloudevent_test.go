package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"

	"onhand/inbox"
)

const aTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// What the CloudEvents SDK writes is read as the same event in both modes, and as what the short form says.
func TestCloudEventsOfTheirOwnLibraryAreReadLikeTheShortForm(t *testing.T) {
	t.Parallel()
	for kind, fields := range map[Kind]string{
		Received:         `"sku":"S","quantity":3,"reason":"r"`,
		Sold:             `"lines":[{"sku":"T","quantity":2,"if_version":3},{"sku":"S","quantity":1}],"location":"north"`,
		Returned:         `"sku":"S","quantity":3,"condition":"damaged"`,
		Counted:          `"sku":"S","quantity":0,"counted_at":"2026-01-02T15:04:05Z"`,
		Reserved:         `"reservation":"r","ttl":60,"sku":"S","quantity":3`,
		Released:         `"reservation":"r"`,
		Transferred:      `"sku":"S","quantity":3,"to":"north","transfer":"t"`,
		TransferReceived: `"transfer":"t"`,
		Defined:          `"sku":"S","name":"Shirt","bundle":[{"sku":"T","quantity":2}]`,
	} {
		at := time.Date(2026, 1, 2, 15, 4, 5, 6000, time.UTC)
		want := decoded(t, `{"id":"e-é","kind":"`+kind.String()+`","source":"/shop?a=%20b","tenant":"t",`+
			`"time":"2026-01-02T15:04:05.000006Z",`+fields+`}`)
		event := cloudevents.NewEvent()
		event.SetID("e-é")
		event.SetSource("/shop?a=%20b")
		event.SetType(kind.String())
		event.SetTime(at)
		event.SetSubject("S")
		event.SetExtension("tenant", "t")
		event.SetExtension("partitionkey", "S")
		event.SetExtension("traceparent", aTrace)
		must(t, event.SetData(cloudevents.ApplicationJSON, json.RawMessage(`{`+fields+`}`)))

		ctx := t.Context()
		for mode, ctx := range map[string]context.Context{
			"structured": binding.WithForceStructured(ctx), "binary": binding.WithForceBinary(ctx),
		} {
			r := published(ctx, t, &event)
			got, err := NewDecoder(DecoderConfig{}).Decode(r)
			if err != nil {
				t.Errorf("%s, %s: %v", kind, mode, err)
				continue
			}
			if got.TraceParent != aTrace || !got.Time.Equal(at) || got.Record != r {
				t.Errorf("%s, %s: got %+v", kind, mode, got)
			}
			got.Record, got.TraceParent, want.Record = nil, "", nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: got %+v %+v, want %+v %+v", kind, mode, got, got.Body, want, want.Body)
			}
		}
	}
}

// published is the record that the SDK makes of event.
func published(ctx context.Context, t *testing.T, event *cloudevents.Event) *inbox.Record {
	t.Helper()
	var message sarama.ProducerMessage
	must(t, kafka_sarama.WriteProducerMessage(ctx, (*binding.EventMessage)(event), &message))
	value, err := message.Value.Encode()
	must(t, err)
	r := &inbox.Record{Value: value}
	for _, h := range message.Headers {
		r.Headers = append(r.Headers, inbox.Header{Key: h.Key, Value: h.Value})
	}
	return r
}

func TestTheRecordsOwnTraceCountsMoreThanTheCloudEvents(t *testing.T) {
	t.Parallel()
	value := `{"specversion":"1.0","id":"e","source":"s","type":"stock.sold","traceparent":"` + aTrace + `",` +
		`"data":{"sku":"S","quantity":1}}`
	contentType := inbox.Header{Key: []byte("content-type"), Value: []byte("application/cloudevents+json")}
	for want, headers := range map[string][]inbox.Header{
		aTrace: {contentType},
		"":     {contentType, {Key: []byte("traceparent"), Value: []byte("another")}}, // left to the inbox
	} {
		e, err := NewDecoder(DecoderConfig{}).Decode(&inbox.Record{Value: []byte(value), Headers: headers})
		if err != nil || e.TraceParent != want {
			t.Errorf("got %q, %v, want %q", e.TraceParent, err, want)
		}
	}
}

func TestCloudEventsOfUnknownKindsAreIgnoredIfTheOperatorSaysSo(t *testing.T) {
	t.Parallel()
	d := NewDecoder(DecoderConfig{IgnoreUnknownKinds: true})
	attributes := func(contentType string) []inbox.Header {
		var hs []inbox.Header
		for _, h := range [][2]string{
			{"ce_specversion", "1.0"},
			{"ce_id", "e"},
			{"ce_source", "s"},
			{"ce_type", "order.placed"},
			{"content-type", contentType},
		} {
			hs = append(hs, inbox.Header{Key: []byte(h[0]), Value: []byte(h[1])})
		}
		return hs
	}
	for _, r := range []inbox.Record{
		{Headers: attributes("application/json"), Value: []byte(`{"id":7}`)},
		{Headers: attributes("application/avro"), Value: []byte("Obj")},
		{
			Headers: []inbox.Header{{Key: []byte("content-type"), Value: []byte("application/cloudevents+json")}},
			Value:   []byte(`{"specversion":"1.0","type":"order.placed","data":"x"}`),
		},
	} {
		if _, err := d.Decode(&r); !errors.Is(err, inbox.ErrIgnored) {
			t.Errorf("%s: %v, want it ignored", r.Value, err)
		}
	}
}

func TestThePositionInACloudEventIsThatInItsRecord(t *testing.T) {
	t.Parallel()
	d := NewDecoder(DecoderConfig{})
	contentType := inbox.Header{Key: []byte("content-type"), Value: []byte("application/cloudevents+json")}
	// The bar marks the byte, and is taken out.
	for _, marked := range []string{
		`{"specversion": |"0.3"}`,
		`{"specversion":"1.0","id": |7,"source":"s","type":"stock.sold","data":{"sku":"S","quantity":1}}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"stock.sold","data":{"sku":"S","quantity": |0}}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"stock.sold","data":{|"id":"S"}}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"stock.sold","data": |7}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"stock.sold","data":{"lines":[{"sku":|7}]}}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"stock.sold","data":{"sku":"S"|`,
	} {
		want := strings.Index(marked, "|")
		r := &inbox.Record{Value: []byte(strings.Replace(marked, "|", "", 1)), Headers: []inbox.Header{contentType}}
		_, err := d.Decode(r)
		var refusal *inbox.Refusal
		if !errors.As(err, &refusal) || refusal.Position != want {
			t.Errorf("%s: %v, want it at %d", r.Value, err, want)
		}
	}
}

// FuzzCloudEvent reads anything as a structured CloudEvent, and as the data of a binary one.
func FuzzCloudEvent(f *testing.F) {
	for _, file := range []string{"bad.json", "good.json"} {
		for _, e := range examples(f, file) {
			if v := e.record().Value; len(v) < 4096 && len(e.Headers) > 0 {
				f.Add(v)
			}
		}
	}
	header := func(key, value string) inbox.Header { return inbox.Header{Key: []byte(key), Value: []byte(value)} }
	forms := [][]inbox.Header{
		{header("content-type", "application/cloudevents+json")},
		{
			header("ce_specversion", "1.0"), header("ce_id", "e"), header("ce_source", "s"),
			header("ce_type", "stock.reserved"),
		},
	}
	known := make(map[string]bool)
	for _, c := range ParkCodes() {
		known[c.Name] = true
	}
	d := NewDecoder(DecoderConfig{})
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, headers := range forms {
			e, err := d.Decode(&inbox.Record{Value: value, Headers: headers})
			if err == nil {
				if e.Source == "" {
					t.Fatal("a CloudEvent without a source")
				}
				checkWhole(t, e, e.Body.(*Event))
				continue
			}
			var refusal *inbox.Refusal
			if !errors.As(err, &refusal) || !known[refusal.Code] || !refusal.Parked {
				t.Fatalf("refused with %v", err)
			}
			if refusal.Position < -1 || refusal.Position > len(value) {
				t.Fatalf("%v at %d of %d", refusal, refusal.Position, len(value))
			}
		}
	})
}
