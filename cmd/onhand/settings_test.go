package main

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestEveryWrongSettingIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	e := command(t, "run", "-o", "xml", "--log-level", "loud", "--log-format", "paper",
		"--database-url", "postgres://h:x/", "--brokers", "nowhere", "--topic", "a b", "--topic", "same,same",
		"--group", "", "--outbox-topic", "same", "--listen", "80", "--start", "now", "--unknown-kinds", "keep",
		"--expiry-grace", "soon", "--allow-compacted=perhaps", "--session-timeout", "1s", "--balance", "cooperative-sticky",
		"--isolation", "none", "--lanes", "0", "--max-batch", "1e3", "--max-record-bytes", "1TB", "--memory", "1",
		"--dedupe-rows", "1", "--dedupe-age", "1d")
	e.expect(t, exitUsage)
	for _, flag := range []string{
		"output", "log-level", "log-format", "database-url", "brokers", "topic", "group", "outbox-topic", "listen", "start",
		"unknown-kinds", "expiry-grace", "allow-compacted", "session-timeout", "balance", "isolation", "lanes", "max-batch",
		"max-record-bytes", "memory", "dedupe-rows", "dedupe-age",
	} {
		variable := "ONHAND_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		if !strings.Contains(e.stderr, "--"+flag+" ("+variable+"): ") {
			t.Errorf("nothing is said about --%s: %s", flag, e.stderr)
		}
	}
	if e.stdout != "" {
		t.Errorf("stdout has %q", e.stdout)
	}
}

func TestMissingSettingsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	command(t, "run").expect(t, exitUsage,
		"--database-url (ONHAND_DATABASE_URL): is missing", "--brokers (ONHAND_BROKERS): is missing")
	command(t, "stock", "--limit", "none").expect(t, exitUsage, "--database-url (ONHAND_DATABASE_URL)", `--limit: "none"`)
	command(t, "adopt").expect(t, exitUsage, "--database-url", "--brokers", "--because (ONHAND_BECAUSE): is missing")
	command(t, "offsets", "resume", "t", "0", "--because", " ").expect(t, exitUsage, "--database-url", "--because")
	command(t, "offsets", "set", "t", "0", "middle").expect(t, exitUsage, "--database-url", "--because", "<offset>")
}

func TestWhatIsNoCommandIsAUsageError(t *testing.T) {
	t.Parallel()
	command(t, "sell").expect(t, exitUsage, "unexpected argument sell")
	command(t, "run", "--fast").expect(t, exitUsage, "--fast")
	command(t, "migrate").expect(t, exitUsage)
	command(t, "offsets", "resume", "t").expect(t, exitUsage)
	command(t, "offsets", "resume", "t", "first", "--because", "x").expect(t, exitUsage)
}

func TestPasswordsNeverShow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"run", "postgres://u:s3cr3t@h/db"},
		{"run", "--database-urll", "postgres://u:s3cr3t@h/db"},
		{"run", "--database-url", "postgres://u:s3cr3t@h:port/db"},
		{"migrate", "up", "--database-url", "postgres://u:s3cr3t@127.0.0.1:1/db"},
		{"migrate", "status", "--database-url", "host=127.0.0.1 port=1 user=u password = 's3cr3t'"},
		{"status", "--database-url", "host=127.0.0.1 port=1 user=u password=s3cr3t sslmode=disable"},
		{"status", "--database-url", "host=127.0.0.1 password='s3cr3t"},
		{"offsets", "show", "--database-url", "mysql://u:s3cr3t@h/db?a=b"},
		{"run", "--brokers", "postgres://u:s3cr3t@h/db", "--database-url", "postgres://h/db"},
	} {
		e := command(t, args...)
		if e.status == exitDone || e.stderr == "" {
			t.Errorf("%v ended with %d and %q", args, e.status, e.stderr)
		}
		if strings.Contains(e.stdout+e.stderr, "s3cr3t") {
			t.Errorf("%v printed %s %s", args, e.stdout, e.stderr)
		}
	}
}

