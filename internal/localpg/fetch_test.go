package localpg

import (
	"os"
	"testing"
)

func TestADownloadedServerRuns(t *testing.T) {
	dir, err := os.MkdirTemp("", "onhand-fetch-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // the server's account passes through
		t.Fatal(err)
	}
	before := libraryLogs()

	server, err := Fetch(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Create(t.Context(), server, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := queryString(t, c.URL(), "select current_setting('server_version')"); got == "" {
		t.Error("it does not say its version")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if after := libraryLogs(); len(after) > len(before) {
		t.Errorf("left behind: %q", after)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("left beside the binaries: %v", left)
	}
}
