package main

import (
	"testing"

	"onhand/internal/testenv"
	"onhand/migrations"
)

func TestMigrateUpTellsWhatTheDatabaseHas(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	command(t, "migrate", "status", "--database-url", url).expect(t, exitDone, "00001_core", "pending")
	command(t, "status", "--database-url", url).expect(t, exitRefused, "onhand migrate up")
	command(t, "migrate", "up", "--database-url", url).expect(t, exitDone, "00001_core")
	states := decoded[[]migrations.State](t, command(t, "migrate", "status", "--database-url", url, "-o", "json"))
	if len(states) != migrations.Version() || states[0].AppliedAt == nil {
		t.Errorf("%+v", states)
	}
	command(t, "status", "--database-url", url).expect(t, exitDone)
}

func TestMigrateDownDropsDataOnlyWhenToldSo(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	for range migrations.Version() - 1 {
		command(t, "migrate", "down", "--database-url", url).expect(t, exitDone)
	}
	command(t, "migrate", "down", "--database-url", url).expect(t, exitRefused, "--drop-data")
	command(t, "migrate", "down", "--database-url", url, "--drop-data").expect(t, exitDone, "pending")
	command(t, "migrate", "up", "--database-url", url).expect(t, exitDone)
}

func TestTheSchemaFlagNamesTheSchema(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	other := testenv.Schema(t, url) + " 2nd"
	pool := connect(t, url)
	command(t, "migrate", "up", "--database-url", url, "--schema", other).expect(t, exitDone)
	if !query[bool](t, pool, `select to_regclass(quote_ident($1) || '.stock') is not null`, other) {
		t.Error("the tables are elsewhere")
	}
	execute(t, pool, `drop schema "`+other+`" cascade`)
}
