package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"onhand/internal/testenv"
	"onhand/migrations"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestManyMigratingAtOnceAreSafe(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	schema := searchPath(t, url)
	exec(t, url, "drop schema "+schema+" cascade")

	g, ctx := errgroup.WithContext(t.Context())
	for range 4 {
		g.Go(func() error { return migrations.Up(ctx, url, "") })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	var applied, declared int
	row(t, url, "select count(*) from goose_db_version where version_id = 1", &applied)
	row(t, url, "select count(*) from schema_compatibility", &declared)
	if applied != 1 || declared != migrations.Version() {
		t.Errorf("migration 1 was applied %d times, %d versions are declared", applied, declared)
	}
}

func TestUpDownAndUpAgainEndWithTheSameSchema(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	up(t, migrations.Embedded, url)
	before := tables(t, url)
	for range migrations.Version() {
		if err := migrations.Down(t.Context(), url, ""); err != nil {
			t.Fatal(err)
		}
	}
	if left := tables(t, url); left != "goose_db_version" {
		t.Errorf("down left %s", left)
	}
	if err := migrations.Down(t.Context(), url, ""); err != nil {
		t.Errorf("down with nothing left to take back: %v", err)
	}
	up(t, migrations.Embedded, url)
	if after := tables(t, url); after != before {
		t.Errorf("tables were %s, are %s", before, after)
	}
}

func TestEachMigrationDeclaresItsCompatibility(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	up(t, migrations.Embedded, url)
	var versions []int
	row(t, url, "select array_agg(version order by version) from schema_compatibility", &versions)
	if len(versions) != migrations.Version() || versions[len(versions)-1] != migrations.Version() {
		t.Errorf("declared are %v, the binary knows %d", versions, migrations.Version())
	}
}

func TestStatusNamesPendingAppliedAndForeignMigrations(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	states := status(t, url)
	if len(states) != migrations.Version() || states[0].AppliedAt != nil || states[0].Name != "00001_core" {
		t.Errorf("before: %+v", states)
	}
	if left := tables(t, url); left != "" {
		t.Errorf("asking created %s", left)
	}
	up(t, newer(1), url)
	states = status(t, url)
	last := states[len(states)-1]
	foreign := last.Version == int64(migrations.Version()+1) && last.Name == "" && last.AppliedAt != nil
	if states[0].AppliedAt == nil || !foreign {
		t.Errorf("after: %+v", states)
	}
}

func TestABinaryCannotTakeBackWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	up(t, newer(1), url)
	err := migrations.Down(t.Context(), url, "")
	if err == nil || !strings.Contains(err.Error(), "newer than this binary") {
		t.Errorf("down: %v", err)
	}
	if err := migrations.Up(t.Context(), url, ""); err != nil {
		t.Errorf("up on a newer schema: %v", err)
	}
	if err := migrations.DownFrom(t.Context(), newer(1), url); err != nil {
		t.Fatal(err)
	}
	check(t, url, migrations.Version(), nil)
}

func TestABinaryWorksOnItsOwnSchemaAndOnNewerOnesThatAllowIt(t *testing.T) {
	t.Parallel()
	ours := migrations.Version()
	url := testenv.EmptyDatabase(t)
	check(t, url, ours, migrations.ErrSchema)
	up(t, migrations.Embedded, url)
	check(t, url, ours, nil)
	check(t, url, ours+1, migrations.ErrSchema)
	check(t, url, ours-1, migrations.ErrSchema)

	up(t, newer(ours), url)
	check(t, url, ours, nil)

	strict := testenv.EmptyDatabase(t)
	up(t, newer(ours+1), strict)
	check(t, strict, ours, migrations.ErrSchema)
}

func TestARefusedSchemaSaysWhatToDo(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	err := migrations.Check(t.Context(), connect(t, url))
	if err == nil || !strings.Contains(err.Error(), "onhand migrate up") {
		t.Errorf("the error says %v", err)
	}
}

// newer is this binary's migrations and one more that declares binaries from oldest on still good.
func newer(oldest int) fs.FS {
	files := fstest.MapFS{}
	names, _ := fs.Glob(migrations.Embedded, "*.sql")
	for _, name := range names {
		data, _ := fs.ReadFile(migrations.Embedded, name)
		files[name] = &fstest.MapFile{Data: data}
	}
	next := migrations.Version() + 1
	files[fmt.Sprintf("%05d_next.sql", next)] = &fstest.MapFile{Data: fmt.Appendf(nil, `
-- +goose Up
insert into schema_compatibility (version, oldest) values (%d, %d);
-- +goose Down
delete from schema_compatibility where version = %[1]d;
`, next, oldest)}
	return files
}

func up(t *testing.T, files fs.FS, url string) {
	t.Helper()
	if err := migrations.UpTo(t.Context(), files, url); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, url string) []migrations.State {
	t.Helper()
	states, err := migrations.Status(t.Context(), url, "")
	if err != nil {
		t.Fatal(err)
	}
	return states
}

func check(t *testing.T, url string, binary int, want error) {
	t.Helper()
	if err := migrations.CheckAs(t.Context(), connect(t, url), binary); !errors.Is(err, want) {
		t.Errorf("a binary at version %d: got %v, want %v", binary, err, want)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	if _, err := connect(t, url).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func row(t *testing.T, url, sql string, dest ...any) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), sql).Scan(dest...); err != nil {
		t.Fatal(err)
	}
}

func searchPath(t *testing.T, url string) (schema string) {
	t.Helper()
	row(t, url, "select quote_ident(current_schema())", &schema)
	return schema
}

func tables(t *testing.T, url string) (names string) {
	t.Helper()
	row(t, url, `
select coalesce(string_agg(tablename, ' ' order by tablename), '')
from pg_tables where schemaname = current_schema()`, &names)
	return names
}
