package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"
)

// stockRow is the key of a row of stock.
type stockRow struct{ tenant, sku, location string }

func (s stockRow) String() string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	return fmt.Sprintf("%s at %s of tenant %s", quote(s.sku), quote(s.location), quote(s.tenant))
}

// rowDigest stands for a row in memory; two rows with the same one are not to be expected before the sun burns out.
type rowDigest [16]byte

func (s stockRow) digest() rowDigest {
	sum := sha256.Sum256([]byte(s.tenant + "\x00" + s.sku + "\x00" + s.location)) // Postgres knows no NUL in text
	return rowDigest(sum[:16])
}

// movement is what the ledger, or its archive, holds of one.
type movement struct {
	stockRow
	version, delta, onHand     int64
	reserved, damaged, transit int64
	kind, eventID, eventSource string
	traceparent                string

	// Only of what an announcement is about.
	id     int64  // of its message
	before *int64 // what was available before it; nil = not known
}

// By index, whatever the tables' sizes: the array is short against them.
const selectMovements = `
select message_id, tenant, sku, location, version, delta, on_hand, coalesce(reserved, 0), coalesce(damaged, 0),
       coalesce(in_transit, 0), kind, event_id, event_source, traceparent
from movements where message_id = any($1)
union all
select message_id, tenant, sku, location, version, delta, on_hand, coalesce(reserved, 0), coalesce(damaged, 0),
       coalesce(in_transit, 0), kind, event_id, event_source, traceparent
from movements_archive where message_id = any($1)`

// movements returns the movements whose messages have ids, by id.
func (o *outgoing) movements(ctx context.Context, ids []int64) (map[int64]*movement, error) {
	found := make(map[int64]*movement, len(ids))
	var id int64
	var m movement
	rows, err := o.v.snapshot.tx.Query(ctx, selectMovements, ids)
	if err == nil {
		into := []any{
			&id, &m.tenant, &m.sku, &m.location, &m.version, &m.delta, &m.onHand, &m.reserved, &m.damaged, &m.transit,
			&m.kind, &m.eventID, &m.eventSource, &m.traceparent,
		}
		_, err = pgx.ForEachRow(rows, into, func() error {
			kept := m
			found[id] = &kept
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look up movements: %w", err)
	}
	return found, nil
}

// member is a member of a message's payload, whose value is a string or a number.
type member struct {
	name, value string
	number      bool
}

func text(name, value string) member { return member{name: name, value: value} }

func number(name string, value int64) member { return member{name, strconv.FormatInt(value, 10), true} }

// payload is what the message of m says. It is made here once more, and not taken from the view that the relay reads,
// so that a fault there does not vouch for itself.
func (m *movement) payload() []member {
	ms := []member{text("kind", stockChanged)}
	if m.tenant != "" {
		ms = append(ms, text("tenant", m.tenant))
	}
	ms = append(ms,
		text("sku", m.sku), text("location", m.location),
		number("on_hand", m.onHand), number("reserved", m.reserved), number("available", m.onHand-m.reserved),
	)
	if m.damaged != 0 {
		ms = append(ms, number("damaged", m.damaged))
	}
	if m.transit != 0 {
		ms = append(ms, number("in_transit", m.transit))
	}
	ms = append(ms,
		number("version", m.version), number("follows", m.version-1), number("delta", m.delta),
		text("event_id", m.eventID),
	)
	if m.eventSource != "" {
		ms = append(ms, text("source", m.eventSource))
	}
	return append(ms, text("event_kind", m.kind))
}

// written is a payload as it is written most often; reading it would take far longer. The same may be written in
// other ways, and then it is read.
func written(ms []member) []byte {
	b := make([]byte, 0, 512)
	for i, m := range ms {
		b = append(b, "{,"[min(i, 1)])
		b = append(b, '"')
		b = append(append(b, m.name...), `":`...)
		if m.number {
			b = append(b, m.value...)
			continue
		}
		var err error
		if b, err = jsontext.AppendQuote(b, m.value); err != nil {
			return nil // not UTF-8, which the database does not have
		}
	}
	return append(b, '}')
}

// is reports whether value is the member's, digit by digit and letter by letter.
func (m member) is(value jsontext.Value) bool {
	if m.number {
		return string(value) == m.value
	}
	if value.Kind() != '"' {
		return false
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	return err == nil && string(unquoted) == m.value
}

func (m member) String() string {
	if m.number {
		return m.name + " " + m.value
	}
	return fmt.Sprintf("%s %q", m.name, m.value)
}

// differs says in what r is not the message of m: as it should be and as it is, or nothing.
func (r *published) differs(m *movement) (expected, found string) {
	return r.compare(m.sku, m.traceparent, m.payload())
}

// compare says in what r is not a message with that key, of that trace, that says that: as it should be and as it is,
// or nothing.
func (r *published) compare(key, traceparent string, payload []member) (expected, found string) {
	var should, is []string
	if string(r.key) != key {
		should, is = append(should, fmt.Sprintf("key %q", key)), append(is, fmt.Sprintf("key %q", r.key))
	}
	if r.odd != "" {
		should, is = append(should, "the headers of such a message alone"), append(is, "headers "+r.odd)
	}
	if r.traceparent != traceparent {
		should = append(should, fmt.Sprintf("traceparent %q", traceparent))
		is = append(is, fmt.Sprintf("traceparent %q", r.traceparent))
	}
	if bytes.Equal(r.value, written(payload)) {
		return strings.Join(should, ", "), strings.Join(is, ", ")
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(r.value, &members); err != nil || members == nil {
		should, is = append(should, "a JSON object"), append(is, fmt.Sprintf("%q", short(string(r.value))))
	} else {
		should, is = differences(payload, members, should, is)
	}
	return strings.Join(should, ", "), strings.Join(is, ", ")
}

// differences appends to should and is what is not the same in a payload.
func differences(want []member, got map[string]jsontext.Value, should, is []string) ([]string, []string) {
	for _, m := range want {
		value, there := got[m.name]
		if there && m.is(value) {
			delete(got, m.name)
			continue
		}
		found := m.name + " missing"
		if there {
			found = m.name + " " + short(string(value))
		}
		should, is = append(should, m.String()), append(is, found)
		delete(got, m.name)
	}
	for name, value := range got {
		should, is = append(should, "no "+name), append(is, name+" "+short(string(value)))
	}
	return should, is
}

// says returns the row of stock and the version that r's payload names; false = it names none.
func (r *published) says() (stockRow, int64, bool) {
	var p struct {
		Tenant   string `json:"tenant"`
		SKU      string `json:"sku"`
		Location string `json:"location"`
		Version  int64  `json:"version"`
	}
	if err := json.Unmarshal(r.value, &p); err != nil || p.SKU == "" || p.Version <= 0 {
		return stockRow{}, 0, false
	}
	row := stockRow{p.Tenant, p.SKU, p.Location}
	return row, p.Version, !strings.Contains(p.Tenant+p.SKU+p.Location, "\x00")
}
