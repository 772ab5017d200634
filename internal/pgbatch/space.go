package pgbatch

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// space is the memory that one connection writes its batches into, again and again. The driver's own buffers begin
// small with each statement and each batch, and are copied over and over as they grow: for batches of some thousand
// rows that was more than half of what the service allocates. Whoever has the connection has its space.
type space struct {
	params  []byte // the arguments of one statement, until they are in the message
	message []byte // what one batch sends, until it is sent
	need    int    // bytes, of the arguments of the largest batch so far
	written int    // bytes, of the arguments since the last Send
}

// Bounds of what a connection keeps, in bytes. What a rare larger batch needs is made for it, and let go.
const (
	mostKept   = 4 << 20
	perMessage = 16 << 10 // of a batch beside its arrays
)

const spaceKey = "onhand.space" // in a connection's custom data

// Send is conn.SendBatch, in memory that is used again if conn was prepared.
func Send(ctx context.Context, conn *pgx.Conn, b *pgx.Batch) pgx.BatchResults {
	if s, ok := conn.PgConn().CustomData()[spaceKey].(*space); ok && !conn.IsClosed() {
		s.need = min(max(s.need, s.written), mostKept)
		s.written = 0
		if s.need > 0 {
			conn.PgConn().Frontend().Send(roomFor{s})
		}
	}
	return conn.SendBatch(ctx, b)
}

// roomFor is a message of no bytes. What it is for is where the messages behind it are written: into the connection's
// space, which the driver gives up once they are sent.
type roomFor struct{ *space }

// Frontend implements pgproto3.FrontendMessage.
func (roomFor) Frontend() {}

// Decode implements pgproto3.FrontendMessage.
func (roomFor) Decode([]byte) error { return nil }

// Encode implements pgproto3.FrontendMessage.
func (r roomFor) Encode(b []byte) ([]byte, error) {
	want := len(b) + r.need + perMessage
	if cap(b) >= want {
		return b, nil // it may be the space itself, which the driver keeps when little was sent
	}
	if cap(r.message) < want {
		r.message = make([]byte, 0, want+want/4)
	}
	return append(r.message[:0], b...), nil
}

var _ pgproto3.FrontendMessage = roomFor{}

// room is b with space for n bytes more. All arguments of a statement are written one behind the other, so what lies in
// the space of those before is, at the same place, the same.
func (s *space) room(b []byte, n int) []byte {
	s.written += n
	if cap(b)-len(b) >= n {
		return b
	}
	want := len(b) + n
	if cap(s.params) >= want {
		return append(s.params[:0], b...)
	}
	grown := append(make([]byte, 0, 2*want), b...)
	if cap(grown) <= mostKept {
		s.params = grown[:0]
	}
	return grown
}
