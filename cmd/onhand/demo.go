package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"onhand/internal/cliout"
	"onhand/internal/database"
	"onhand/internal/demo"
)

// demoCmd shows everything at once, on a machine that has nothing yet.
type demoCmd struct {
	DatabaseURL string `placeholder:"URL" env:"ONHAND_DATABASE_URL" help:"Postgres to make a schema in, dropped afterwards; without it a private server is started."`
	Events      string `default:"60000" placeholder:"N" env:"ONHAND_EVENTS" help:"Records to feed (${default})."`
	Kills       string `default:"5" placeholder:"N" env:"ONHAND_KILLS" help:"How often the service is killed meanwhile (${default})."`
	Seed        string `placeholder:"N" env:"ONHAND_SEED" help:"The same seed feeds the same events and kills at the same points (random)."`
	Keep        toggle `env:"ONHAND_KEEP" help:"Leave everything running at the end, until Ctrl-C, and say how to look at it."`

	events, kills int
	seed          uint64
	keep          bool
}

func (demoCmd) Help() string {
	return `Starts a Kafka-protocol broker inside this process, a private Postgres and the real service, feeds it,
kills it with SIGKILL again and again while events flow, and then counts everything again. Takes less than a minute;
nothing is left behind. The exit status is 0 when nothing was lost or doubled, and 3 when something was.

Examples:

  onhand demo
  onhand demo --kills 3 --seed 7
  onhand demo --keep
  onhand demo --database-url postgres://me@127.0.0.1:5432/scratch`
}

func (f *demoCmd) settings(p *problems) {
	f.events = p.number("events", f.Events, 1000, 10_000_000)
	f.kills = p.number("kills", f.Kills, 0, 20)
	f.seed = p.seed(f.Seed)
	f.keep = p.toggle("keep", f.Keep)
	if strings.TrimSpace(f.DatabaseURL) == "" {
		f.DatabaseURL = ""
		return
	}
	if _, _, err := database.Config(f.DatabaseURL, database.DefaultSchema); err != nil {
		p.add("database-url", "%s", err)
	}
}

// seed reads a seed; an empty text draws one.
func (p *problems) seed(text string) uint64 {
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		p.add("seed", "%q is not a whole number from 0 to %d", text, uint64(math.MaxUint64))
	}
	return seed
}

// Run runs the demo. Whatever ends it, Ctrl-C included, takes everything down that was started.
func (f *demoCmd) Run(ctx context.Context, con *console) (err error) {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's own file: %w", err)
	}
	con.say("seed      %d", f.seed)
	d, err := demo.Start(ctx, demo.Config{
		Binary: binary, DatabaseURL: f.DatabaseURL, Events: f.events, Kills: f.kills, Seed: f.seed, Say: con.say,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	result, err := d.Run(ctx)
	if err != nil {
		return err
	}
	if err := con.out.Print(result, func(t *cliout.Grid) { demoRows(t, &result) }); err != nil {
		return err
	}
	if f.keep {
		con.say("\n%s\n\nCtrl-C ends and removes all of it.", f.howToLook(d))
		if err := d.Wait(ctx); err != nil {
			return err
		}
	}
	if !result.Good() {
		return &ExitError{Status: exitViolation, Err: fmt.Errorf(
			"not everything was applied exactly once: look closer with `onhand demo --keep --seed %d`", f.seed)}
	}
	return nil
}

func demoRows(t *cliout.Grid, r *demo.Result) {
	t.Row("events sent", r.Sent)
	t.Row("applied", r.Applied)
	t.Row("rejected", r.Rejected)
	t.Row("duplicates", r.Duplicates)
	t.Row("parked", r.Parked)
	t.Row("crashes", r.Crashes)
	t.Row("lost", r.Lost)
	t.Row("doubled", r.Doubled)
	t.Row("wrong stock", r.Wrong)
	t.Row("events/s", fmt.Sprintf("%.0f, all crashes included; fastest second %d", r.PerSecond, r.FastestSecond))
	t.Row("verify", r.Verify.Verdict)
	for _, d := range r.Verify.Differences {
		t.Row("  "+d.Invariant, fmt.Sprintf("%s: expected %s, found %s", d.Place, d.Expected, d.Found))
	}
}

// howToLook is what a person types to see the running demo from another terminal. A password that they gave does not
// come back out.
func (f *demoCmd) howToLook(d *demo.Demo) string {
	var b strings.Builder
	b.WriteString("Everything still runs. In another terminal:\n")
	for _, variable := range d.Environment() {
		name, value, _ := strings.Cut(variable, "=")
		if name == "ONHAND_DATABASE_URL" && f.DatabaseURL != "" {
			value = "(the one that you gave)"
		}
		fmt.Fprintf(&b, "\n  export %s='%s'", name, value)
	}
	b.WriteString("\n")
	for _, arguments := range []string{"status", "dead-letters list", "produce --events 10000", "verify"} {
		fmt.Fprintf(&b, "\n  %s %s", os.Args[0], arguments)
	}
	b.WriteString(`
  PGOPTIONS="-c search_path=$ONHAND_SCHEMA" psql "$ONHAND_DATABASE_URL" -c 'select * from stock limit 10'`)
	return b.String()
}
