package outbox

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func TestACloudEventLeavesWithItsAttributesAsHeaders(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	w.start(w.config())
	w.append(Message{
		Topic: w.position, Key: []byte("k"), Payload: []byte(`{"order":1}`),
		Headers: []Header{{"traceparent", []byte("00-1-2-01")}, {"raw", []byte{0, 0xff}}, {"empty", []byte{}}},
		Event: &CloudEvent{
			ID: "e-1", Source: "/shop", Type: "order.placed", Subject: "orders/1", DataContentType: "application/json",
			DataSchema: "/schemas/order", Time: time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.FixedZone("", 3600)),
			Extensions: []Extension{{"tenant", "north"}},
		},
	})
	w.waitFor(w.position, `{"order":1}`)
	want := map[string]string{
		"content-type": "application/json", "ce_specversion": "1.0", "ce_id": "e-1", "ce_source": "/shop",
		"ce_type": "order.placed", "ce_subject": "orders/1", "ce_time": "2026-03-01T11:00:00.5Z",
		"ce_dataschema": "/schemas/order", "ce_tenant": "north",
		"traceparent": "00-1-2-01", "raw": "\x00\xff", "empty": "",
	}
	if got := w.heard(w.position)[0]; got.key != "k" || !maps.Equal(got.headers, want) {
		t.Errorf("key %q, headers %q, want %q", got.key, got.headers, want)
	}
}

// Its id is not known before it is drawn, and its source and topic are nothing that who appends it has to know.
func TestAMessageOfTheInstallationLeavesAsACloudEventOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	if _, err := w.pool.Exec(t.Context(), `
insert into installation (id, system_identifier, database, cluster_id, consumer_group, outbox_topic)
values ($1, 0, '', '', '', $2)`, w.install, w.position); err != nil {
		t.Fatal(err)
	}
	w.start(w.config())
	ids := w.append(Message{
		Type: "stock.lów", Key: []byte("k"), Payload: []byte(`{"x":1}`), Headers: []Header{{"traceparent", []byte("00-1")}},
	})
	w.waitFor(w.position, `{"x":1}`)
	want := map[string]string{
		"content-type": "application/json", "ce_specversion": "1.0", "ce_id": strconv.FormatInt(ids[0], 10),
		"ce_source": "urn:uuid:" + w.install.String(), "ce_type": "stock.lów", "traceparent": "00-1",
	}
	if got := w.heard(w.position)[0]; got.key != "k" || !maps.Equal(got.headers, want) {
		t.Errorf("key %q, headers %q, want %q", got.key, got.headers, want)
	}
}

func TestATombstoneLeavesAsOneAndAnEmptyPayloadDoesNot(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	w.start(w.config())
	w.append(Message{Topic: w.position, Key: []byte("k")}, Message{Topic: w.position, Key: []byte("k"), Payload: []byte{}})
	w.waitFor(w.position, "", "")
	if got := w.heard(w.position); !got[0].tombstone || got[1].tombstone {
		t.Errorf("tombstones: %v, %v", got[0].tombstone, got[1].tombstone)
	}
}

func TestTheLargestMessageLeaves(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	w.start(w.config())
	m := Message{Topic: w.position, Key: []byte("k"), Payload: bytes.Repeat([]byte{'x'}, MaxMessageBytes-1)}
	w.append(m, m, m)
	w.waitFor(w.position, string(m.Payload), string(m.Payload), string(m.Payload))
	w.waitAside()
}

