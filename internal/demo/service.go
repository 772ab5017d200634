package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"onhand/internal/child"
)

// stopTimeout is how long the service may take to end in order.
const stopTimeout = 10 * time.Second

// sessionTimeout is short, so that the group moves on quickly after a kill.
const sessionTimeout = "6s"

// service is `onhand run` as a process of its own, started and killed again and again.
type service struct {
	binary  string
	logPath string
	env     []string
	process *child.Process // nil = not running
}

func newService(binary, logPath string, env []string) *service {
	// The user's own settings for onhand must not reach the demo's.
	var clean []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ONHAND_") {
			clean = append(clean, variable)
		}
	}
	return &service{binary: binary, logPath: logPath, env: append(clean, env...)}
}

// start starts the service. The log of all its lives goes to one file.
func (s *service) start() error {
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	defer log.Close() //nolint:errcheck // the child writes to a copy of it
	cmd := exec.Command(s.binary, "run", "--session-timeout", sessionTimeout, "--listen", "127.0.0.1:0")
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, log, log
	if s.process, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	return nil
}

func (s *service) pid() int              { return s.process.Pid() }
func (s *service) done() <-chan struct{} { return s.process.Done() }

// kill is the crash: SIGKILL, no chance to finish anything.
func (s *service) kill() error {
	select {
	case <-s.process.Done():
		return s.unexpectedEnd()
	default:
		return s.process.Kill()
	}
}

// stop ends the service in order, or by force when it hangs.
func (s *service) stop() error {
	if s.process == nil {
		return nil
	}
	return s.process.Stop(context.Background(), syscall.SIGTERM, stopTimeout)
}

func (s *service) unexpectedEnd() error {
	ended := "exit status 0"
	if err := s.process.Err(); err != nil {
		ended = err.Error()
	}
	return fmt.Errorf("the service ended by itself (%s); its log ends:\n%s", ended, tail(s.logPath))
}

// once runs another command of onhand to its end.
func (s *service) once(ctx context.Context, args ...string) error {
	if _, status, err := s.command(ctx, args...); err != nil {
		return err
	} else if status != 0 {
		return fmt.Errorf("onhand %s: exit status %d", strings.Join(args, " "), status)
	}
	return nil
}

// command runs another command of onhand and returns what it printed and its exit status. A command that prints to
// stderr and fails puts those words into the error.
func (s *service) command(ctx context.Context, args ...string) (stdout string, status int, err error) {
	var out, words strings.Builder
	cmd := exec.Command(s.binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &out, &words
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return "", 0, err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		return "", 0, errors.Join(ctx.Err(), process.Stop(context.Background(), syscall.SIGTERM, stopTimeout))
	}
	var exit *exec.ExitError
	if err := process.Err(); err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		return "", 0, fmt.Errorf("onhand %s: %w: %s", args[0], err, words.String())
	}
	if exit == nil {
		return out.String(), 0, nil
	}
	const violation = 3 // its words are in what it printed
	if exit.ExitCode() != violation {
		return "", 0, fmt.Errorf("onhand %s: %w: %s", args[0], exit, strings.TrimSpace(words.String()))
	}
	return out.String(), violation, nil
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	const most = 3000 // bytes
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
