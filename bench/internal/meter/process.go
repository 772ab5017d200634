package meter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc, the same on every Linux that Go runs on.
const tick = time.Second / 100

// usage is what /proc says about one process, or thread.
type usage struct {
	name   string // cut by the kernel
	parent int
	own    time.Duration // user and system
	reaped time.Duration // of its children that have ended
}

func processUsage(pid int) (usage, error) { return readUsage(fmt.Sprintf("/proc/%d/stat", pid)) }

func readUsage(file string) (usage, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return usage{}, err
	}
	// The name, in parentheses, may hold anything; what follows are numbers but for the state.
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	const parent, user, system, reapedUser, reapedSystem = 1, 11, 12, 13, 14
	if len(fields) <= reapedSystem {
		return usage{}, fmt.Errorf("%s has %d fields", file, len(fields))
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64) // the kernel writes numbers
		return n
	}
	return usage{
		name:   string(text[begin+1 : end]),
		parent: int(number(parent)),
		own:    time.Duration(number(user)+number(system)) * tick,
		reaped: time.Duration(number(reapedUser)+number(reapedSystem)) * tick,
	}, nil
}

// ThreadTime is the processor time of those threads of a process whose names contain name, of which the kernel keeps the
// first 15 bytes. It is an error if there is none.
func ThreadTime(pid int, name string) (total time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return 0, err
	}
	found := false
	for _, thread := range threads {
		if u, err := readUsage(thread); err == nil && strings.Contains(u.name, name) { // else it has ended since
			found = true
			total += u.own
		}
	}
	if !found {
		return 0, fmt.Errorf("process %d has no thread named %s", pid, name)
	}
	return total, nil
}

// census is what /proc says about all processes, by their ids.
type census map[int]usage

func takeCensus() (census, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	c := make(census, len(entries))
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if u, err := processUsage(id); err == nil { // else it has ended since
			c[id] = u
		}
	}
	return c, nil
}

// family is a process and its children.
func (c census) family(pid int) (pids []int, err error) {
	if _, alive := c[pid]; !alive {
		return nil, fmt.Errorf("process %d has ended", pid)
	}
	pids = append(pids, pid)
	for id, u := range c {
		if u.parent == pid {
			pids = append(pids, id)
		}
	}
	return pids, nil
}

// time is the processor time of a process and its children, those that have ended included.
func (c census) time(pids []int) time.Duration {
	head := c[pids[0]]
	all := head.own + head.reaped
	for _, id := range pids[1:] {
		all += c[id].own
	}
	return all
}

// errNoMemory says that a process has ended, and nobody has asked how.
var errNoMemory = errors.New("a process without memory")

// peakMemory is the most memory that a process has had resident, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errNoMemory
}
