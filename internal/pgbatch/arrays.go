// Package pgbatch writes batches of thousands of rows for Postgres at little cost: arrays in one go, into memory that a
// connection uses again.
package pgbatch

import (
	"context"
	"encoding/binary"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// A batch sends its rows as arrays of some thousand elements. The driver plans and writes each element by itself, and
// lets its buffer grow on the way; the arrays of the types below are written in one go into the connection's space.
//
// Form: an int32 each for the number of dimensions, whether there are nulls, the element's type, the length and the
// first index, then each element as an int32 length (-1 = null) and its bytes (PostgreSQL, array_recv).

// Prepare teaches conn the quick form, and gives it its space: an AfterConnect of a pool, before the first statement.
func Prepare(_ context.Context, conn *pgx.Conn) error {
	m, s := conn.TypeMap(), &space{}
	conn.PgConn().CustomData()[spaceKey] = s
	for _, oid := range []uint32{pgtype.TextArrayOID, pgtype.Int4ArrayOID, pgtype.Int8ArrayOID} {
		t, ok := m.TypeForOID(oid)
		if !ok {
			continue
		}
		if usual, ok := t.Codec.(*pgtype.ArrayCodec); ok {
			m.RegisterType(&pgtype.Type{Name: t.Name, OID: oid, Codec: arrayCodec{usual, s}})
		}
	}
	return nil
}

// arrayCodec is the driver's codec, but for the slices that it knows a quicker way for.
type arrayCodec struct {
	*pgtype.ArrayCodec
	space *space
}

// PlanEncode implements pgtype.Codec.
func (c arrayCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		element := c.ElementType.OID
		switch value.(type) {
		case []string:
			if element == pgtype.TextOID {
				return arrayPlan[string]{c.space, element, sizeOfText, appendText}
			}
		case []int64:
			if element == pgtype.Int8OID {
				return arrayPlan[int64]{c.space, element, func(int64) int { return 8 }, appendInt64}
			}
		case []int32:
			if element == pgtype.Int4OID {
				return arrayPlan[int32]{c.space, element, func(int32) int { return 4 }, appendInt32}
			}
		}
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

// arrayPlan writes a []T, which is not nil, as an array of one dimension.
type arrayPlan[T any] struct {
	space   *space
	element uint32
	size    func(T) int
	append  func([]byte, T) []byte
}

// Encode implements pgtype.EncodePlan.
func (p arrayPlan[T]) Encode(value any, b []byte) ([]byte, error) {
	values, _ := value.([]T)
	const header, length = 20, 4
	need := header
	for _, v := range values {
		need += length + p.size(v)
	}
	b = p.space.room(b, need)
	if len(values) == 0 {
		return appendInts(b, 0, 0, p.element), nil
	}
	b = appendInts(b, 1, 0, p.element, uint32(len(values)), 1)
	for _, v := range values {
		b = p.append(appendInts(b, uint32(p.size(v))), v)
	}
	return b, nil
}

func appendInts(b []byte, ns ...uint32) []byte {
	for _, n := range ns {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func sizeOfText(s string) int              { return len(s) }
func appendText(b []byte, s string) []byte { return append(b, s...) }
func appendInt64(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }
func appendInt32(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }
