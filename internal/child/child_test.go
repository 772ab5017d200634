package child

import (
	"bufio"
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const stubborn = `trap '' TERM; echo ready; exec sleep 60`

func start(t *testing.T, script string) *Process {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStopWaitsForAChildThatObeys(t *testing.T) {
	t.Parallel()
	p := start(t, `trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done`)
	if err := p.Stop(t.Context(), syscall.SIGTERM, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.ExitCode() != 7 {
		t.Errorf("it ended with %v, want exit status 7", p.Err())
	}
	if err := p.Stop(t.Context(), syscall.SIGTERM, time.Second); err != nil {
		t.Errorf("stopping it twice: %v", err)
	}
}

func TestStopKillsAChildThatHangs(t *testing.T) {
	t.Parallel()
	p := start(t, stubborn)
	if err := p.Stop(t.Context(), syscall.SIGTERM, 50*time.Millisecond); !errors.Is(err, ErrKilled) {
		t.Errorf("got %v, want ErrKilled", err)
	}
	<-p.Done()
}

func TestAChildDoesNotShareItsParentsProcessGroup(t *testing.T) {
	t.Parallel()
	p := start(t, stubborn)
	group, err := syscall.Getpgid(p.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if group != p.Pid() {
		t.Errorf("it is in group %d: Ctrl-C would reach it", group)
	}
}

func TestAProgramThatIsMissingIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := Start(exec.Command("/no/such/program"), syscall.SIGKILL); err == nil {
		t.Error("no error")
	}
}
