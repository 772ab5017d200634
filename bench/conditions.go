package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// kafkaVersion is what scripts/kafka starts unless KAFKA_VERSION says otherwise.
const kafkaVersion = "4.4.0"

// conditions notes what the figures depend on, and refuses a database that is not durable.
func (m *measureCmd) conditions(ctx context.Context, stand *servers.Servers) (report.Conditions, error) {
	settings, err := stand.Settings(ctx)
	if err != nil {
		return report.Conditions{}, err
	}
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if settings[name] != "on" {
			return report.Conditions{}, fmt.Errorf("%s is %s: figures without durability mean nothing", name, settings[name])
		}
	}
	return report.Conditions{
		Started: time.Now().UTC(), Code: code(ctx, stand.Root), Cores: runtime.NumCPU(),
		Kafka: cmp.Or(os.Getenv("KAFKA_VERSION"), kafkaVersion), Postgres: settings,
		FloorBatch: m.FloorBatch, Events: m.sizes().events,
	}, nil
}

// code is the commit of the project at root, with a + if something was changed since; empty if git does not know it.
func code(ctx context.Context, root string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--exclude=*", "--abbrev=8",
		"--dirty=+").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// build compiles the product as it is released.
func build(ctx context.Context, root, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/onhand")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build onhand: %w\n%s", err, out)
	}
	return nil
}
