package testenv

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests, stops the servers that were started for them, looks for goroutines that the tests left behind
// (when they passed: a failed test leaves some) and ends the process.
func Main(m *testing.M) {
	status := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		status = max(status, 1)
	}
	if status == 0 {
		if err := goleak.Find(knownLeaks()...); err != nil {
			fmt.Fprintln(os.Stderr, "testenv: tests left goroutines behind:", err)
			status = 1
		}
	}
	os.Exit(status)
}

// knownLeaks are goroutines that libraries start once a process and never end, or that sleep for ten seconds after a
// broker could not be reached, whatever is closed meanwhile.
func knownLeaks() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
	}
}
