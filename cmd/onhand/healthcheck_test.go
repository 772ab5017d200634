package main

import (
	"context"
	"errors"
	"testing"

	"onhand/internal/health"
)

func TestHealthcheckSaysWhatRunningServiceSays(t *testing.T) {
	t.Parallel()
	board := health.NewBoard(health.Broker)
	server, err := health.Listen(t.Context(), "127.0.0.1:0", board)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()

	check := func() ended { return command(t, "healthcheck", "--listen", server.Address()) }
	check().expect(t, exitFailed, "broker: starting")
	board.Set(health.Broker, nil)
	check().expect(t, exitDone, "ready")
	board.Set(health.Database, errors.New("connection refused"))
	check().expect(t, exitFailed, "database: connection refused")
	answer := decoded[health.Answer](t, command(t, "healthcheck", "--listen", server.Address(), "-o", "json"))
	if answer.Ready || answer.Reasons[health.Database] != "connection refused" {
		t.Errorf("as JSON: %+v", answer)
	}

	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	check().expect(t, exitFailed, "ask whether onhand is ready")
}

func TestHealthcheckReachesWhatListensEverywhere(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080",
		"10.1.2.3:8080": "10.1.2.3:8080", "onhand:8080": "onhand:8080",
	} {
		if got := dialable(listen); got != want {
			t.Errorf("%s is asked at %s, want %s", listen, got, want)
		}
	}
}
