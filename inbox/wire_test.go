package inbox

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// relay passes bytes between clients and the database, and counts round trips: the client speaks after the server did.
// It can swallow the answer to a commit, and cut the connection with it.
type relay struct {
	listener net.Listener
	to       string
	trips    atomic.Int64
	cutNext  atomic.Bool // swallow the next answer that says COMMIT
	cuts     atomic.Int64
	conns    sync.WaitGroup
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: to}
	r.conns.Go(r.accept)
	t.Cleanup(func() {
		_ = l.Close()
		r.conns.Wait()
	})
	return r
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		var spoke atomic.Bool // the server was the last to speak
		both := sync.OnceFunc(func() { _ = client.Close(); _ = server.Close() })
		r.conns.Go(func() {
			defer both()
			r.pump(server, client, func([]byte) bool {
				if spoke.Swap(false) {
					r.trips.Add(1)
				}
				return true
			})
		})
		r.conns.Go(func() {
			defer both()
			r.pump(client, server, func(b []byte) bool {
				spoke.Store(true)
				if bytes.Contains(b, []byte("COMMIT")) && r.cutNext.CompareAndSwap(true, false) {
					r.cuts.Add(1)
					return false
				}
				return true
			})
		})
	}
}

// pump copies from one side to the other while pass agrees.
func (r *relay) pump(to io.Writer, from io.Reader, pass func([]byte) bool) {
	buf := make([]byte, 1<<20)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !pass(buf[:n]) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// through is w's pool, by way of r.
func (w *world) through(r *relay) *pgxpool.Pool {
	w.t.Helper()
	cfg, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.ConnConfig.Host = "127.0.0.1"
	cfg.ConnConfig.Port = uint16(r.listener.Addr().(*net.TCPAddr).Port)
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(pool.Close)
	return pool
}
