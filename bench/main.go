// Command bench measures onhand against the limit of its database and against other ways to write the same service, on
// a real broker and a real database, and checks what each of them left behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is what the program understands. Contestant is how it calls itself.
type cli struct {
	Measure    measureCmd    `cmd:"" default:"withargs" help:"Run all contestants, round after round, and print how they compare (default)."`
	List       listCmd       `cmd:"" help:"List the workloads."`
	Contestant contestantCmd `cmd:"" hidden:"" help:"Be one contestant."`
}

// Exit statuses, as the product has them.
const (
	exitFailed = 1
	exitUsage  = 2
	exitWrong  = 3 // a contestant left wrong rows
)

// errWrong ends a measurement with its own exit status.
var errWrong = errors.New("a contestant's result is wrong")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	parser, err := kong.New(&cli{}, kong.Name("bench"), kong.Writers(stdout, stderr),
		kong.Description("Measures onhand against the limit of its database and against other ways to write it."),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 110}))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return exitUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	switch err := parsed.Run(&streams{stdout: stdout, stderr: stderr}); {
	case errors.Is(err, errWrong):
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return exitWrong
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	return 0
}

// streams are where data and remarks go.
type streams struct{ stdout, stderr io.Writer }

func (s *streams) say(format string, args ...any) { _, _ = fmt.Fprintf(s.stderr, format+"\n", args...) }
