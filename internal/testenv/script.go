package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// On a new machine the first start installs and downloads what is missing.
const scriptTimeout = 10 * time.Minute

// server is one that a script starts in a folder of its own.
type server struct {
	script string // its name in scripts/
	dir    string
}

// newServer makes the folder. Not t.TempDir: that lies in a folder that only the user running the tests may enter, and
// Postgres runs as another one when that user is root.
func newServer(script string) (server, error) {
	dir, err := os.MkdirTemp("", "onhand-"+script+"-")
	if err != nil {
		return server{}, err
	}
	return server{script: script, dir: dir}, os.Chmod(dir, 0o755)
}

// start returns what the script prints, the server's address. The server does not outlive this process: the script
// leaves a watcher behind that ends it even after a SIGKILL of the tests.
func (s server) start(options ...string) (string, error) {
	return s.run(append([]string{"start", s.dir, "--throwaway", strconv.Itoa(os.Getpid())}, options...)...)
}

// sets are the options for these settings.
func sets(settings []string) (options []string) {
	for _, setting := range settings {
		options = append(options, "--set", setting)
	}
	return options
}

func (s server) stop(how ...string) error {
	_, err := s.run(append([]string{"stop", s.dir}, how...)...)
	return err
}

// pid is the server's process id, which the script keeps in DIR/pid.
func (s server) pid() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// remove stops the server at once, for nobody needs its data any more.
func (s server) remove(how string) error {
	return errors.Join(s.stop(how), os.RemoveAll(s.dir))
}

func (s server) run(args ...string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", s.script), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("scripts/%s %s: %w\n%s", s.script, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(stdout)), nil
}

// moduleRoot looks upwards from the working directory, which `go test` sets to the package's own folder.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "kafka")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no scripts/kafka above the working directory")
		}
		dir = parent
	}
}
