package inbox

import "testing"

func TestATraceParentIsTakenOnlyInTheFormOfTheSpecification(t *testing.T) {
	t.Parallel()
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	const unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for value, want := range map[string]string{
		good: good,
		"":   "",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01":    "", // upper case
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":    "",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":    "",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":    "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0":     "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x":  "",
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01":    "",
		"00-0af7651916cd43dd8448eb211c80319\x00-b7ad6b7169203331-01": "",
		unsampled: unsampled,
	} {
		headers := []Header{{Key: []byte("other"), Value: []byte(good)}, {Key: []byte("traceparent"), Value: []byte(value)}}
		if got := traceParent(headers); got != want {
			t.Errorf("of %q: %q, want %q", value, got, want)
		}
	}
	if got := traceParent(nil); got != "" {
		t.Errorf("of no headers: %q", got)
	}
}

// tracing is a decoder that finds a trace in the record's value.
type tracing struct{}

func (tracing) Decode(r *Record) (Event, error) {
	return Event{ID: "e", TraceParent: string(r.Value)}, nil
}

func TestATraceThatTheDecoderFindsCountsIfItCanBeRead(t *testing.T) {
	t.Parallel()
	const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	const found = "00-11111111111111111111111111111111-b7ad6b7169203331-01"
	for value, want := range map[string]string{"": header, found: found, "what is this": header} {
		w := work{record: Record{
			Value:   []byte(value),
			Headers: []Header{{Key: []byte("traceparent"), Value: []byte(header)}},
		}}
		w.decode(tracing{})
		if w.item.TraceParent != want {
			t.Errorf("the decoder found %q: got %q, want %q", value, w.item.TraceParent, want)
		}
	}
}
