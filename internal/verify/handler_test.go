package verify

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"onhand/inbox"
	"onhand/internal/ledger"
	"onhand/internal/testenv"
	"onhand/inventory"
)

// Whatever the service decides, and writes, is right in the eyes of who proves it, archived or not.
func TestWhatTheHandlerWritesIsFoundRight(t *testing.T) {
	t.Parallel()
	pool := openWorld(t)
	applied := make(map[inventory.Kind]int)
	rapid.Check(t, func(rt *rapid.T) {
		emptyWorld(rt, pool)
		h := inventory.NewHandler(inventory.Config{})
		events := rapid.SliceOfN(anyEvent(), 30, 50).Draw(rt, "events")
		if rapid.Bool().Draw(rt, "with a kit") { // or it soon has stock
			events = slices.Insert(events, 0, &inventory.Event{Kind: inventory.Defined, Definition: anyDefinition(rt)})
		}
		for batch := range slices.Chunk(events, 7) {
			for i, item := range decideBatch(rt, pool, h, batch) {
				if item.Rejected() == "" {
					applied[batch[i].Kind]++
				}
			}
		}
		if rapid.Bool().Draw(rt, "archived") {
			_, err := ledger.New(ledger.Config{Pool: pool}).Run(rt.Context())
			must(rt, err)
			gone := rapid.Int64Range(0, 3).Draw(rt, "removed, of each three")
			testenv.EmptyArchive(rt, pool, fmt.Sprintf("version %% 3 < %d", gone))
		}
		if r := judgeEvents(rt, pool, events, 0); r.Found > 0 {
			rt.Fatal(describeAll(r))
		}
	})
	for k := inventory.Received; k < inventory.Defined; k++ {
		if applied[k] == 0 {
			t.Errorf("no %s was applied", k)
		}
	}
}

// anyEvent draws an event as the decoder makes them. Small draws are the likelier ones: kinds that are seldom applied
// stand in front.
func anyEvent() *rapid.Generator[*inventory.Event] {
	return rapid.Custom(func(t *rapid.T) *inventory.Event {
		e := &inventory.Event{Kind: rapid.SampledFrom([]inventory.Kind{
			inventory.Received, inventory.Fulfilled, inventory.Reserved, inventory.Released, inventory.TransferReceived,
			inventory.Transferred, inventory.Received, inventory.Reserved, inventory.TransferReceived, inventory.Sold,
			inventory.Returned, inventory.Adjusted, inventory.Counted, inventory.Defined,
		}).Draw(t, "kind")}
		if e.Kind == inventory.Defined {
			e.Definition = anyDefinition(t)
			return e
		}
		least, locations := 1, []string{"main", "north"}
		switch e.Kind {
		case inventory.Returned, inventory.Adjusted, inventory.Counted:
			e.Condition = rapid.SampledFrom([]inventory.Condition{inventory.Sellable, inventory.Damaged}).Draw(t, "condition")
		case inventory.Reserved, inventory.Released, inventory.Fulfilled:
			e.Reservation = rapid.SampledFrom([]string{"R1", "R2"}).Draw(t, "reservation")
			least = rapid.IntRange(0, 1).Draw(t, "least")
		case inventory.Transferred:
			e.To = rapid.SampledFrom([]string{"main", "north", "east"}).Draw(t, "to")
			e.Transfer = rapid.SampledFrom([]string{"T1", "T2", ""}).Draw(t, "transfer")
			locations = slices.DeleteFunc(locations, func(l string) bool { return l == e.To })
		case inventory.TransferReceived:
			e.Transfer = rapid.SampledFrom([]string{"T1", "T2"}).Draw(t, "transfer")
			least, locations = 0, []string{""}
		}
		most := 3
		if least == 0 && rapid.Bool().Draw(t, "as it is") {
			most = 0
		}
		for _, sku := range []string{"A", "B", "kit"} {
			for _, location := range locations {
				if len(e.Lines) < most && rapid.Bool().Draw(t, "line") {
					e.Lines = append(e.Lines, anyLine(t, e.Kind, sku, location))
				}
			}
		}
		if len(e.Lines) < least {
			e.Lines = append(e.Lines, anyLine(t, e.Kind, "A", locations[0]))
		}
		return e
	})
}

// anyDefinition draws one of a kit, which may become a SKU with stock, and then stays it.
func anyDefinition(t *rapid.T) *inventory.Definition {
	d := &inventory.Definition{SKU: "kit"}
	if rapid.IntRange(0, 9).Draw(t, "plain") == 9 {
		return d
	}
	for _, sku := range rapid.SampledFrom([][]string{{"A", "B"}, {"A"}, {"B"}}).Draw(t, "parts") {
		d.Bundle = append(d.Bundle, inventory.Part{SKU: sku, Quantity: rapid.Int64Range(1, 3).Draw(t, "of it")})
	}
	return d
}

func anyLine(t *rapid.T, kind inventory.Kind, sku, location string) inventory.Line {
	l := line(sku, location, rapid.Int64Range(1, 9).Draw(t, "quantity"))
	switch kind {
	case inventory.Received:
		l.Quantity *= 3
	case inventory.Adjusted:
		l.Quantity -= 4
	case inventory.Counted, inventory.TransferReceived:
		l.Quantity--
	}
	if rapid.IntRange(0, 19).Draw(t, "conditional") == 0 && kind != inventory.TransferReceived {
		l.IfVersion = rapid.Int64Range(0, 5).Draw(t, "if version")
	}
	return l
}

// decideBatch has the handler decide events, and writes their inbox rows, at the next offsets.
func decideBatch(t *rapid.T, pool *pgxpool.Pool, h *inventory.Handler, events []*inventory.Event) []*inbox.Item {
	t.Helper()
	var decided int64
	if err := pool.QueryRow(t.Context(), "select count(*) from inbox").Scan(&decided); err != nil {
		t.Fatal(err)
	}
	items := make([]*inbox.Item, len(events))
	for {
		for i, e := range events {
			offset := decided + int64(i)
			items[i] = &inbox.Item{Event: inbox.Event{
				Record: &inbox.Record{Topic: "t", Offset: offset, Timestamp: time.Now()}, ID: fmt.Sprint("e", offset), Body: e,
			}}
		}
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return decideItems(t, tx, h, items) })
		if err == nil {
			return items
		}
		if !errors.Is(err, inbox.ErrRunAgain) {
			t.Fatal(err)
		}
	}
}

func decideItems(t *rapid.T, tx pgx.Tx, h *inventory.Handler, items []*inbox.Item) error {
	load, apply := &pgx.Batch{}, &pgx.Batch{}
	h.Load(load, items, inbox.WaitForLocks)
	if err := tx.SendBatch(t.Context(), load).Close(); err != nil {
		return err
	}
	if err := h.Apply(apply, items); err != nil {
		return err
	}
	for _, item := range items {
		apply.Queue(`insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition, incarnation,
			"offset") values ('', $1, '', 0, case when $2 = '' then 'applied' else 'rejected' end::inbox_outcome,
			nullif($2, ''), 't', 0, 1, $3)`, item.ID, item.Rejected(), item.Record.Offset)
	}
	return tx.SendBatch(t.Context(), apply).Close()
}
