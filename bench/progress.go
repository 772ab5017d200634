package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/servers"
)

const storedRecords = `select coalesce(sum(next - start), 0)::bigint from offsets`

// storedProgress is how far onhand is, which its positions tell.
func storedProgress(ctx context.Context, conn *pgx.Conn) (n int64, err error) {
	if err := conn.QueryRow(ctx, storedRecords).Scan(&n); err != nil {
		return 0, fmt.Errorf("read positions: %w", err)
	}
	return n, nil
}

const publishedMessage = `select done from outbox_relay`

// publishedProgress is how far the relay is with a prepared outbox, which its row tells.
func publishedProgress(ctx context.Context, conn *pgx.Conn) (int64, error) {
	var id int64
	if err := conn.QueryRow(ctx, publishedMessage).Scan(&id); err != nil {
		return 0, fmt.Errorf("read the relay's position: %w", err)
	}
	return servers.MessagesUpTo(id), nil
}

// progress is how far a peer is, which it writes itself, a number a line.
type progress struct {
	rest  []byte // the beginning of a line
	count atomic.Int64
}

// Write takes in what the peer wrote.
func (p *progress) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, found := bytes.Cut(p.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		p.rest = rest
		n, err := strconv.ParseInt(string(line), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("a contestant's progress: %w", err)
		}
		p.count.Store(n)
	}
}

func (p *progress) latest(context.Context, *pgx.Conn) (int64, error) { return p.count.Load(), nil }
