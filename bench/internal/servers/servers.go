// Package servers starts a Kafka broker and a Postgres cluster for one benchmark alone, durable as in production.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scriptTimeout is long because the first start on a machine downloads what is missing.
const scriptTimeout = 10 * time.Minute

// durable are the settings that a fast but careless server would turn off. Beside observed,
// the rest is Postgres's default.
var durable = []string{"fsync=on", "full_page_writes=on", "synchronous_commit=on"}

// javaOptions are what Kafka's own start script gives a broker. Without the second compiler, as tests start it, a broker
// takes so much of two cores that it is what is measured.
const javaOptions = "KAFKA_JAVA_OPTIONS=-Xms1g -Xmx1g -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 " +
	"-XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"

// Servers are the two, running. Stop ends them and removes their data.
type Servers struct {
	Root    string   // the project's folder
	Brokers []string // Kafka's addresses; there is one
	URL     string   // of Postgres's own database, with no schema

	kafka, postgres string          // folders
	filled          map[string]bool // databases to be copied, by name
}

// Start starts both, Postgres with more settings than its usual ones. They end, at the latest, with this process,
// however it ends.
func Start(ctx context.Context, root string, settings ...string) (*Servers, error) {
	s := &Servers{Root: root}
	if err := s.start(ctx, settings); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Servers) start(ctx context.Context, settings []string) (err error) {
	if s.kafka, err = folder("kafka"); err != nil {
		return err
	}
	if s.postgres, err = folder("postgres"); err != nil {
		return err
	}
	owner := []string{"--throwaway", strconv.Itoa(os.Getpid())}
	address, err := s.script(ctx, "kafka", append([]string{"start", s.kafka}, owner...)...)
	if err != nil {
		return err
	}
	s.Brokers = []string{address}
	args := append([]string{"start", s.postgres}, owner...)
	for _, setting := range slices.Concat(durable, observed, settings) {
		args = append(args, "--set", setting)
	}
	s.URL, err = s.script(ctx, "postgres", args...)
	return err
}

// Postmaster returns the process id of Postgres's first process, whose children are all the others.
func (s *Servers) Postmaster() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.postgres, "data", "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find Postgres's process: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}

// Broker returns the process id of Kafka.
func (s *Servers) Broker() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.kafka, "pid"))
	if err != nil {
		return 0, fmt.Errorf("find Kafka's process: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// Stop ends both at once, for nobody needs their data any more. It also works after a start that failed half way.
func (s *Servers) Stop() error {
	ctx := context.Background() // whatever was cancelled, nothing is left behind
	var errs []error
	for _, server := range []struct{ script, dir, how string }{
		{"kafka", s.kafka, "kill"}, {"postgres", s.postgres, "immediate"},
	} {
		if server.dir == "" {
			continue
		}
		_, err := s.script(ctx, server.script, "stop", server.dir, server.how)
		errs = append(errs, err, os.RemoveAll(server.dir))
	}
	return errors.Join(errs...)
}

func (s *Servers) script(ctx context.Context, name string, args ...string) (string, error) {
	return Script(ctx, s.Root, name, args...)
}

// Script runs one of the project's scripts and returns what it printed.
func Script(ctx context.Context, root, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, scriptTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", name), args...)
	cmd.Env = append(os.Environ(), javaOptions)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("scripts/%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(stdout)), nil
}

// folder makes a new one that Postgres can enter, which runs as another user when this one is root.
func folder(name string) (string, error) {
	dir, err := os.MkdirTemp("", "onhand-bench-"+name+"-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}
