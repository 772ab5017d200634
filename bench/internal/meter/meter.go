// Package meter watches one contestant while it works: how far it is, and what that costs.
package meter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// sampleEvery is how often everything is read.
const sampleEvery = 100 * time.Millisecond

// sample is one reading.
type sample struct {
	at       time.Time
	records  int64 // committed
	client   time.Duration
	postgres time.Duration
	wal      int64 // bytes ever written
}

// Meter reads the figures of one contestant.
type Meter struct {
	Clients    []int // process ids; their children count too
	Postmaster int
	Records    int64   // how many there are to do
	From       float64 // the share of them before which nothing counts; default 0.1
	// Done says how many are committed; conn may be used for that.
	Done func(ctx context.Context, conn *pgx.Conn) (int64, error)

	conn    *pgx.Conn
	samples []sample
	peak    int64
}

// Watch reads until all records are done, a client has ended or ctx has. An early end of a client is no error here:
// Reading tells.
func (m *Meter) Watch(ctx context.Context, databaseURL string, ended <-chan struct{}) (err error) {
	if m.conn, err = pgx.Connect(ctx, databaseURL); err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { err = errors.Join(err, m.conn.Close(context.WithoutCancel(ctx))) }()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("watch: %w", ctx.Err())
		case <-ended:
			return nil
		case <-ticker.C:
		}
		s, err := m.read(ctx)
		switch {
		case err != nil && endsSoon(ended):
			return nil // one that has ended has no figures any more
		case err != nil:
			return err
		}
		m.samples = append(m.samples, s)
		if s.records >= m.Records {
			return nil
		}
	}
}

const walPosition = `select (pg_current_wal_insert_lsn() - '0/0')::bigint`

func (m *Meter) read(ctx context.Context) (s sample, err error) {
	if s.records, err = m.Done(ctx, m.conn); err != nil {
		return s, err
	}
	s.at = time.Now()
	if err := m.conn.QueryRow(ctx, walPosition).Scan(&s.wal); err != nil {
		return s, fmt.Errorf("read the WAL's position: %w", err)
	}
	processes, err := takeCensus()
	if err != nil {
		return s, err
	}
	server, err := processes.family(m.Postmaster)
	if err != nil {
		return s, fmt.Errorf("read the use of Postgres: %w", err)
	}
	s.postgres = processes.time(server)
	for _, pid := range m.Clients {
		client, err := processes.family(pid)
		if err != nil {
			return s, fmt.Errorf("read the use of a client: %w", err)
		}
		s.client += processes.time(client)
		if err := m.notePeak(client); err != nil {
			return s, err
		}
	}
	return s, nil
}

// notePeak looks for the largest process of a client, whose own must be there.
func (m *Meter) notePeak(client []int) error {
	for i, pid := range client {
		peak, err := peakMemory(pid)
		if err != nil && i == 0 {
			return err
		}
		m.peak = max(m.peak, peak)
	}
	return nil
}

// endsSoon waits a moment for the news that the client has ended: /proc has it earlier.
func endsSoon(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	case <-time.After(sampleEvery):
		return false
	}
}
