package testenv

import (
	"testing"
	"time"
)

const pollInterval = 20 * time.Millisecond

// Eventually waits until check is true, and fails the test when it is not within the given time. What is awaited
// stands in the failure, so say it as a sentence.
func Eventually(t testing.TB, within time.Duration, awaited string, check func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for !check() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not so after %s: %s", within, awaited)
		}
	}
}
