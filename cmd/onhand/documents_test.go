package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/internal/testenv"
	"onhand/inventory"
)

// What the documents list is held against what is there: a list that nothing compares is wrong after a month.

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheReadmeListsEverySettingOfRun(t *testing.T) {
	t.Parallel()
	readme := document(t, "README.md")
	visitCommands(t, func(node *kong.Node, flags []*kong.Flag) {
		if node.FullPath() != "onhand run" {
			return
		}
		for _, flag := range flags {
			for _, env := range flag.Envs {
				if row := regexp.MustCompile("(?m)^\\|.*`--" + flag.Name + "`.*`" + env + "`.*$").FindString(readme); row == "" {
					t.Errorf("no row for --%s, %s", flag.Name, env)
				} else if flag.HasDefault && !strings.Contains(row, "`"+flag.Default+"`") {
					t.Errorf("--%s: the default is %s; the row says %s", flag.Name, flag.Default, row)
				}
			}
		}
	})
}

func TestTheReadmesEventsAreReadAsTheyStand(t *testing.T) {
	t.Parallel()
	readExamples(t, "README.md", 3)
}

// readExamples decodes the events that a document shows first, of which there must be so many at least.
func readExamples(t *testing.T, name string, least int) {
	t.Helper()
	_, rest, _ := strings.Cut(document(t, name), "```json\n")
	examples, _, _ := strings.Cut(rest, "```")
	decoder := inventory.NewDecoder(inventory.DecoderConfig{})
	lines := strings.Split(strings.TrimSpace(examples), "\n")
	if len(lines) < least {
		t.Fatalf("%d examples of events in %s", len(lines), name)
	}
	for _, line := range lines {
		if _, err := decoder.Decode(&inbox.Record{Value: []byte(line)}); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestTestsThatTheDocumentsNameAreThere(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`((?:Test[A-Z]|test_)\\w+)`")
	for _, name := range []string{"README.md", "ARCHITECTURE.md"} {
		for _, match := range named.FindAllStringSubmatch(document(t, name), -1) {
			pattern := `(func|def) ` + match[1] + `\(`
			search := exec.CommandContext(t.Context(), "grep", "-rqE",
				"--include=*_test.go", "--include=test_*.py", pattern, ".")
			search.Dir = "../.."
			if err := search.Run(); err != nil {
				t.Errorf("%s names %s: %v", name, match[1], err)
			}
		}
	}
}

func TestTheArchitectureExplainsEveryColumn(t *testing.T) {
	t.Parallel()
	architecture := document(t, "ARCHITECTURE.md")
	conn, err := pgx.Connect(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `select table_name::text, column_name::text from information_schema.columns
	  where table_schema = current_schema()
	    and table_name not in ('goose_db_version', 'outbox_id') and table_name !~ '_[0-9]$' order by 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	var table, column string
	seen := 0
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		seen++
		_, section, found := strings.Cut(architecture, "\n### "+table+" ")
		section, _, _ = strings.Cut(section, "\n##")
		if !found || !regexp.MustCompile(`\b`+column+`\b`).MatchString(section) {
			t.Errorf("%s.%s is not explained", table, column)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if seen < 60 {
		t.Errorf("%d columns looked at", seen)
	}
}
