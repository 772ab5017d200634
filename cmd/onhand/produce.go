package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"onhand/internal/cliout"
	"onhand/internal/workload"
)

// produceCmd writes made-up events for people who want to see onhand work.
type produceCmd struct {
	brokerFlags
	Topic      string `default:"inventory.events" placeholder:"NAME" env:"ONHAND_TOPIC" help:"Topic to write to (${default})."`
	Partitions string `default:"12" placeholder:"N" env:"ONHAND_PARTITIONS" help:"Partitions, when the topic has to be created (${default})."`

	Events string `default:"100000" placeholder:"N" env:"ONHAND_EVENTS" help:"Records to write (${default})."`
	Rate   string `default:"0" placeholder:"N" env:"ONHAND_RATE" help:"Records a second; 0 is as fast as it goes (${default})."`
	loadFlags

	partitions, events, rate int
}

// loadFlags say what the events are like.
type loadFlags struct {
	SKUs       string `name:"skus" default:"1000" placeholder:"N" env:"ONHAND_SKUS" help:"Different SKUs (${default})."`
	Skew       string `default:"0" placeholder:"S" env:"ONHAND_SKEW" help:"0: events fall evenly on SKUs; above 0: exponent of a Zipf distribution, like 0.99 (${default})."`
	Duplicates string `default:"0" placeholder:"SHARE" env:"ONHAND_DUPLICATES" help:"Share of records that send an earlier event again, 0 to 1 (${default})."`
	Bad        string `default:"0" placeholder:"SHARE" env:"ONHAND_BAD" help:"Share of records that cannot be read, 0 to 1; many in a row stop a partition (${default})."`
	Seed       string `placeholder:"N" env:"ONHAND_SEED" help:"The same seed draws the same SKUs, kinds and quantities; ids are new each time (random)."`

	load workload.Config
}

func (produceCmd) Help() string {
	return `Examples:

  onhand produce --brokers 127.0.0.1:9092
  onhand produce --brokers 127.0.0.1:9092 --events 600000 --skus 10000
  onhand produce --brokers 127.0.0.1:9092 --rate 500 --skew 1.2 --duplicates 0.02 --bad 0.001

Each record is one event in the short form: about 25% receipts, 70% sales and 5% adjustments, the first of a SKU a
receipt. The key is the SKU, so all events of a SKU share a partition and keep their order.`
}

func (f *produceCmd) settings(p *problems) {
	f.brokerFlags.settings(p)
	if strings.Contains(f.Topic, ",") {
		p.add("topic", "%q names several topics: produce writes to one", f.Topic)
	} else {
		p.topic("topic", f.Topic)
	}
	f.partitions = p.number("partitions", f.Partitions, 1, 10_000)
	f.events = p.number("events", f.Events, 1, math.MaxInt32)
	f.rate = p.number("rate", f.Rate, 0, 10_000_000)
	f.loadFlags.settings(p)
}

func (f *loadFlags) settings(p *problems) {
	f.load = workload.Config{
		Seed: p.seed(f.Seed),
		SKUs: p.number("skus", f.SKUs, 1, 100_000_000),
		Skew: p.decimal("skew", f.Skew, 0, 100),

		Duplicates: p.decimal("duplicates", f.Duplicates, 0, 1),
		Bad:        p.decimal("bad", f.Bad, 0, 1),
	}
	if f.load.Duplicates+f.load.Bad > 1 {
		p.add("bad", "%s and --duplicates %s add up to more than 1", f.Bad, f.Duplicates)
	}
}

func (p *problems) decimal(flag, text string, least, most float64) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= least && n <= most) { // this way round NaN is refused too
		p.add(flag, "%q is not a number from %v to %v, like 0.25", text, least, most)
		return 0
	}
	return n
}

// produced is what produce prints.
type produced struct {
	Topic      string  `json:"topic"`
	Partitions int32   `json:"partitions"`
	Created    bool    `json:"created"`
	Seed       uint64  `json:"seed"`
	Records    int64   `json:"records"`
	Fresh      int64   `json:"fresh"`
	Duplicates int64   `json:"duplicates"`
	Bad        int64   `json:"bad"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
}

// Run writes the records. When it is interrupted or a write fails, it still prints what is in the topic.
func (f *produceCmd) Run(ctx context.Context, con *console) (err error) {
	generator, err := workload.New(f.load)
	if err != nil {
		return usage("%w", err)
	}
	sender, err := workload.NewSender(f.Brokers, f.Topic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sender.Close()) }()

	partitions, created, err := sender.EnsureTopic(ctx, int32(f.partitions))
	if err != nil {
		return err
	}
	if created {
		con.say("created topic %s with %d partitions", f.Topic, partitions)
	}

	pace := workload.Unlimited
	if f.rate > 0 {
		pace = workload.Steady(f.rate)
	}
	begin := time.Now()
	stop := con.progress("records", int64(f.events), func() int64 { return sender.Counts().Total() })
	failure := sender.Send(ctx, generator, f.events, pace)
	stop()

	written := sender.Counts()
	took := time.Since(begin).Seconds()
	result := produced{
		Topic: f.Topic, Partitions: partitions, Created: created, Seed: f.load.Seed,
		Records: written.Total(), Fresh: written.Fresh, Duplicates: written.Duplicates, Bad: written.Bad,
		Seconds: math.Round(took*1000) / 1000, PerSecond: math.Round(float64(written.Total()) / took),
	}
	if err := con.out.Print(result, result.rows); err != nil {
		return err
	}
	if errors.Is(failure, context.Canceled) {
		failure = errors.New("interrupted")
	}
	if failure != nil {
		return fmt.Errorf("%d of %d records written: %w", written.Total(), f.events, failure)
	}
	return nil
}

func (r produced) rows(t *cliout.Grid) {
	t.Row("topic", r.Topic)
	t.Row("partitions", r.Partitions)
	t.Row("records", r.Records)
	t.Row("  fresh", r.Fresh)
	t.Row("  duplicates", r.Duplicates)
	t.Row("  bad", r.Bad)
	t.Row("seconds", fmt.Sprintf("%.1f", r.Seconds))
	t.Row("records/s", fmt.Sprintf("%.0f", r.PerSecond))
	t.Row("seed", r.Seed)
}
