package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A page has thousands of rows, and the driver's way to read an array of bytes takes longer than all else that happens
// to a message here: rows are read as they came, in the binary form of their types (PostgreSQL, array_send). What a
// connection gets as text, because it was told to use the simple protocol, is left to the driver.

// binaryColumns asks for the binary form of each column of selectPage.
var binaryColumns = pgx.QueryResultFormats{1, 1, 1, 1, 1, 1}

// rowReader reads rows of messages. A topic's name is kept once for all messages in a row that have it.
type rowReader struct{ topic string }

func (r *rowReader) read(rows pgx.Rows) (*outgoing, error) {
	for _, f := range rows.FieldDescriptions() {
		if f.Format != pgx.BinaryFormatCode {
			m := &outgoing{}
			return m, rows.Scan(&m.id, &m.topic, &m.key, &m.eventID, &m.payload, &m.headers)
		}
	}
	return r.decode(rows.RawValues())
}

func (r *rowReader) decode(raw [][]byte) (*outgoing, error) {
	const id, topic, key, eventID, payload, headers = 0, 1, 2, 3, 4, 5
	if len(raw) != headers+1 || len(raw[id]) != 8 {
		return nil, errors.New("a row of the outbox has other columns")
	}
	if string(raw[topic]) != r.topic {
		r.topic = string(raw[topic])
	}
	m := &outgoing{
		id: int64(binary.BigEndian.Uint64(raw[id])), topic: r.topic, eventID: string(raw[eventID]),
	}
	// One piece of memory for all that is bytes.
	memory := make([]byte, 0, len(raw[key])+len(raw[payload])+len(raw[headers]))
	take := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		from := len(memory)
		memory = append(memory, b...)
		return memory[from:len(memory):len(memory)]
	}
	m.key, m.payload = take(raw[key]), take(raw[payload])
	var err error
	if m.headers, err = decodeArray(take(raw[headers])); err != nil {
		return nil, fmt.Errorf("headers of message %d: %w", m.id, err)
	}
	return m, nil
}

var errArray = errors.New("not an array of bytes")

// decodeArray reads a bytea[]; a null is nil, and so is a null element. The elements alias b.
func decodeArray(b []byte) ([][]byte, error) {
	const dimensions, length, header, word = 0, 12, 20, 4
	if b == nil {
		return nil, nil
	}
	if len(b) < length {
		return nil, errArray
	}
	if binary.BigEndian.Uint32(b[dimensions:]) == 0 {
		return [][]byte{}, nil // not nil: that would be null where the message is set aside
	}
	if len(b) < header || binary.BigEndian.Uint32(b[dimensions:]) != 1 {
		return nil, errArray
	}
	n := int(binary.BigEndian.Uint32(b[length:]))
	b = b[header:]
	if n > len(b)/word {
		return nil, errArray
	}
	elements := make([][]byte, n)
	for i := range elements {
		if len(b) < word {
			return nil, errArray
		}
		size := int32(binary.BigEndian.Uint32(b))
		b = b[word:]
		if size < 0 {
			continue
		}
		if int(size) > len(b) {
			return nil, errArray
		}
		elements[i], b = b[:size:size], b[size:]
	}
	return elements, nil
}
