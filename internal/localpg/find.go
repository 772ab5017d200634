package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	binEnv = "ONHAND_POSTGRES_BIN" // a folder with initdb and postgres; nothing else is tried when it is set

	oldestMajor = 15 // what onhand supports
)

// Installation is a folder with Postgres server binaries.
type Installation struct {
	Bin   string // absolute
	Major int    // 15, 16, ...
}

// ErrNotInstalled is Find's answer when this machine has no server binaries of a version that onhand supports.
var ErrNotInstalled = errors.New("no PostgreSQL server found")

// Find looks for server binaries: in ONHAND_POSTGRES_BIN alone if that is set; else where pg_config says, in PATH, and
// in the folders that distributions use, of which the newest version wins. Without any, the error is ErrNotInstalled
// and names the command that installs one.
func Find(ctx context.Context) (Installation, error) {
	if dir := os.Getenv(binEnv); dir != "" {
		found, err := inspect(ctx, dir)
		if err != nil {
			return Installation{}, fmt.Errorf("%s=%s: %w", binEnv, dir, err)
		}
		return found, nil
	}

	if found, err := inspect(ctx, pgConfigBin(ctx)); err == nil {
		return found, nil
	}
	var newest Installation
	for _, dir := range usualFolders() {
		if found, err := inspect(ctx, dir); err == nil && found.Major > newest.Major {
			newest = found
		}
	}
	if newest.Bin == "" {
		return Installation{}, fmt.Errorf("%w (version %d or newer): %s", ErrNotInstalled, oldestMajor, howToInstall())
	}
	return newest, nil
}

func pgConfigBin(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func usualFolders() []string {
	var dirs []string
	if postgres, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(postgres))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
		"/usr/pgsql-*/bin",                  // the PostgreSQL project's packages for RHEL and Fedora
		"/usr/libexec/postgresql*",          // Alpine
		"/usr/lib/postgresql*/bin",          // openSUSE
		"/opt/homebrew/opt/postgresql*/bin", // Homebrew on Apple silicon
		"/usr/local/opt/postgresql*/bin",    // Homebrew on Intel
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/local/pgsql/bin", // built from source
	} {
		found, _ := filepath.Glob(pattern) // fails only for a malformed pattern
		dirs = append(dirs, found...)
	}
	return dirs
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect says which version dir holds; client tools alone are not enough.
func inspect(ctx context.Context, dir string) (Installation, error) {
	if dir == "" {
		return Installation{}, ErrNotInstalled
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Installation{}, err
	}
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return Installation{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return Installation{}, fmt.Errorf("ask postgres for its version: %w", err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return Installation{}, fmt.Errorf("ask postgres for its version: it says %q", out)
	}
	major, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return Installation{}, fmt.Errorf("ask postgres for its version: %w", err)
	}
	if major < oldestMajor {
		return Installation{}, fmt.Errorf("version %d is older than %d", major, oldestMajor)
	}
	return Installation{Bin: dir, Major: major}, nil
}
