package network

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// settled is how many commits a connection must have seen before anything counts: at first a client looks around, and
// prepares its statements.
const settled = 5

// Batches is what a batch takes on the wire.
type Batches struct {
	Commits    int64   `json:"commits"` // of all connections
	Trips      float64 `json:"round_trips_per_batch"`
	Statements float64 `json:"statements_per_batch"` // begin and commit included
}

// Counter relays Postgres's protocol and counts the server's answers. Every round trip ends with one ReadyForQuery, for
// a client waits for nothing else, and every statement with one CommandComplete. A round trip that only prepares
// statements, which each connection does once for each of them, belongs to no batch.
type Counter struct {
	*relay
	mu     sync.Mutex
	counts []*count
}

// count is of one connection. What came since the last commit may yet belong to a batch.
type count struct {
	commits                     int64
	trips, statements           int64 // up to the last commit
	tripsSince, statementsSince int64
	parsed, bound               bool // in the present trip
}

// NewCounter listens for clients of that database.
func NewCounter(databaseURL string) (*Counter, error) {
	c := &Counter{}
	var err error
	c.relay, err = newRelay(databaseURL, c.pass)
	return c, err
}

// Address is where clients connect to.
func (c *Counter) Address() string { return c.listener.Addr().String() }

// Close ends all connections.
func (c *Counter) Close() error { return c.close() }

// Batches sums up what was seen so far.
func (c *Counter) Batches() Batches {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b Batches
	var spans, trips, statements int64
	for _, n := range c.counts {
		b.Commits += n.commits
		spans, trips, statements = spans+max(n.commits-settled, 0), trips+n.trips, statements+n.statements
	}
	if spans > 0 {
		b.Trips, b.Statements = float64(trips)/float64(spans), float64(statements)/float64(spans)
	}
	return b
}

func (c *Counter) pass(client, server net.Conn) {
	n := &count{}
	c.mu.Lock()
	c.counts = append(c.counts, n)
	c.mu.Unlock()
	var asking sync.WaitGroup
	asking.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_ = c.answers(n, client, server) // it ends when either side does
	_ = client.Close()
	asking.Wait()
}

// The server's messages: a letter, the length of what follows and of itself.
const (
	headerBytes     = 5
	parseComplete   = '1'
	bindComplete    = '2'
	commandComplete = 'C'
	readyForQuery   = 'Z'
)

// answers passes on what the server says, message by message.
func (c *Counter) answers(n *count, client io.Writer, server io.Reader) error {
	in, out := bufio.NewReaderSize(server, 64<<10), bufio.NewWriterSize(client, 64<<10)
	header := make([]byte, headerBytes)
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if _, err := io.ReadFull(in, header); err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(header[1:])) - 4
		if length < 0 {
			return errors.New("not Postgres's protocol")
		}
		_, _ = out.Write(header) // an error stays until Flush
		switch header[0] {
		case commandComplete:
			tag := make([]byte, length)
			if _, err := io.ReadFull(in, tag); err != nil {
				return err
			}
			_, _ = out.Write(tag)
			c.note(func() { n.completed(string(tag) == "COMMIT\x00") })
			continue
		case parseComplete:
			n.parsed = true
		case bindComplete:
			n.bound = true
		case readyForQuery:
			c.note(n.answered)
		}
		if _, err := io.CopyN(out, in, length); err != nil {
			return err
		}
	}
}

func (c *Counter) note(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
}

// completed counts a statement. What has happened since the last commit belongs to this one, but for the trip that it
// is answered in, whose end is still to come and counts to the next.
func (n *count) completed(commit bool) {
	n.statementsSince++
	if !commit {
		return
	}
	if n.commits >= settled {
		n.trips, n.statements = n.trips+n.tripsSince, n.statements+n.statementsSince
	}
	n.commits++
	n.tripsSince, n.statementsSince = 0, 0
}

func (n *count) answered() {
	if n.bound || !n.parsed {
		n.tripsSince++
	}
	n.parsed, n.bound = false, false
}
