package localpg

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindTakesTheNewestSupportedServer(t *testing.T) {
	t.Parallel()
	found, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found.Major < oldestMajor || !filepath.IsAbs(found.Bin) {
		t.Errorf("found %+v", found)
	}
}

func TestAnExplicitFolderIsTheOnlyOneTried(t *testing.T) {
	fake := func(version string) string {
		dir := t.TempDir()
		for _, name := range []string{"initdb", "postgres"} {
			script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for _, c := range []struct{ name, dir, wantError string }{
		{"an empty folder", t.TempDir(), "initdb"},
		{"a version too old", fake("14.9"), "version 14 is older than 15"},
		{"something else", fake("(Debian) banana"), "it says"},
		{"a good one", fake("18.3 (Debian 18.3-1)"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(binEnv, c.dir)
			found, err := Find(t.Context())
			switch {
			case c.wantError == "" && (err != nil || found != Installation{Bin: c.dir, Major: 18}):
				t.Errorf("found %+v, %v", found, err)
			case c.wantError != "" && (err == nil || !strings.Contains(err.Error(), c.wantError)):
				t.Errorf("got %v, want an error about %q", err, c.wantError)
			case errors.Is(err, ErrNotInstalled):
				t.Error("a wrong setting must not look like a missing installation")
			}
		})
	}
}

func TestTheErrorNamesTheSystemsOwnInstaller(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		release string
		want    []string
	}{
		{"NAME=\"Debian\"\nID=debian\n", []string{"debian"}},
		{"ID_LIKE=\"ubuntu debian\"\nID=linuxmint\n", []string{"linuxmint", "ubuntu", "debian"}},
		{"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", []string{"rocky", "rhel", "centos", "fedora"}},
		{"", nil},
	} {
		if got := osFamilies(c.release); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.release, got, c.want)
		}
	}
	if !strings.Contains(howToInstall(), "install") || !strings.Contains(howToInstall(), binEnv) {
		t.Errorf("no help in %q", howToInstall())
	}
}
