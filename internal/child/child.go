// Package child starts processes that do not outlive the one that started them.
//
// A child runs in a process group of its own, so that Ctrl-C on a terminal reaches the parent alone and the parent ends
// its children in the order it chooses. On Linux the kernel ends the child too when the parent dies without a chance
// to do so (SIGKILL): the parent's death signal. That signal follows the *thread* that forked, not the process, so each
// child is started from a goroutine locked to a thread that stays until the child is gone.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a running child, or one that has ended.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts cmd. orphaned is the signal it gets when this process dies first (Linux only). cmd must not have been
// made with a context: whoever cancels it says how with Stop.
func Start(cmd *exec.Cmd, orphaned syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	signalWhenOrphaned(cmd.SysProcAttr, orphaned)

	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Pid returns the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed once the child has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended: nil for exit status 0. It is valid only after Done is closed.
func (p *Process) Err() error { return p.err }

// Signal sends sig. A child that has ended already is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
	}
	return nil
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// ErrKilled is Stop's answer when the child did not end by itself.
var ErrKilled = errors.New("did not end in time and was killed")

// Stop sends sig and waits. A child that has not ended after grace, or when ctx is cancelled, is killed, and the error
// is ErrKilled. How the child ended otherwise is Err's business.
func (p *Process) Stop(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", p.cmd.Path, ErrKilled)
}
