package testenv

import "testing"

// PostgresServer is a cluster for one test alone, which may stop and crash it. Its methods fail the test on errors.
type PostgresServer struct {
	t      testing.TB
	server server
	url    string
}

// Postgres starts a cluster for this test, with settings such as "max_connections=20" on top of those of
// scripts/postgres. It keeps its port over restarts and is removed at the test's end. It takes about two seconds: use
// Database where a schema will do.
func Postgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	p := &PostgresServer{t: t, server: ownServer(t, "postgres", "immediate")}
	p.url = p.start(sets(settings)...)
	return p
}

// Replica starts a copy of the cluster, on a port of its own, that follows it until it is promoted.
func (p *PostgresServer) Replica() *PostgresServer {
	p.t.Helper()
	r := &PostgresServer{t: p.t, server: ownServer(p.t, "postgres", "immediate")}
	r.url = r.start("--replica-of", p.url)
	return r
}

// Promote makes a replica a cluster that follows nobody, and returns when it takes writes.
func (p *PostgresServer) Promote() {
	p.t.Helper()
	execute(p.t, p.url, "select pg_promote()")
}

// URL leads to the cluster's database, with no schema of its own.
func (p *PostgresServer) URL() string { return p.url }

// Database is Database on this cluster; nothing is dropped at the end, the cluster goes as a whole.
func (p *PostgresServer) Database() string {
	p.t.Helper()
	return migrated(p.t, withSearchPath(p.t, p.url, "onhand"))
}

// Stop ends sessions, writes a checkpoint and stops, as an administrator would.
func (p *PostgresServer) Stop() { p.t.Helper(); p.stop("fast") }

// Crash stops without a checkpoint and without a word to its clients; the next Start recovers.
func (p *PostgresServer) Crash() { p.t.Helper(); p.stop("immediate") }

// Start goes on with the same data on the same port and returns when connections are taken.
func (p *PostgresServer) Start() { p.t.Helper(); p.start() }

func (p *PostgresServer) start(options ...string) string {
	p.t.Helper()
	url, err := p.server.start(options...)
	if err != nil {
		p.t.Fatalf("start Postgres: %v", err)
	}
	return url
}

func (p *PostgresServer) stop(how string) {
	p.t.Helper()
	if err := p.server.stop(how); err != nil {
		p.t.Fatalf("stop Postgres: %v", err)
	}
}

// ownServer is a server that goes with its test, data and all.
func ownServer(t testing.TB, script, stopHow string) server {
	t.Helper()
	own, err := newServer(script)
	if err != nil {
		t.Fatalf("start %s: %v", script, err)
	}
	t.Cleanup(func() {
		if err := own.remove(stopHow); err != nil {
			t.Errorf("remove %s: %v", script, err)
		}
	})
	return own
}
