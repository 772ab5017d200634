package outbox

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what a message may be.
const (
	// MaxMessageBytes bounds key, payload and headers of a message together. Kafka's own default for a record batch is
	// little more, and what a topic refuses holds up the messages behind it.
	MaxMessageBytes = 1_000_000
	// maxTopicBytes is Kafka's bound for a name.
	maxTopicBytes = 249
	maxHeaders    = 1000
)

// ErrMessage is a message that cannot be one; its text says why. Nothing was written.
var ErrMessage = errors.New("message refused")

// Message is one message on its way out.
type Message struct {
	Topic   string
	Key     []byte // nil = no key, and no order among messages
	EventID string // the event that caused it, for people who look for it; may be empty
	Payload []byte // nil = a tombstone
	Headers []Header
	// Event, if set, makes the message a CloudEvent in the binary form: Payload is its data, and headers carry its
	// attributes.
	Event *CloudEvent
	// Type, in place of Topic and Event, makes the message one of the installation's own: a CloudEvent of that type in
	// JSON, from the installation, whose id is the message's, for the topic that the installation's messages leave to.
	Type string
}

// Header is one header of a message.
type Header struct {
	Key   string
	Value []byte // nil = null
}

// CloudEvent is what a message says of itself, by the CloudEvents specification 1.0 and its binding for Kafka.
type CloudEvent struct {
	ID              string // required; unique within Source
	Source          string // required, a URI reference
	Type            string // required
	Subject         string
	Time            time.Time // zero = none
	DataContentType string    // of the payload, like application/json; empty = not said
	DataSchema      string
	Extensions      []Extension
}

// Extension is an attribute that the specification does not know. Its name has lower-case letters and digits only.
type Extension struct{ Name, Value string }

// Check says what is wrong with m; the error is an ErrMessage.
func (m *Message) Check() error {
	if err := m.checkAddress(); err != nil {
		return err
	}
	if err := m.Event.check(); err != nil {
		return err
	}
	if !utf8.ValidString(m.EventID) || strings.ContainsRune(m.EventID, 0) {
		return fmt.Errorf("%w: the event id %q is not text that Postgres takes", ErrMessage, m.EventID)
	}
	headers := m.allHeaders()
	if len(headers) > maxHeaders {
		return fmt.Errorf("%w: %d headers, at most %d", ErrMessage, len(headers), maxHeaders)
	}
	size := len(m.Key) + len(m.Payload)
	for _, h := range headers {
		size += len(h.Key) + len(h.Value)
	}
	if size > MaxMessageBytes {
		return fmt.Errorf("%w: key, payload and headers are %d bytes, at most %d: put what is large elsewhere and send "+
			"a reference", ErrMessage, size, MaxMessageBytes)
	}
	return nil
}

// checkAddress says whether it is known where m goes, and as what.
func (m *Message) checkAddress() error {
	switch {
	case m.Type == "":
		return checkTopic(m.Topic)
	case m.Topic != "" || m.Event != nil:
		return fmt.Errorf("%w: a message of type %q has its topic and its attributes from the installation", ErrMessage,
			m.Type)
	case !utf8.ValidString(m.Type) || strings.ContainsRune(m.Type, 0):
		return fmt.Errorf("%w: the type %q is not text that Postgres takes", ErrMessage, m.Type)
	}
	return nil
}

// checkTopic holds a name against Kafka's rules, which are the broker's to enforce; but there it would be too late for
// the caller to hear of it.
func checkTopic(name string) error {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	switch {
	case name == "":
		return fmt.Errorf("%w: it has no topic", ErrMessage)
	case len(name) > maxTopicBytes, name == ".", name == "..",
		strings.ContainsFunc(name, func(r rune) bool { return !legal(r) }):
		return fmt.Errorf("%w: %q cannot be the name of a topic", ErrMessage, name)
	}
	return nil
}

func (e *CloudEvent) check() error {
	if e == nil {
		return nil
	}
	for _, a := range []struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			return fmt.Errorf("%w: a CloudEvent without %s", ErrMessage, a.name)
		}
	}
	for _, x := range e.Extensions {
		if x.Name == "" || strings.ContainsFunc(x.Name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9')
		}) {
			return fmt.Errorf("%w: %q cannot be the name of a CloudEvents attribute", ErrMessage, x.Name)
		}
	}
	return nil
}

// allHeaders are m's own and those of its CloudEvent.
func (m *Message) allHeaders() []Header {
	if m.Event == nil {
		return m.Headers
	}
	return append(m.Event.headers(), m.Headers...)
}

// headers are e's attributes in the binary form of the Kafka binding: the content type has the header that Kafka's
// users know, the others begin with ce_.
func (e *CloudEvent) headers() []Header {
	hs := make([]Header, 0, 8+len(e.Extensions))
	add := func(key, value string) {
		if value != "" {
			hs = append(hs, Header{key, []byte(value)})
		}
	}
	add("content-type", e.DataContentType)
	add("ce_specversion", "1.0")
	add("ce_id", e.ID)
	add("ce_source", e.Source)
	add("ce_type", e.Type)
	add("ce_subject", e.Subject)
	if !e.Time.IsZero() {
		add("ce_time", e.Time.UTC().Format(time.RFC3339Nano))
	}
	add("ce_dataschema", e.DataSchema)
	for _, x := range e.Extensions {
		add("ce_"+x.Name, x.Value)
	}
	return hs
}
