package database_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/database"
)

func TestRedactHidesThePasswordAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://u:s3cr3t@h:5432/db?sslmode=disable":  "postgres://u:xxxxx@h:5432/db?sslmode=disable",
		"postgres://u:s3/cr@3t@h/db":                     "postgres://u:xxxxx@h/db",
		"postgres://u:s3 cr3t@h/db":                      "postgres://u:xxxxx@h/db",
		"postgres://u@h/db?password=s3cr3t&sslmode=x":    "postgres://u@h/db?password=xxxxx&sslmode=x",
		"postgres://u@h/db?sslmode=x&sslpassword=s3cr3t": "postgres://u@h/db?sslmode=x&sslpassword=xxxxx",
		"host=h password=s3cr3t user=u":                  "host=h password=xxxxx user=u",
		"password = s3cr3t host=h":                       "password = xxxxx host=h",
		`host=h password='s3 cr\'3t' user=u`:             "host=h password=xxxxx user=u",
		`host=h password='s3 cr3t`:                       "host=h password=xxxxx",
		`host=h password=s3\ cr3t user=u`:                "host=h password=xxxxx user=u",
		"host=h password=s3&cr3t user=u":                 "host=h password=xxxxx user=u",
		"unexpected argument postgres://u:s3cr3t@h/db":   "unexpected argument postgres://u:xxxxx@h/db",
		"postgres://u@h/db":                              "postgres://u@h/db",
		"password authentication failed for user \"u\"":  "password authentication failed for user \"u\"",
	} {
		if got := database.Redact(in); got != want {
			t.Errorf("%s\n gave %s\n want %s", in, got, want)
		}
	}
}

func TestFailedConnectionsDoNotShowThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://u:s3cr3t@127.0.0.1:1/db?connect_timeout=2",
		"host=127.0.0.1 port=1 user=u password='s3cr3t' connect_timeout=2",
		"postgres://u:s3cr3t@nowhere.invalid,127.0.0.1:1/db?connect_timeout=2&target_session_attrs=read-write",
	} {
		cfg, _, err := database.Config(url, "")
		if err != nil {
			t.Fatal(err)
		}
		cfg.ConnConfig.ConnectTimeout = 2 * time.Second
		pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = pool.Ping(t.Context())
		pool.Close()
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", database.Redact(url), err)
		}
	}
}
