package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/audit"
	"onhand/internal/cliout"
	"onhand/internal/database"
	"onhand/outbox"
)

type outboxResumeCmd struct {
	databaseFlags
	positionFlags
	becauseFlag
	From string `placeholder:"database|intent|kafka" help:"Whose word counts about what is out."`
}

func (outboxResumeCmd) Help() string {
	return `A halted outbox publishes nothing until you say where it goes on; "onhand outbox show" has the reason and the
positions. Make sure first that this is the database to go on with. The next member that leads takes your word and tells
Kafka.

With --from database it goes on behind done. What Kafka has beyond that is published again, as far as this database has
it: readers see those messages twice, with the same ids and versions if the database still has them as they were. None
is missing.

With --from intent it goes on behind intent. What was being published last is not published again, even if it never was:
for when you have found it in the topic.

With --from kafka it goes on behind Kafka's position P, and needs --brokers. Nothing up to P is published again.
Messages with ids up to P that this database has and Kafka never got are NOT published, those of transactions that are
under way now included. If P is before done, what lies between is published again, as far as the database still has it.

A transaction that is open in Kafka and whose outcome nobody knows (outcome_unknown) is aborted with --from database,
and committed with --from intent, wherever it is open, before anything else is published. Kafka's position cannot be
read until then, so --from kafka fails. If Kafka has forgotten whose transaction it is, the outbox halts again: only
Kafka's own kafka-transactions.sh can abort it.

If --brokers are given, the sequence of ids is moved past P when it stands before it: new messages have ids that none
had before, and are not taken for passed.

All of this goes by the ids of messages. What a failover has lost and the service has applied again since was written
anew, and may have other ids; its versions are those of the first time, if events came in the same order, and readers
that compare versions can pass over what they have. After a failover that speaks for --from database.

Messages that are set aside stay so.

Examples:

  onhand outbox resume --from database --because "failover to a replica that was behind; readers compare versions"
  onhand outbox resume --from kafka --brokers kafka:9092 --because "restored; readers can bear a gap, not a copy"
  onhand outbox resume --from kafka --of 3f0c1f2e-8a53-4a5c-9d59-0b9f3a1c7f11 --because "moved from the old server"`
}

func (c *outboxResumeCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.positionFlags.settings(p)
	c.becauseFlag.settings(p)
	p.oneOf("from", c.From, string(outbox.FromDatabase), string(outbox.FromIntent), string(outbox.FromKafka))
	if outbox.From(c.From) == outbox.FromKafka && len(c.Brokers) == 0 {
		p.add("brokers", "is missing: --from kafka is for Kafka to say")
	}
}

func (c *outboxResumeCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	// Asked before the row is locked: a broker that hangs must not hold it up.
	kafka, err := c.ask(ctx, con, pool)
	if err != nil {
		return err
	}
	from := outbox.From(c.From)
	var done outbox.Resumption
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		if done, err = outbox.Resume(ctx, tx, from, kafka.plain()); err != nil {
			return err
		}
		return audit.Write(ctx, tx, audit.Action{
			Actor: audit.Actor(), Command: c.typed(), Because: c.Because, Before: done.Before, After: whatFollowed(&done),
		})
	})
	switch {
	case errors.Is(err, outbox.ErrNotHalted):
		return refused("%w: there is nothing to decide (see `onhand outbox show`)", err)
	case errors.Is(err, outbox.ErrNoPosition):
		return refused("%w: decide with --from database or --from intent", err)
	case err != nil:
		return fmt.Errorf("resume: %w", err)
	}
	return con.out.Print(done, func(t *cliout.Grid) { resumptionTable(t, &done) })
}

// ask asks Kafka for its position. Only --from kafka cannot do without.
func (c *outboxResumeCmd) ask(ctx context.Context, con *console, pool *pgxpool.Pool) (*kafkaPosition, error) {
	before, err := outbox.ReadStanding(ctx, pool)
	if err != nil {
		return nil, err
	}
	kafka, err := c.position(ctx, pool, &before)
	if err != nil && outbox.From(c.From) != outbox.FromKafka {
		con.say("Kafka's position is unknown: %s", database.Redact(err.Error()))
		return nil, nil
	}
	return kafka, err
}

// typed is the command as it goes on record.
func (c *outboxResumeCmd) typed() string {
	command := "outbox resume --from " + c.From
	if c.Of != "" {
		command += " --of " + c.of.String()
	}
	return command
}

// followed is what goes on record of a resumption, beside the row as it was.
type followed struct {
	outbox.Standing
	Kafka  *outbox.Position `json:"kafka"`
	Passed int64            `json:"passed"`
	Again  int64            `json:"again"`
	Drawn  int64            `json:"drawn"`
}

func whatFollowed(r *outbox.Resumption) followed {
	return followed{r.After, r.Kafka, r.Passed, r.Again, r.Drawn}
}

func resumptionTable(t *cliout.Grid, r *outbox.Resumption) {
	t.Row("", "BEFORE", "AFTER")
	t.Row("done", at(r.Before.Done, &r.Before.DoneTurn), at(r.After.Done, &r.After.DoneTurn))
	t.Row("intent", at(r.Before.Intent, &r.Before.IntentTurn), at(r.After.Intent, &r.After.IntentTurn))
	t.Row("halt reason", orDash(r.Before.HaltReason), orDash(r.After.HaltReason))
	if r.Kafka != nil {
		t.Text("Kafka's position was %s.", at(r.Kafka.ID, r.Kafka.Turn))
	}
	if r.Passed > 0 {
		t.Text("%s messages of this database are passed over: they will not be published.", bounded(r.Passed))
	}
	if r.Again > 0 {
		t.Text("%s messages are published again.", bounded(r.Again))
	}
	if r.Drawn > 0 {
		t.Text("%d numbers of the sequence outbox_id were used up, so that new messages come behind the position.", r.Drawn)
	}
}

// bounded is a count that stops somewhere.
func bounded(n int64) string {
	if n >= outbox.MaxCounted {
		return fmt.Sprintf("%d or more", n)
	}
	return strconv.FormatInt(n, 10)
}
