// Package database turns what the operator configured into connections: one URL, one schema on the search_path, and a
// password that never comes out again.
package database

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/pgbatch"
)

// DefaultSchema is used when neither the operator nor the URL names a schema.
const DefaultSchema = "onhand"

// maxSchemaBytes is Postgres's limit for an identifier; a longer one would be cut silently.
const maxSchemaBytes = 63

// Config parses url (a postgres:// URL or keyword/value pairs, pool_* settings included) and puts schema on the
// search_path. An empty schema leaves the URL's own search_path, or means DefaultSchema if it has none. It returns the
// name of the schema that unqualified tables will be created in. Errors carry no part of the URL.
func Config(url, schema string) (*pgxpool.Config, string, error) {
	if strings.TrimSpace(url) == "" {
		return nil, "", errors.New("no database URL")
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, "", fmt.Errorf("not a Postgres URL or keyword/value string: %s", parseReason(err))
	}
	params := cfg.ConnConfig.RuntimeParams
	for name := range params {
		// A URL of another scheme ends up here whole, as the name of a parameter that the server would quote back.
		if !parameterName.MatchString(name) {
			return nil, "", errors.New("not a Postgres URL or keyword/value string: a parameter's name is malformed")
		}
	}
	if schema == "" && params["search_path"] == "" {
		if strings.Contains(params["options"], "search_path") {
			return nil, "", errors.New("search_path hidden in `options`: write it as a parameter of its own")
		}
		schema = DefaultSchema
	}
	if schema != "" {
		params["search_path"] = pgx.Identifier{schema}.Sanitize()
	} else if schema, err = firstSchema(params["search_path"]); err != nil {
		return nil, "", err
	}
	cfg.AfterConnect = pgbatch.Prepare
	return cfg, schema, checkSchema(schema)
}

// firstSchema is the first name of a search_path, as Postgres reads it: folded to lower case unless quoted.
func firstSchema(searchPath string) (string, error) {
	s := strings.TrimSpace(searchPath)
	if !strings.HasPrefix(s, `"`) {
		name, _, _ := strings.Cut(s, ",")
		return strings.ToLower(strings.TrimSpace(name)), nil
	}
	var name strings.Builder
	for rest := s[1:]; ; {
		before, after, found := strings.Cut(rest, `"`)
		if !found {
			return "", errors.New("search_path has an unbalanced quote")
		}
		name.WriteString(before)
		if !strings.HasPrefix(after, `"`) {
			return name.String(), nil
		}
		name.WriteByte('"')
		rest = after[1:]
	}
}

func checkSchema(name string) error {
	switch {
	case name == "" || name == "$user":
		return errors.New("search_path must begin with the name of a schema")
	case len(name) > maxSchemaBytes:
		return fmt.Errorf("schema name is longer than %d bytes", maxSchemaBytes)
	case strings.ContainsRune(name, 0):
		return errors.New("schema name contains a NUL")
	case strings.HasPrefix(name, "pg_"), name == "information_schema":
		return fmt.Errorf("schema %q belongs to Postgres", name)
	}
	return nil
}

// parseReason is what err says, less the connection string and anything quoted from it: a URL that does not parse may
// quote a piece of the password as if it were a port.
func parseReason(err error) string {
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) {
		return "it does not parse"
	}
	bare := *parse
	bare.ConnString = ""
	return quoted.ReplaceAllString(strings.TrimPrefix(bare.Error(), "cannot parse ``: "), "…")
}

var (
	quoted        = regexp.MustCompile("\"(?:\\\\.|[^\"\\\\])*\"|`[^`]*`")
	parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
)
