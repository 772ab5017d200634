package inventory

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"onhand/inbox"
)

// maxDepth is how deep objects and arrays may be nested, the event itself included.
const maxDepth = 32

// reader takes JSON apart and turns what the grammar forbids into park codes. The grammar itself is jsontext's: UTF-8
// only, no lone surrogates, no key twice in any object. A reader is reused from record to record.
type reader struct {
	dec   *jsontext.Decoder
	buf   bytes.Buffer // jsontext reads a *bytes.Buffer in place, without a copy
	value []byte
}

func newReader() *reader {
	return &reader{dec: jsontext.NewDecoder(new(bytes.Buffer))}
}

func (r *reader) reset(value []byte) {
	r.value = value
	r.buf = *bytes.NewBuffer(value)
	r.dec.Reset(&r.buf)
}

// release lets go of the record.
func (r *reader) release() { r.reset(nil) }

// whole reads the object that the record is, as object does. Whatever follows it is refused.
func (r *reader) whole(member func(name []byte) error) error {
	if bytes.HasPrefix(r.value, []byte("\xef\xbb\xbf")) {
		return inbox.ParkAt("byte_order_mark", "", 0)
	}
	_, isObject, err := r.object(member)
	if err == nil {
		err = r.end()
	}
	if err == nil && !isObject {
		err = inbox.ParkAt("not_an_object", "", 0)
	}
	return err
}

// object reads one object and calls member for each name (with its quotes) before its value; member must read the
// value. What is no object is read too. It returns where the value starts.
func (r *reader) object(member func(name []byte) error) (at int, isObject bool, err error) {
	if r.dec.PeekKind() != jsontext.KindBeginObject {
		_, at, err = r.any()
		return at, false, err
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return 0, true, r.syntax(err)
	}
	at = r.offset() - len("{")
	for r.dec.PeekKind() != jsontext.KindEndObject {
		name, err := r.dec.ReadValue()
		if err != nil {
			return at, true, r.syntax(err)
		}
		if err := member(name); err != nil {
			return at, true, err
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return at, true, r.syntax(err)
	}
	return at, true, nil
}

// array reads one array and calls element before each element, which it must read. What is no array is read too. It
// returns where the value starts.
func (r *reader) array(element func() error) (at int, isArray bool, err error) {
	if r.dec.PeekKind() != jsontext.KindBeginArray {
		_, at, err = r.any()
		return at, false, err
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return 0, true, r.syntax(err)
	}
	at = r.offset() - len("[")
	for r.dec.PeekKind() != jsontext.KindEndArray {
		if err := element(); err != nil {
			return at, true, err
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return at, true, r.syntax(err)
	}
	return at, true, nil
}

// offset is where the reader is in the record: behind what it read last.
func (r *reader) offset() int { return int(r.dec.InputOffset()) }

// end makes sure that nothing but white space is left.
func (r *reader) end() error {
	at := r.offset()
	rest := bytes.TrimLeft(r.value[at:], " \t\r\n")
	if len(rest) == 0 {
		return nil
	}
	return inbox.ParkAt("trailing_data", "", len(r.value)-len(rest))
}

// unquote returns what a name, with its quotes, stands for, and whether it is written with escapes.
func (r *reader) unquote(name []byte) (plain string, escaped bool, err error) {
	b, err := jsontext.AppendUnquote(nil, name)
	if err != nil {
		return "", false, r.syntax(err)
	}
	return string(b), bytes.IndexByte(name, '\\') >= 0, nil
}

// any reads one value, whatever it is: as it stands in the record, and where.
func (r *reader) any() (raw []byte, at int, err error) {
	raw, err = r.dec.ReadValue()
	if err != nil {
		return nil, 0, r.syntax(err)
	}
	at = r.offset() - len(raw)
	if raw[0] == '{' || raw[0] == '[' {
		if deep := tooDeep(raw, maxDepth-r.dec.StackDepth()); deep >= 0 {
			return nil, 0, inbox.ParkAt("too_deep", "", at+deep)
		}
	}
	return raw, at, nil
}

// tooDeep returns where b is nested deeper than allowed, or -1.
func tooDeep(b []byte, allowed int) int {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++ // only within a string
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > allowed {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

// syntax gives jsontext's complaint its park code. Its words are not passed on: they may quote the record.
func (r *reader) syntax(err error) error {
	at := len(r.value)
	var se *jsontext.SyntacticError
	if errors.As(err, &se) {
		at = min(int(se.ByteOffset), len(r.value))
	}
	rest := r.value[at:]
	deep := tooDeep(r.value[:at], maxDepth)
	switch {
	case deep >= 0: // jsontext has a bound of its own, and what it reads may be cut off before it closes
		return inbox.ParkAt("too_deep", "", deep)
	case errors.Is(err, jsontext.ErrDuplicateName):
		return inbox.ParkAt("duplicate_key", "", at)
	case !utf8.Valid(r.value):
		return inbox.ParkAt("invalid_utf8", "", validPrefix(r.value))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), len(rest) == 0:
		return inbox.ParkAt("not_json", "it stops too early", at)
	case isSurrogate(rest):
		return inbox.ParkAt("lone_surrogate", "", at)
	case rest[0] == 0:
		return inbox.ParkAt("nul_character", "", at)
	case rest[0] < ' ':
		return inbox.ParkAt("control_character", "", at)
	default:
		return inbox.ParkAt("not_json", "", at)
	}
}

// isSurrogate says whether b starts with an escaped half of a surrogate pair.
func isSurrogate(b []byte) bool {
	return len(b) >= 4 && b[0] == '\\' && b[1] == 'u' && b[2]|0x20 == 'd' && (b[3] == '8' || b[3] == '9' || b[3] >= 'A')
}

// validPrefix returns how many bytes come before the first one that is not UTF-8.
func validPrefix(b []byte) int {
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		n += size
	}
	return n
}
