package kafkalog

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// Connections are those of one Kafka client. The client knows no context: while a broker hangs, a call of it goes
// through all its retries, each with its timeouts, which may take minutes. When the connections are cut, what it waits
// for fails at once, and so do its retries. It is of no more use then but to be closed.
type Connections struct {
	dialer net.Dialer
	uncut  context.Context // ends when they are cut
	cut    context.CancelFunc
}

// ConnectionsOf has the clients that are made with c connect by way of what it returns.
func ConnectionsOf(c *sarama.Config) *Connections {
	l := &Connections{dialer: net.Dialer{Timeout: c.Net.DialTimeout, KeepAlive: c.Net.KeepAlive}}
	l.uncut, l.cut = context.WithCancel(context.Background())
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, l
	c.Metadata.Retry.BackoffFunc = l.Backoff(func(int, int) time.Duration { return c.Metadata.Retry.Backoff })
	return l
}

// Dial connects, for as long as they are not cut.
func (l *Connections) Dial(network, address string) (net.Conn, error) {
	conn, err := l.dialer.DialContext(l.uncut, network, address)
	if err != nil {
		return nil, err
	}
	return &connection{conn, context.AfterFunc(l.uncut, func() { _ = conn.Close() })}, nil
}

// Backoff is pause, and none once they are cut.
func (l *Connections) Backoff(pause func(retries, most int) time.Duration) func(retries, most int) time.Duration {
	return func(retries, most int) time.Duration {
		if l.uncut.Err() != nil {
			return 0
		}
		return pause(retries, most)
	}
}

// Cut ends them all.
func (l *Connections) Cut() { l.cut() }

// CutAt cuts them when ctx ends, unless stop is called before.
func (l *Connections) CutAt(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, l.cut)
}

type connection struct {
	net.Conn
	forget func() bool
}

func (c *connection) Close() error {
	c.forget()
	return c.Conn.Close()
}

// Open opens a client with c. It gives up when within is over, or ctx ends; that cuts the client off later, too, and so
// does closing it, which therefore never waits for a broker that hangs.
func Open(ctx context.Context, brokers []string, c *sarama.Config, within time.Duration) (sarama.Client, error) {
	connections := ConnectionsOf(c)
	forget := connections.CutAt(ctx)
	late := time.AfterFunc(within, connections.cut)
	client, err := sarama.NewClient(brokers, c)
	inTime := late.Stop()
	switch {
	case err == nil && inTime:
		return &opened{client, connections, forget}, nil
	case err == nil:
		_ = client.Close()
		fallthrough
	case !inTime && ctx.Err() == nil:
		err = fmt.Errorf("no answer within %v", within)
	}
	forget()
	connections.cut()
	return nil, fmt.Errorf("connect to Kafka: %w", cmp.Or(ctx.Err(), err))
}

type opened struct {
	sarama.Client
	connections *Connections
	forget      func() bool
}

func (o *opened) Close() error {
	o.forget()
	o.connections.cut()
	return o.Client.Close()
}
