package localpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// asParent makes this test binary start a cluster, say where it is, and wait to be killed.
const asParent = "LOCALPG_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) != "" {
		startAndWait()
	}
	os.Exit(m.Run())
}

func startAndWait() {
	server, err := Find(context.Background())
	if err != nil {
		panic(err)
	}
	c, err := Create(context.Background(), server, "")
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Pid(), c.Dir())
	select {}
}

func create(t *testing.T) *Cluster {
	t.Helper()
	server, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Create(t.Context(), server, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func queryString(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestAClusterIsDurableAndItsOwn(t *testing.T) {
	t.Parallel()
	c := create(t)
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		"listen_addresses": "127.0.0.1", "server_encoding": "UTF8",
	} {
		if got := queryString(t, c.URL(), "select current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	_, err := pgx.Connect(t.Context(), strings.Replace(c.URL(), c.password, "guess", 1))
	if err == nil {
		t.Error("a wrong password gets in")
	}
}

func TestCommittedRowsSurviveAnImmediateStop(t *testing.T) {
	t.Parallel()
	c := create(t)
	url := c.URL()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "create table kept as select 1"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{Immediate, Fast} {
		if err := c.Stop(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.Connect(t.Context(), url); err == nil {
			t.Fatal("the stopped server answers")
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.URL() != url {
			t.Fatalf("the address changed from %s to %s", url, c.URL())
		}
		if got := queryString(t, url, "select count(*)::text from kept"); got != "1" {
			t.Fatalf("%s rows, want 1", got)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	c := create(t)
	pid := c.Pid()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	if alive(pid) {
		t.Error("the server is still there")
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	c := create(t)
	if err := c.Stop(t.Context(), Fast); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.data()+"/PG_VERSION", []byte("7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := c.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "incompatible") {
		t.Fatalf("got %v, want the server's own words", err)
	}
	if c.Pid() != 0 {
		t.Error("a server is left running")
	}
}

func TestTheServerDiesWithItsParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asParent+"=1")
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	number, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	t.Cleanup(func() { os.RemoveAll(dir) })
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("the server never ran")
	}

	if err := parent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Fatal("the parent ended by itself")
	}
	eventually(t, "the server ends", func() bool { return !alive(pid) })
}

// alive is false for a zombie too: it runs no more.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, afterName, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(afterName, "Z")
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		case <-tick.C:
		}
	}
}
