package inbox

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// network stands between clients and the database, and does to their connections what its test wants.
type network struct {
	address *net.TCPAddr
	to      string
	over    chan struct{} // closed when the test has ended
	ends    sync.WaitGroup

	// pass is asked about all that is said; false closes the connection on both sides.
	pass func(said []byte, byClient bool) bool
}

func newNetwork(t *testing.T, to string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{address: l.Addr().(*net.TCPAddr), to: to, over: make(chan struct{})}
	n.ends.Go(func() { n.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		close(n.over)
		n.ends.Wait()
	})
	return n
}

func (n *network) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", n.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		ended := make(chan struct{})
		end := sync.OnceFunc(func() { close(ended) })
		n.ends.Go(func() {
			select {
			case <-ended:
			case <-n.over:
			}
			_ = client.Close()
			_ = server.Close()
		})
		n.ends.Go(func() { n.copy(server, client, true); end() })
		n.ends.Go(func() { n.copy(client, server, false); end() })
	}
}

func (n *network) copy(to, from net.Conn, byClient bool) {
	buf := make([]byte, 1<<20)
	for {
		read, err := from.Read(buf)
		if read > 0 && !n.pass(buf[:read], byClient) {
			return
		}
		if _, failed := to.Write(buf[:read]); err != nil || failed != nil {
			return
		}
	}
}

// by is w's pool by way of another address.
func (w *world) by(a *net.TCPAddr) *pgxpool.Pool {
	w.t.Helper()
	cfg, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.ConnConfig.Host, cfg.ConnConfig.Port = "127.0.0.1", uint16(a.Port)
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(pool.Close)
	return pool
}
