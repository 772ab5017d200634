package inventory

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// payload is a message in the making: a JSON object, in the style that the view outbox gives stock.changed. Its texts
// come from the Decoder or the database, and so are UTF-8.
type payload []byte

func newPayload(kind, tenant string) payload {
	p := make(payload, 0, 384)
	p.text("kind", kind)
	p.given("tenant", tenant)
	return p
}

func (p *payload) name(name string) {
	opening := byte(',')
	if len(*p) == 0 {
		opening = '{'
	}
	*p = append(append(append(*p, opening, '"'), name...), `":`...)
}

func (p *payload) number(name string, value int64) {
	p.name(name)
	*p = strconv.AppendInt(*p, value, 10)
}

func (p *payload) text(name, value string) {
	p.name(name)
	*p, _ = jsontext.AppendQuote(*p, value)
}

// given is text, if there is one.
func (p *payload) given(name, value string) {
	if value != "" {
		p.text(name, value)
	}
}

func (p *payload) quantities(s *Stock) {
	p.number("on_hand", s.OnHand)
	p.number("reserved", s.Reserved)
	p.number("available", s.Available())
}

// event says what caused the message.
func (p *payload) event(id, source string, kind Kind) {
	p.text("event_id", id)
	p.given("source", source)
	p.text("event_kind", kind.String())
}

func (p *payload) end() []byte { return append(*p, '}') }
