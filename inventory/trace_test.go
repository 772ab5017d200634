package inventory

import (
	"testing"

	"onhand/internal/testenv"
)

func TestAMessageBelongsToTheTraceOfItsEvent(t *testing.T) {
	t.Parallel()
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	conn := connect(t, testenv.Database(t))
	is := items([]occurrence{moves(Received, "A", "main", 5), moves(Sold, "A", "main", 2)})
	is[1].TraceParent = trace
	must(t, commitBatch(t.Context(), conn, NewHandler(Config{}), is))

	rows, err := conn.Query(t.Context(), `
select coalesce(convert_from(headers[array_position(headers, 'traceparent') + 1], 'UTF8'), '') from outbox order by id`)
	must(t, err)
	var got []string
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		got = append(got, s)
	}
	must(t, rows.Err())
	if len(got) != 2 || got[0] != "" || got[1] != trace {
		t.Errorf("the messages' traces are %q, want none and %q", got, trace)
	}
}
