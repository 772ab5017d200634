package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/internal/testenv"
)

// outgoing are the messages of the outbox in their order, each as its type, key, traceparent and payload.
func outgoing(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
select concat_ws(' ', convert_from(headers[array_position(headers, 'ce_type') + 1], 'UTF8'), convert_from(key, 'UTF8'),
                 convert_from(headers[array_position(headers, 'traceparent') + 1], 'UTF8'),
                 convert_from(payload, 'UTF8'))
from outbox order by id`)
	must(t, err)
	messages, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return messages
}

// decode makes items of events as they are sent.
func decode(t *testing.T, events ...string) []*inbox.Item {
	t.Helper()
	d := NewDecoder(DecoderConfig{})
	is := make([]*inbox.Item, len(events))
	for i, e := range events {
		event, err := d.Decode(&inbox.Record{Topic: "inventory.events", Partition: 1, Offset: int64(i), Value: []byte(e)})
		if err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		is[i] = &inbox.Item{Event: event}
	}
	return is
}

func TestWhatAMovementCrossesFollowsItsMessage(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	is := decode(t,
		`{"id":"1","kind":"sku.defined","sku":"A","low_stock":5}`,
		`{"id":"2","kind":"stock.received","sku":"A","quantity":20}`,
		`{"id":"3","kind":"stock.sold","source":"shop","tenant":"eu","sku":"A","quantity":1}`,
		`{"id":"4","kind":"stock.reserved","reservation":"r","sku":"A","quantity":20}`,
		`{"id":"5","kind":"stock.counted","sku":"A","quantity":19}`,
		`{"id":"6","kind":"stock.received","source":"\"shop\"","sku":"A","quantity":7}`,
	)
	is[4].TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	must(t, commitBatch(t.Context(), conn, NewHandler(Config{}), is))
	got := outgoing(t, conn)
	for i, want := range []string{
		`stock.changed A {"kind":"stock.changed","sku":"A","location":"main","on_hand":20,`,
		`stock.rejected A {"kind":"stock.rejected","tenant":"eu","sku":"A","location":"main","quantity":1,"on_hand":0,` +
			`"reserved":0,"available":0,"version":0,"event_id":"3","source":"shop","event_kind":"stock.sold",` +
			`"reason":"insufficient_stock"}`,
		`stock.changed A {"kind":"stock.changed","sku":"A","location":"main","on_hand":20,"reserved":20,"available":0,`,
		`stock.low A {"kind":"stock.low","sku":"A","location":"main","on_hand":20,"reserved":20,"available":0,` +
			`"threshold":5,"version":2,"event_id":"4","event_kind":"stock.reserved"}`,
		`stock.depleted A {"kind":"stock.depleted","sku":"A","location":"main","on_hand":20,"reserved":20,` +
			`"available":0,"version":2,"event_id":"4","event_kind":"stock.reserved"}`,
		`stock.changed A 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 {"kind":"stock.changed",`,
		`stock.overcommitted A 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 {"kind":"stock.overcommitted",` +
			`"sku":"A","location":"main","on_hand":19,"reserved":20,"available":-1,"version":3,"event_id":"5",` +
			`"event_kind":"stock.counted"}`,
		`stock.changed A {"kind":"stock.changed","sku":"A","location":"main","on_hand":26,"reserved":20,"available":6,`,
		`stock.restored A {"kind":"stock.restored","sku":"A","location":"main","on_hand":26,"reserved":20,` +
			`"available":6,"version":4,"event_id":"6","source":"\"shop\"","event_kind":"stock.received"}`,
		"",
	} {
		if i == len(got) && want == "" {
			return
		}
		if i == len(got) || !strings.HasPrefix(got[i], want) || want == "" {
			t.Fatalf("message %d of\n%s\nwant %s", i, strings.Join(got, "\n"), want)
		}
	}
}

// A rejection says which line it is for, what that asked for and what was there: whatever its reason, and whether the
// event names a SKU or not.
func TestARejectionSaysWhatWasAskedAndWhatWasThere(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	is := decode(t,
		`{"id":"a","kind":"stock.received","sku":"A","quantity":5}`,
		`{"id":"b","kind":"stock.received","sku":"B","quantity":2,"location":"north"}`,
		`{"id":"c","kind":"stock.returned","sku":"B","quantity":3,"location":"north","condition":"damaged"}`,
		`{"id":"d","kind":"stock.reserved","reservation":"r","sku":"A","quantity":4}`,
		`{"id":"e","kind":"stock.transferred","transfer":"x","sku":"B","quantity":1,"location":"north","to":"south"}`,
		`{"id":"f","kind":"sku.defined","sku":"C","backorder":"allow"}`,
		`{"id":"g","kind":"stock.sold","sku":"C","quantity":3,"location":"south"}`,
		`{"id":"h","kind":"stock.sold","sku":"C","quantity":2,"location":"north"}`,
		`{"id":"full","kind":"stock.received","sku":"F","quantity":9223372036854775807}`,
		`{"id":"here","kind":"stock.received","sku":"F","quantity":9,"location":"here"}`,
		`{"id":"nearly","kind":"stock.received","sku":"G","quantity":9223372036854775802}`,
		`{"id":"both","kind":"stock.received","lines":[{"sku":"G","quantity":9,"location":"a"},`+
			`{"sku":"G","quantity":9,"location":"b"}]}`,
		`{"id":"kit","kind":"sku.defined","sku":"kit","bundle":[{"sku":"A","quantity":1}]}`,
	)
	must(t, commitBatch(t.Context(), conn, NewHandler(Config{}), is))
	const (
		a = `"on_hand":5,"reserved":4,"available":1,"version":2`
		b = `"on_hand":1,"reserved":0,"available":1,"damaged":3,"version":3`
	)
	for _, c := range []struct{ event, key, want string }{
		{
			`"kind":"stock.sold","lines":[{"sku":"B","location":"north","quantity":1},{"sku":"A","quantity":2}]`, "A",
			`"sku":"A","location":"main","quantity":2,` + a + `|stock.sold","reason":"insufficient_stock`,
		},
		{
			`"kind":"stock.sold","sku":"A","quantity":1,"if_version":9`, "A",
			`"sku":"A","location":"main","quantity":1,"if_version":9,` + a + `|stock.sold","reason":"version_mismatch`,
		},
		{
			`"kind":"stock.adjusted","sku":"B","location":"north","condition":"damaged","quantity":-4`, "B",
			`"sku":"B","location":"north","quantity":-4,` + b + `|stock.adjusted","reason":"below_zero`,
		},
		{
			`"kind":"stock.sold","sku":"new","quantity":7`, "new",
			`"sku":"new","location":"main","quantity":7,"on_hand":0,"reserved":0,"available":0,"version":0` +
				`|stock.sold","reason":"insufficient_stock`,
		},
		{
			`"kind":"stock.transferred","sku":"F","quantity":4,"location":"here","to":"main"`, "F",
			`"sku":"F","location":"main","quantity":4,"on_hand":9223372036854775807,"reserved":0,` +
				`"available":9223372036854775807,"version":1|stock.transferred","reason":"overflow`,
		},
		{
			`"kind":"stock.transferred","lines":[{"sku":"G","quantity":3,"location":"a"},` +
				`{"sku":"G","quantity":4,"location":"b","if_version":1}],"to":"main"`, "G",
			`"sku":"G","location":"main","quantity":4,"on_hand":9223372036854775802,"reserved":0,` +
				`"available":9223372036854775802,"version":1|stock.transferred","reason":"overflow`,
		},
		{
			`"kind":"stock.reserved","reservation":"r","sku":"A","quantity":4,"if_version":1`, "A",
			`"sku":"A","location":"main","quantity":4,"if_version":1,` + a +
				`,"reservation":"r"|stock.reserved","reason":"version_mismatch`,
		},
		{
			`"kind":"stock.reserved","reservation":"r","sku":"A","quantity":3`, "r",
			`"reservation":"r"|stock.reserved","reason":"reservation_conflict`,
		},
		{
			`"kind":"stock.released","reservation":"r","sku":"A","quantity":5`, "A",
			`"sku":"A","location":"main","quantity":5,` + a +
				`,"reservation":"r"|stock.released","reason":"exceeds_reservation`,
		},
		{
			`"kind":"stock.fulfilled","reservation":"none"`, "none",
			`"reservation":"none"|stock.fulfilled","reason":"unknown_reservation`,
		},
		{
			`"kind":"stock.transferred","transfer":"x","sku":"A","quantity":1,"to":"south"`, "x",
			`"transfer":"x"|stock.transferred","reason":"transfer_exists`,
		},
		{
			`"kind":"stock.transfer_received","transfer":"x","sku":"A","quantity":1`, "A",
			`"sku":"A","location":"south","quantity":1,"transfer":"x"|stock.transfer_received","reason":"not_in_transfer`,
		},
		{
			`"kind":"stock.sold","sku":"kit","quantity":1,"if_version":4`, "kit",
			`"sku":"kit","location":"main","quantity":1,"if_version":4,"on_hand":0,"reserved":0,"available":0,"version":0` +
				`|stock.sold","reason":"version_mismatch`,
		},
		{
			`"kind":"sku.defined","sku":"C","backorder":"limit","backorder_limit":1`, "C",
			`"sku":"C","location":"north","on_hand":-2,"reserved":0,"available":-2,"version":1` +
				`|sku.defined","reason":"policy_conflict`,
		},
	} {
		before := len(outgoing(t, conn))
		is := decode(t, `{"id":"asks",`+c.event+`}`)
		must(t, commitBatch(t.Context(), conn, NewHandler(Config{}), is))
		said, because, _ := strings.Cut(c.want, "|")
		want := fmt.Sprintf(`stock.rejected %s {"kind":"stock.rejected",%s,"event_id":"asks","event_kind":"%s"}`, c.key, said,
			because)
		if got := outgoing(t, conn)[before:]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is answered by\n%s, want\n%s", c.event, strings.Join(got, "\n"), want)
		}
	}
}

// The copy of the threshold is what decisions go by, so it follows the SKU's in every way in which a row comes to be.
func TestEveryRowHasTheThresholdOfItsSKU(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	h := NewHandler(Config{})
	for _, batch := range [][]string{
		{`{"id":"1","kind":"stock.received","sku":"A","quantity":9}`},
		{`{"id":"2","kind":"sku.defined","sku":"A","low_stock":5}`},
		{`{"id":"3","kind":"stock.received","sku":"A","location":"north","quantity":9}`},
		{
			`{"id":"4","kind":"stock.received","sku":"A","location":"south","quantity":9}`,
			`{"id":"5","kind":"sku.defined","sku":"A","low_stock":6}`,
			`{"id":"6","kind":"stock.received","sku":"A","location":"west","quantity":9}`,
			`{"id":"7","kind":"stock.sold","sku":"A","location":"west","quantity":3}`,
			`{"id":"8","kind":"stock.sold","sku":"A","location":"north","quantity":1}`,
			`{"id":"8b","kind":"stock.received","sku":"B","quantity":1}`,
		},
		{`{"id":"9","kind":"stock.sold","sku":"A","location":"north","quantity":2}`},
		{`{"id":"10","kind":"sku.defined","sku":"A"}`},
		{`{"id":"11","kind":"stock.sold","sku":"A","quantity":8}`},
	} {
		must(t, commitBatch(t.Context(), conn, h, decode(t, batch...)))
		var other int
		must(t, conn.QueryRow(t.Context(), `
select count(*) from stock s join skus k using (tenant, sku)
where s.low_stock is distinct from k.low_stock`).Scan(&other))
		if other != 0 {
			t.Errorf("after %s: %d rows have another threshold than their SKU", batch, other)
		}
	}
	var lows []string
	for _, m := range outgoing(t, conn) {
		if strings.HasPrefix(m, "stock.low") {
			lows = append(lows, m[strings.Index(m, `"location"`):strings.Index(m, `,"event_kind"`)])
		}
	}
	want := []string{
		`"location":"west","on_hand":6,"reserved":0,"available":6,"threshold":6,"version":2,"event_id":"7"`,
		`"location":"north","on_hand":6,"reserved":0,"available":6,"threshold":6,"version":3,"event_id":"9"`,
	}
	if !slices.Equal(lows, want) {
		t.Errorf("announced\n%s, want\n%s", strings.Join(lows, "\n"), strings.Join(want, "\n"))
	}
}

// An order of 1,000 lines of which each empties its row needs more than two blocks of ids. What a line crosses stays
// beside it where blocks meet.
func TestWhatAMovementCrossesHasTheIDsBehindItsOwnWhereBlocksMeet(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	const lines = 1000
	receive, sell := &Event{Kind: Received}, &Event{Kind: Sold}
	for i := range lines {
		l := Line{fmt.Sprintf("%04d", i), "main", 9, AnyVersion}
		receive.Lines, sell.Lines = append(receive.Lines, l), append(sell.Lines, l)
	}
	from := Partition{"inventory.events", 1}
	commitHistory(t, conn, occurrence{Event: receive, id: "in", from: from})
	_, err := conn.Exec(t.Context(), `update stock set low_stock = 3`)
	must(t, err)
	is := items([]occurrence{
		{Event: sell, id: "out", from: from}, moves(Sold, "0000", "main", 1), moves(Received, "0000", "main", 4),
	})
	must(t, commitBatch(t.Context(), conn, NewHandler(Config{}), is))
	var low, depleted, blocks int
	must(t, conn.QueryRow(t.Context(), `
select count(*) filter (where l.type = 'stock.low'), count(*) filter (where d.type = 'stock.depleted'),
       count(distinct m.message_id / 1000)
from movements m
left join outbox_messages l on l.id = m.message_id + 1 and l.key = convert_to(m.sku, 'UTF8')
left join outbox_messages d on d.id = m.message_id + 2 and d.key = convert_to(m.sku, 'UTF8')
where m.event_id = 'out'`).Scan(&low, &depleted, &blocks))
	if low != lines || depleted != lines || blocks < 3 {
		t.Errorf("%d of %d lines have stock.low behind them, %d stock.depleted, in %d blocks", low, lines, depleted, blocks)
	}
	var last []string
	for _, m := range outgoing(t, conn)[lines+3*lines:] {
		kind, _, _ := strings.Cut(m, " ")
		last = append(last, kind)
	}
	if want := []string{"stock.rejected", "stock.changed", "stock.restored"}; !slices.Equal(last, want) {
		t.Errorf("then come %s, want %s", last, want)
	}
}

func TestIDsThatFollowOneAnotherAreTakenFromOneBlock(t *testing.T) {
	t.Parallel()
	h := &Handler{ids: []int64{998, 999, 1000, 2001, 2002, 2003, 2004}}
	for _, c := range []struct {
		n     int
		first int64
	}{{1, 998}, {3, 2001}, {1, 2004}} {
		if first, err := h.take(c.n); err != nil || first != c.first {
			t.Errorf("%d ids from %d on (%v), want %d", c.n, first, err, c.first)
		}
	}
	if _, err := h.take(1); !errors.Is(err, errFewIDs) {
		t.Errorf("the error is %v", err)
	}
}
