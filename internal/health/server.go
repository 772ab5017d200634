package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	requestTimeout  = 5 * time.Second
	shutdownTimeout = time.Second
)

// Server answers /livez and /readyz.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Answer is what /readyz says; the status is 200 or 503 accordingly.
type Answer struct {
	Ready   bool              `json:"ready"`
	Reasons map[string]string `json:"reasons,omitempty"`
}

// Listen takes the address (host:port; port 0 picks a free one). Requests are answered once Serve runs.
func Listen(ctx context.Context, address string, board *Board) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for health checks: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("alive\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		reasons := board.Reasons()
		w.Header().Set("Content-Type", "application/json")
		if len(reasons) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(Answer{Ready: len(reasons) == 0, Reasons: reasons})
	})
	return &Server{
		listener: listener,
		http:     &http.Server{Handler: mux, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout},
	}, nil
}

// Address is where the server listens, host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Serve answers until ctx ends, and then returns nil.
func (s *Server) Serve(ctx context.Context) error {
	stopped := context.AfterFunc(ctx, func() {
		// The parent has ended; answers under way get a moment of their own.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if s.http.Shutdown(bounded) != nil {
			_ = s.http.Close()
		}
	})
	defer stopped()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answer health checks: %w", err)
	}
	return nil
}
