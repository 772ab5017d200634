package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// Fetch downloads server binaries (about 15 MB, kept in the user's cache folder for the next time) and unpacks them
// into dir, which must be one that the server's account can reach. It returns when ctx is cancelled, though the
// download then goes on until this process ends.
func Fetch(ctx context.Context, dir string) (Installation, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return Installation{}, fmt.Errorf("download postgres: %w", err)
	}
	into := filepath.Join(dir, "postgres")
	unpacked := make(chan error, 1)
	go func() { unpacked <- unpack(filepath.Join(cache, "onhand"), into, dir) }()
	select {
	case err = <-unpacked:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return Installation{}, fmt.Errorf("download postgres: %w", err)
	}
	return inspect(ctx, filepath.Join(into, "bin"))
}

// unpack uses the library for its archive alone: its server would run without our durability settings, would outlive
// us, and cannot run when we are root. The library unpacks first and runs initdb next; a locale that does not exist
// ends it between the two. So its error means nothing once the binaries are there, and everything if they are not.
func unpack(cache, into, scratch string) error {
	const noSuchLocale = "stop-before-initdb"
	port, err := freePort()
	if err != nil {
		return err
	}
	before := libraryLogs()
	err = embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		CachePath(cache).
		BinariesPath(into).
		RuntimePath(filepath.Join(scratch, "runtime")).
		Port(uint32(port)).
		Locale(noSuchLocale).
		Logger(io.Discard)).Start()

	// It leaves its log and its password file behind.
	for _, path := range libraryLogs() {
		if !slices.Contains(before, path) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	err = errors.Join(err, os.RemoveAll(filepath.Join(scratch, "runtime")))

	if _, missing := os.Stat(filepath.Join(into, "bin", "postgres")); missing != nil {
		return cmp.Or(err, missing)
	}
	return nil
}

func libraryLogs() []string {
	paths, _ := filepath.Glob(filepath.Join(os.TempDir(), "embedded_postgres_log*")) // the pattern is well-formed
	return paths
}