// The error comes before anything is written, so the transaction is as it was.
func TestAMessageThatCannotBeOneIsRefusedAndTheTransactionGoesOn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 250)
	manyHeaders := slices.Repeat([]Header{{"h", nil}}, maxHeaders+1)
	event := func(e CloudEvent) Message { return Message{Topic: "t", Event: &e} }
	for name, refused := range map[string]struct {
		message Message
		says    string
	}{
		"too large": {Message{Topic: "t", Payload: make([]byte, MaxMessageBytes+1)}, strconv.Itoa(MaxMessageBytes)},
		"too large with its key": {
			Message{Topic: "t", Key: []byte("k"), Payload: make([]byte, MaxMessageBytes)}, "1000001 bytes",
		},
		"too large with headers": {
			Message{Topic: "t", Payload: make([]byte, MaxMessageBytes-10), Headers: []Header{{"12345", make([]byte, 6)}}},
			"1000001 bytes",
		},
		"too many headers":       {Message{Topic: "t", Headers: manyHeaders}, "1001 headers"},
		"no topic":               {Message{}, "no topic"},
		"a topic with a slash":   {Message{Topic: "a/b"}, `"a/b"`},
		"a topic with a space":   {Message{Topic: "a b"}, `"a b"`},
		"a topic with an umlaut": {Message{Topic: "ü"}, "topic"},
		"a topic of a dot":       {Message{Topic: "."}, `"."`},
		"a topic of two dots":    {Message{Topic: ".."}, `".."`},
		"a long topic":           {Message{Topic: long}, "topic"},
		"an event id with a NUL": {Message{Topic: "t", EventID: "a\x00b"}, "event id"},
		"an event id in Latin-1": {Message{Topic: "t", EventID: "\xfc"}, "event id"},
		"no CloudEvents id":      {event(CloudEvent{Source: "/s", Type: "t"}), "without id"},
		"no CloudEvents source":  {event(CloudEvent{ID: "1", Type: "t"}), "without source"},
		"no CloudEvents type":    {event(CloudEvent{ID: "1", Source: "/s"}), "without type"},
		"a topic of its own":     {Message{Topic: "t", Type: "x"}, "from the installation"},
		"its own attributes":     {Message{Type: "x", Event: &CloudEvent{ID: "1"}}, "from the installation"},
		"a type with a NUL":      {Message{Type: "a\x00b"}, "type"},
		"a bad extension": {
			event(CloudEvent{ID: "1", Source: "/s", Type: "t", Extensions: []Extension{{"Bad_Name", "x"}}}), "Bad_Name",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t)
			err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
				good := Message{Topic: "t", Payload: []byte("kept")}
				if ids, err := Append(t.Context(), tx, good, refused.message); !errors.Is(err, ErrMessage) ||
					!strings.Contains(err.Error(), refused.says) || !strings.Contains(err.Error(), "message 2 of 2") || ids != nil {
					t.Errorf("%v, %v; want an error about %s", ids, err, refused.says)
				}
				_, err := Append(t.Context(), tx, good)
				return err
			})
			var n int
			if scan := conn.QueryRow(t.Context(), `select count(*) from outbox`).Scan(&n); err != nil || scan != nil || n != 1 {
				t.Errorf("%d messages, %v, %v; want the one that was appended afterwards", n, err, scan)
			}
		})
	}
}

func TestSeveralAppendsOfATransactionLeaveInTheirOrderOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	other := testenv.Topic(t, 1)
	w.start(w.config())
	errUndo := errors.New("changed my mind")
	appendThrice := func(name string, end error) (ids []int64) {
		err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
			for _, ms := range [][]Message{
				messages(w.position, "k", name+" 1", name+" 2"), messages(other, "k", name), messages(w.position, "k", name+" 3"),
			} {
				more, err := Append(t.Context(), tx, ms...)
				if err != nil {
					return err
				}
				ids = append(ids, more...)
			}
			return end
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
		return ids
	}
	first := appendThrice("one", nil)
	appendThrice("undone", errUndo)
	third := appendThrice("two", nil)
	if all := slices.Concat(first, third); len(all) != 8 || !slices.IsSorted(all) || len(slices.Compact(all)) != 8 {
		t.Errorf("the ids are %v, want 8 that ascend", all)
	}
	w.waitFor(w.position, "one 1", "one 2", "one 3", "two 1", "two 2", "two 3")
	w.waitFor(other, "one", "two")
}

func TestAppendingNothingAsksNothingOfTheDatabase(t *testing.T) {
	t.Parallel()
	if ids, err := Append(t.Context(), nil); ids != nil || err != nil {
		t.Errorf("%v, %v", ids, err)
	}
}
