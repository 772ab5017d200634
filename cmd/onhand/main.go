// onhand keeps the stock of a business right: from Kafka to Postgres, each record exactly once.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends in order. Without the handler the second one kills at once, which is safe too.
	context.AfterFunc(ctx, stop)
	status := onhand(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
