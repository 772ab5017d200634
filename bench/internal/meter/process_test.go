package meter

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestAProcessIsCountedWithItsChildren(t *testing.T) {
	t.Parallel()
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	c, err := takeCensus()
	if err != nil {
		t.Fatal(err)
	}
	pids, err := c.family(os.Getpid())
	if err != nil || pids[0] != os.Getpid() || !slices.Contains(pids, child.Process.Pid) {
		t.Errorf("family %v, %v; want %d and then %d among others", pids, err, os.Getpid(), child.Process.Pid)
	}
	const parent, first, second = 7, 8, 9
	made := census{
		parent: {own: 1, reaped: 20}, first: {parent: parent, own: 300, reaped: 9000}, second: {parent: first, own: 4000},
	}
	if pids, err = made.family(parent); err != nil || !slices.Equal(pids, []int{parent, first}) {
		t.Errorf("family %v, %v", pids, err)
	}
	if got := made.time(pids); got != 321 {
		t.Errorf("%d nanoseconds, want 321", got)
	}
	if _, err := made.family(6); err == nil {
		t.Error("a process that is not there has a family")
	}
}
