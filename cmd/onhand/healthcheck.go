package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"onhand/internal/cliout"
	"onhand/internal/health"
)

const (
	healthcheckTimeout = 3 * time.Second
	maxAnswerBytes     = 64 << 10
)

type healthcheckCmd struct {
	Listen string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" env:"ONHAND_LISTEN" help:"Where the running onhand listens (${default})."`
}

func (healthcheckCmd) Help() string {
	return `Exits 0 when the running onhand is ready, 1 when it is not or does not answer.

Examples:

  onhand healthcheck
  onhand healthcheck --listen 127.0.0.1:9090 -o json`
}

func (c *healthcheckCmd) settings(p *problems) { p.address("listen", c.Listen, 1) }

func (c *healthcheckCmd) Run(ctx context.Context, con *console) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	answer, err := askReady(ctx, "http://"+dialable(c.Listen)+"/readyz")
	if err != nil {
		return fmt.Errorf("ask whether onhand is ready: %w", err)
	}
	err = con.out.Print(answer, func(t *cliout.Grid) {
		if answer.Ready {
			t.Row("ready")
			return
		}
		t.Row("not ready")
		for _, part := range slices.Sorted(maps.Keys(answer.Reasons)) {
			t.Text("%s: %s", part, answer.Reasons[part])
		}
	})
	if err == nil && !answer.Ready {
		err = &ExitError{Status: exitFailed}
	}
	return err
}

func askReady(ctx context.Context, url string) (answer health.Answer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer, err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswerBytes)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("%s: not onhand's answer: %w", response.Status, err)
	}
	return answer, nil
}

// dialable is where to reach what listens on address: one that listens everywhere is reached here. By number: an image
// without a shell may have nothing that knows the name localhost either.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
