package outbox

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func send(t *testing.T, conn *pgx.Conn, queue func(q *pgx.Batch)) {
	t.Helper()
	q := &pgx.Batch{}
	queue(q)
	if err := conn.SendBatch(t.Context(), q).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesAreStoredAsTheyWereGivenInTheOrderOfTheirIds(t *testing.T) {
	t.Parallel()
	shared := []Header{{Key: "content-type", Value: []byte("application/json")}, {Key: "null"}}
	for name, messages := range map[string][]Message{
		"different": different,
		"alike": {
			{Topic: "a", EventID: "1", Headers: shared, Payload: []byte{1}},
			{Topic: "a", EventID: "2", Headers: shared, Payload: []byte{2}},
		},
		"bare":      {{Topic: "a", EventID: "1", Payload: []byte{1}}, {Topic: "a", EventID: "2", Payload: []byte{2}}},
		"one alone": different[1:2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storeAndCompare(t, messages)
		})
	}
}

var different = []Message{
	{Topic: "a", Key: []byte("k"), EventID: "1", Payload: []byte(`{"x":1}`)},
	{Topic: "b", EventID: "2", Payload: []byte{0, 0xff, '"', '\\'}, Headers: []Header{
		{Key: `quo"te\`, Value: []byte{0, 1, 0xff}}, {Key: "null"}, {Key: "empty", Value: []byte{}}, {Key: ""},
	}},
	{Topic: "a", Key: []byte{}, EventID: "3", Payload: []byte{}},
}

func storeAndCompare(t *testing.T, messages []Message) {
	t.Helper()
	conn := connect(t)
	var ids []int64
	send(t, conn, func(q *pgx.Batch) { Draw(q, 5, &ids) })
	if len(ids) != 5 || !slices.IsSorted(ids) {
		t.Fatalf("drew %v, want 5 ascending ids", ids)
	}
	send(t, conn, func(q *pgx.Batch) { Queue(q, ids, messages) })

	rows, err := conn.Query(t.Context(), `select id, topic, key, event_id, payload, headers from outbox order by id`)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var (
		id             int64
		topic, eventID string
		key, payload   []byte
		headers        [][]byte
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &topic, &key, &eventID, &payload, &headers}, func() error {
		m := messages[n]
		if id != ids[n] || topic != m.Topic || eventID != m.EventID || !bytes.Equal(key, m.Key) ||
			(key == nil) != (m.Key == nil) || !bytes.Equal(payload, m.Payload) || len(headers) != 2*len(m.Headers) {
			t.Errorf("row %d: %d %q %q %q %q %q, want %+v", n, id, topic, key, eventID, payload, headers, m)
			return nil
		}
		for i, h := range m.Headers {
			name, value := headers[2*i], headers[2*i+1]
			if string(name) != h.Key || !bytes.Equal(value, h.Value) || (value == nil) != (h.Value == nil) {
				t.Errorf("row %d: header %q = %q, want %q = %q", n, name, value, h.Key, h.Value)
			}
		}
		n++
		return nil
	})
	if err != nil || n != len(messages) {
		t.Errorf("%d rows, %v; want %d", n, err, len(messages))
	}
}

func TestIdsAreNeverDrawnTwice(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	var first, second []int64
	send(t, conn, func(q *pgx.Batch) { Draw(q, 3, &first); Draw(q, 2, &second) })
	if len(first) != 3 || len(second) != 2 || second[0] <= first[2] {
		t.Errorf("drew %v, then %v", first, second)
	}
}

func TestNoMessagesAreNoStatement(t *testing.T) {
	t.Parallel()
	q := &pgx.Batch{}
	Queue(q, nil, nil)
	if q.Len() != 0 {
		t.Errorf("%d statements for no message", q.Len())
	}
}

func TestMessagesAreReadInTheOrderOfTheirIdsByIndex(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	_, err := conn.Exec(t.Context(), `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
select '', 'A', 'main', n, 1, n, 'stock.received', 'e' || n, '', n from generate_series(1, 20000) n;
insert into outbox_messages (id, slot, topic, event_id, payload)
select n, 0, 'others', 'o' || n, '{}' from generate_series(20001, 40000) n;
analyze movements, outbox_messages`)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `explain select * from outbox where id > 19990 order by id limit 20`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(lines, "\n")
	if !strings.Contains(plan, "Merge Append") || strings.Contains(plan, "Seq Scan on movements") ||
		strings.Contains(plan, "Sort  ") {
		t.Errorf("a page of messages is read by\n%s", plan)
	}
	var first, last int64
	err = conn.QueryRow(t.Context(), `
select min(id), max(id) from (select id from outbox where id > 19990 order by id limit 20) page`).Scan(&first, &last)
	if err != nil || first != 19991 || last != 20010 {
		t.Errorf("the page goes from %d to %d (%v)", first, last, err)
	}
}
