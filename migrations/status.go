package migrations

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// State is one migration: known to this binary, applied to the database, or both.
type State struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`       // empty = applied by a newer binary
	AppliedAt *time.Time `json:"applied_at"` // nil = pending
}

// Status lists all migrations by version. It writes nothing and takes no lock; a schema that does not exist has every
// migration pending.
func Status(ctx context.Context, url, schema string) ([]State, error) {
	m, err := open(embedded, url, schema)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	defer m.close()
	states, err := m.status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return states, nil
}

const (
	versionTableExists = `select to_regclass(quote_ident($1) || '.goose_db_version') is not null`
	// Zero is goose's own row. A version that was taken back leaves none.
	appliedVersions = `select version_id, max(tstamp) from goose_db_version where is_applied and version_id > 0 group by 1`
)

// status does not use goose's own: it would take the lock and create the version table.
func (m *migrator) status(ctx context.Context) ([]State, error) {
	var states []State
	for _, source := range m.provider.ListSources() {
		name := strings.TrimSuffix(path.Base(source.Path), path.Ext(source.Path))
		states = append(states, State{Version: source.Version, Name: name})
	}
	var exists bool
	if err := m.db.QueryRowContext(ctx, versionTableExists, m.schema).Scan(&exists); err != nil || !exists {
		return states, err
	}
	rows, err := m.db.QueryContext(ctx, appliedVersions)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(states, func(s State) bool { return s.Version == version })
		if i < 0 {
			i = len(states)
			states = append(states, State{Version: version})
		}
		states[i].AppliedAt = &at
	}
	slices.SortFunc(states, func(a, b State) int { return cmp.Compare(a.Version, b.Version) })
	return states, rows.Err()
}

// newestApplied is the migration that Down would take back, or nil.
func newestApplied(states []State) *State {
	for i := len(states) - 1; i >= 0; i-- {
		if states[i].AppliedAt != nil {
			return &states[i]
		}
	}
	return nil
}

// Applied counts the migrations that the database has.
func Applied(states []State) int {
	n := 0
	for _, s := range states {
		if s.AppliedAt != nil {
			n++
		}
	}
	return n
}
