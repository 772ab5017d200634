package outbox

import (
	"os"
	"testing"

	"onhand/internal/testenv"
)

// The tests start this binary again as a process that is nothing but a relay, to kill and to freeze it.
func TestMain(m *testing.M) {
	if o := os.Getenv(ordersVariable); o != "" {
		os.Exit(relayProcess(o))
	}
	testenv.Main(m)
}
