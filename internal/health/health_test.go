package health_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"onhand/internal/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReadyOnceEveryPartIsUsable(t *testing.T) {
	t.Parallel()
	board := health.NewBoard(health.Database, health.Broker)
	url := serve(t, board)

	expect(t, url, false, map[string]string{health.Database: "starting", health.Broker: "starting"})
	board.Set(health.Database, nil)
	board.Set(health.Broker, nil)
	expect(t, url, true, nil)
	board.Set(health.Schema, errors.New("too old"))
	expect(t, url, false, map[string]string{health.Schema: "too old"})
}

func TestAPartSpeaksForItselfAtEveryLook(t *testing.T) {
	t.Parallel()
	board := health.NewBoard()
	url := serve(t, board)
	var refusal error
	board.Ask(health.Partitions, func() error { return refusal })
	expect(t, url, true, nil)
	refusal = errors.New("all halted")
	expect(t, url, false, map[string]string{health.Partitions: "all halted"})
	board.Set(health.Partitions, nil)
	expect(t, url, false, map[string]string{health.Partitions: "all halted"})
}

func TestAliveWhateverTheBoardSays(t *testing.T) {
	t.Parallel()
	url := serve(t, health.NewBoard(health.Database))
	if status, body := get(t, url+"/livez"); status != http.StatusOK || body != "alive\n" {
		t.Errorf("livez: %d %s", status, body)
	}
	if status, _ := get(t, url+"/"); status != http.StatusNotFound {
		t.Errorf("elsewhere: %d", status)
	}
}

func TestATakenAddressIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	url := serve(t, health.NewBoard())
	if _, err := health.Listen(t.Context(), strings.TrimPrefix(url, "http://"), health.NewBoard()); err == nil {
		t.Error("two listen on one address")
	}
}

// serve answers for board until the test ends, and returns where.
func serve(t *testing.T, board *health.Board) string {
	t.Helper()
	server, err := health.Listen(t.Context(), "127.0.0.1:0", board)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + server.Address()
}

func expect(t *testing.T, url string, ready bool, reasons map[string]string) {
	t.Helper()
	status, body := get(t, url+"/readyz")
	var answer health.Answer
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	want := http.StatusServiceUnavailable
	if ready {
		want = http.StatusOK
	}
	if status != want || answer.Ready != ready || len(answer.Reasons) != len(reasons) {
		t.Errorf("readyz: %d %s, want %d %v", status, body, want, reasons)
	}
	for part, reason := range reasons {
		if answer.Reasons[part] != reason {
			t.Errorf("readyz says %s of %s, want %s", answer.Reasons[part], part, reason)
		}
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	// No connection is kept: it would be a leak in the eyes of TestMain.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, b.String()
}
