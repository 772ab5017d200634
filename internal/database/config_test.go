package database_test

import (
	"strings"
	"testing"

	"onhand/internal/database"
)

func TestSchemaComesFromTheArgumentThenTheURLThenTheDefault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, schema, name, searchPath string }{
		{"postgres://u@h/db", "", "onhand", `"onhand"`},
		{"postgres://u@h/db", "Shop-1", "Shop-1", `"Shop-1"`},
		{"postgres://u@h/db?search_path=theirs", "", "theirs", "theirs"},
		{"postgres://u@h/db?search_path=theirs", "ours", "ours", `"ours"`},
		{"host=h user=u search_path=Theirs,public", "", "theirs", "Theirs,public"},
		{`host=h user=u search_path='"The""irs", public'`, "", `The"irs`, `"The""irs", public`},
		{"postgres://u@h/db?pool_max_conns=3", "", "onhand", `"onhand"`},
	} {
		cfg, name, err := database.Config(c.url, c.schema)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		searchPath := cfg.ConnConfig.RuntimeParams["search_path"]
		if name != c.name || searchPath != c.searchPath {
			t.Errorf("%s with %q: schema %q, search_path %q", c.url, c.schema, name, searchPath)
		}
	}
}

func TestImpossibleSchemasAreRefusedBeforeConnecting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, schema string }{
		{"postgres://u@h/db", "pg_catalog"},
		{"postgres://u@h/db", strings.Repeat("x", 64)},
		{"postgres://u@h/db?search_path=%22%24user%22%2Cpublic", ""},
		{"postgres://u@h/db?search_path=%22open", ""},
		{"host=h options='-c search_path=hidden'", ""},
		{"", ""},
	} {
		if _, name, err := database.Config(c.url, c.schema); err == nil {
			t.Errorf("%s with %q was accepted as schema %q", c.url, c.schema, name)
		}
	}
}

// Every string here holds the password s3cr3t or pieces of it; none may come out, however broken the string is.
func TestAnUnreadableURLNeverShowsItsPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://u:s3cr3t@h:port/db",
		"postgres://u:s3cr3t@h/db?sslmode=sometimes",
		"postgres://u:s3cr3t@h/db?pool_max_conns=many",
		"postgres://u:s3cr3t%zz@h/db",
		"postgres://u:s3 cr3t@[h/db",
		"mysql://u:s3cr3t@h/db?a=b",
		"mysql://u:s3cr3t@h/db",
		"host=h password='s3cr3t",
		"host=h password = s3cr3t sslmode=x",
		"host=h password s3cr3t",
		"s3cr3t",
	} {
		_, _, err := database.Config(url, "")
		if err == nil {
			t.Errorf("%s was accepted", url)
			continue
		}
		if s := err.Error(); strings.Contains(s, "cr3t") || strings.Contains(s, "s3") {
			t.Errorf("%s: the error says %s", url, s)
		}
	}
}