func TestVariablesStandInForFlagsAndEmptyOnesForNothing(t *testing.T) {
	t.Setenv("ONHAND_LANES", "many")
	t.Setenv("ONHAND_MAX_BATCH", "")
	t.Setenv("ONHAND_BROKERS", "")
	e := command(t, "run", "--database-url", "postgres://h/db").
		expect(t, exitUsage, `--lanes (ONHAND_LANES): "many"`, "--brokers (ONHAND_BROKERS): is missing")
	if strings.Contains(e.stderr, "max-batch") {
		t.Errorf("an empty variable was taken for a setting: %s", e.stderr)
	}
	command(t, "run", "--database-url", "postgres://h/db", "--lanes", "few").expect(t, exitUsage, `"few"`)
}

// oneOff are flags that belong to one call and not to a configuration.
var oneOff = []string{
	"help", "force", "full", "drop-data", "dry-run", "topic", "partition", "incarnation",
	"reason", "limit", "from", "of", "all", "tenant", "location", "prefix", "low", "negative", "reserved", "after",
	"source", "parked", "letters", "before",
}

func TestEverySettingHasItsVariable(t *testing.T) {
	t.Parallel()
	visitCommands(t, func(node *kong.Node, flags []*kong.Flag) {
		for _, flag := range flags {
			want := "ONHAND_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
			switch {
			case len(flag.Envs) == 0 && slices.Contains(oneOff, flag.Name):
			case len(flag.Envs) != 1 || flag.Envs[0] != want:
				t.Errorf("%s --%s has %v, want %s", node.FullPath(), flag.Name, flag.Envs, want)
			}
		}
	})
}

func TestEveryCommandHelpsWithExamplesThatParse(t *testing.T) {
	t.Parallel()
	example := regexp.MustCompile(`(?m)^ +(?:[A-Z_]+=\S+ )*(onhand [^|\n]*)`)
	visitCommands(t, func(node *kong.Node, _ []*kong.Flag) {
		path := strings.Fields(strings.TrimPrefix(node.FullPath(), "onhand"))
		_, examples, found := strings.Cut(command(t, append(path, "--help")...).expect(t, exitDone).stdout, "Examples:")
		examples, _, _ = strings.Cut(examples, "\nFlags:")
		matches := example.FindAllStringSubmatch(examples, -1)
		if !found || len(matches) == 0 {
			t.Errorf("%s has no examples", node.FullPath())
		}
		for _, match := range matches {
			if _, err := parserOf(t).Parse(words(match[1])[1:]); err != nil {
				t.Errorf("example of %s: %s: %v", node.FullPath(), match[1], err)
			}
		}
	})
}

func TestHelpIsDataAndEndsWell(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--help"}, {"-h"}, {"run", "--lanes", "x", "-h"}} {
		if e := command(t, args...).expect(t, exitDone, "Usage: onhand"); e.stderr != "" {
			t.Errorf("%v wrote %q to stderr", args, e.stderr)
		}
	}
}

func TestVersionNamesCommitAndGo(t *testing.T) {
	t.Parallel()
	command(t, "version").expect(t, exitDone, "version", "commit", "go1.")
	if b := decoded[buildInfo](t, command(t, "version", "-o", "json")); b.Version == "" || b.Commit == "" || b.Go == "" {
		t.Errorf("%+v", b)
	}
}

// visitCommands calls visit with each command that does something, and all flags that it takes.
func visitCommands(t *testing.T, visit func(*kong.Node, []*kong.Flag)) {
	t.Helper()
	for _, leaf := range parserOf(t).Model.Leaves(false) {
		visit(leaf, slices.Concat(leaf.AllFlags(false)...))
	}
}

func parserOf(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := newParser(new(cli), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// words cuts a line as a shell would, as far as examples need it.
func words(line string) (args []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
			continue
		}
		args = append(args, strings.Fields(part)...)
	}
	return args
}
