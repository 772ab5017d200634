// Package network stands between a contestant and the database: it makes the way longer, or counts what goes over it.
package network

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
)

// Through returns databaseURL with address in the place of the server's.
func Through(databaseURL, address string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", err
	}
	u.Host = address
	return u.String(), nil
}

// relay passes connections on, each one by a function of its own.
type relay struct {
	listener net.Listener
	to       string
	pass     func(client, server net.Conn)

	mu    sync.Mutex
	conns []net.Conn
	over  bool
	ends  sync.WaitGroup
}

func newRelay(databaseURL string, pass func(client, server net.Conn)) (*relay, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	r := &relay{listener: l, to: u.Host, pass: pass}
	r.ends.Go(r.accept)
	return r, nil
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
		if !r.keep(client, server) {
			return
		}
		r.ends.Go(func() { r.pass(client, server) })
	}
}

// keep notes connections that close has to end; false when it has been called already.
func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conns...)
	if r.over {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	return !r.over
}

// close ends all connections and waits until nothing is passed on any more.
func (r *relay) close() error {
	err := r.listener.Close()
	r.mu.Lock()
	r.over = true
	for _, c := range r.conns {
		if closing := c.Close(); closing != nil && !errors.Is(closing, net.ErrClosed) {
			err = errors.Join(err, closing)
		}
	}
	r.mu.Unlock()
	r.ends.Wait()
	return err
}
