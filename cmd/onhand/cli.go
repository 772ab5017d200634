package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"onhand/internal/cliout"
)

// cli is every command with its flags; each command is a file of its own.
type cli struct {
	Run         runCmd         `cmd:"" help:"Consume events and keep the stock."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database to the schema of this binary, or back."`
	Status      statusCmd      `cmd:"" help:"Show how far each partition is, and what stopped it."`
	Stock       stockCmd       `cmd:"" help:"Show what is on hand."`
	Explain     explainCmd     `cmd:"" help:"Show what became of an event or a record, and where stock came from."`
	Verify      verifyCmd      `cmd:"" help:"Read the topics again and prove the books against them."`
	Offsets     offsetsCmd     `cmd:"" help:"Look at positions, and let a stopped partition go on."`
	DeadLetters deadLettersCmd `cmd:"" help:"Look at records that could not be read."`
	Outbox      outboxCmd      `cmd:"" help:"Look at outgoing messages, and decide about those that do not leave."`
	Ledger      ledgerCmd      `cmd:"" help:"Look at the ledger of movements, and keep it small."`
	Adopt       adoptCmd       `cmd:"" help:"Take over a database or a consumer group that belongs to another installation."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running onhand whether it is ready; for images without a shell."`
	Produce     produceCmd     `cmd:"" help:"Write made-up events, to try things out."`
	Demo        demoCmd        `cmd:"" help:"Show all of it: feed the service, kill it again and again, and count."`
	Schema      schemaCmd      `cmd:"" help:"Print the JSON Schema of a kind of events."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	Output    string `short:"o" default:"table" placeholder:"table|json" env:"ONHAND_OUTPUT" help:"Form of what is printed: table or json (${default})."`
	LogLevel  string `default:"info" placeholder:"LEVEL" env:"ONHAND_LOG_LEVEL" help:"trace, debug, info, warn or error (${default})."`
	LogFormat string `default:"console" placeholder:"console|json" env:"ONHAND_LOG_FORMAT" help:"Form of the log on stderr: console or json (${default})."`
}

// console is where a command writes: data on stdout, the rest on stderr.
type console struct {
	stdout, stderr io.Writer
	out            *cliout.Printer // data, in the form that -o asks for
	log            zerolog.Logger
}

// say tells people something on stderr.
func (c *console) say(format string, args ...any) { _, _ = fmt.Fprintf(c.stderr, format+"\n", args...) }

// configured is a command that has settings to judge. settings must not connect anywhere; what is wrong goes to p, so
// that all of it is reported at once.
type configured interface{ settings(p *problems) }

// errHelp ends parsing after --help has been printed.
var errHelp = errors.New("help was printed")

// onhand is the whole program: parse, judge the settings, run one command. It returns the exit status.
func onhand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	status, words := outcome(dispatch(ctx, args, stdout, stderr))
	if words != "" {
		_, _ = fmt.Fprintln(stderr, "onhand:", words)
	}
	return status
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c cli
	parser, err := newParser(&c, stdout, stderr)
	if err != nil {
		return fmt.Errorf("describe the commands: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if errors.Is(err, errHelp) {
		return nil
	}
	if err != nil {
		return err
	}

	p := newProblems(parsed.Flags())
	con := &console{stdout: stdout, stderr: stderr}
	con.out = cliout.New(stdout, cliout.Format(p.oneOf("output", c.Output, string(cliout.Table), string(cliout.JSON))))
	con.log = newLogger(stderr,
		p.oneOf("log-level", c.LogLevel, "trace", "debug", "info", "warn", "error"),
		p.oneOf("log-format", c.LogFormat, "console", "json"))
	if command, ok := parsed.Selected().Target.Addr().Interface().(configured); ok {
		command.settings(p)
	}
	if err := p.err(); err != nil {
		return err
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(con)
}

func newParser(c *cli, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("onhand"),
		kong.Description("Keeps the stock of a business right: events from Kafka, stock in Postgres, each record "+
			"exactly once."),
		kong.Writers(stdout, stderr),
		kong.NoDefaultHelp(),
		kong.WithHyphenPrefixedParameters(true), // a negative number is a wrong value, not an unknown flag
		kong.Embed(&helpFlag{}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 110}),
		kong.PostBuild(forgetEmptyVariables),
	)
}

// helpFlag replaces kong's own, which ends the process from within the parser.
type helpFlag struct {
	Help showHelp `short:"h" help:"Show what a command does, with examples."`
}

type showHelp bool

func (showHelp) BeforeReset(ctx *kong.Context) error {
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	return errHelp
}

// forgetEmptyVariables lets an environment variable that is set to nothing count as not set: compose files write them.
func forgetEmptyVariables(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			flag.Tag.Envs = slices.DeleteFunc(slices.Clone(flag.Tag.Envs), func(name string) bool {
				value, set := os.LookupEnv(name)
				return set && value == ""
			})
		}
		return next(nil)
	})
}
