package testenv

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"
)

// Background runs run until the test ends or stop is called, which ends its context and waits for it, at most so long.
// An error of run, or one that does not end, fails the test. stop may be called again.
func Background(t testing.TB, within time.Duration, what string, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(within):
			t.Errorf("%s does not stop", what)
		}
	})
	t.Cleanup(stop)
	return stop
}

// Buffer can be read while it is written.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written so far.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
