package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/internal/audit"
	"onhand/internal/cliout"
	"onhand/internal/installation"
	"onhand/internal/kafkalog"
	"onhand/offsets"
	"onhand/outbox"
)

type adoptCmd struct {
	databaseFlags
	brokerFlags
	becauseFlag
	Group string `default:"onhand" placeholder:"NAME" env:"ONHAND_GROUP" help:"Consumer group (${default})."`
}

func (adoptCmd) Help() string {
	return `A database keeps the positions of one consumer group on one cluster. When either is another one than
before (a clone, a restore, a move, another group), run refuses to start, because two databases behind one group would
each apply half of the events. adopt says that the present combination is meant: the database remembers where it is now,
and the group's committed offsets get this database's mark and positions, so that any other installation on the group
refuses to start.

Every member must be stopped: Kafka takes the mark only from an empty group. A database that is a clone or a restore
gets a new identity; its original keeps the old one. If it has ever published messages, its outbox halts then: what the
original has published since is for you to find out, see "onhand outbox show" and "onhand outbox resume".

Examples:

  onhand adopt --because "restored from the backup of 31 January, old server is gone"
  onhand adopt --group stock-eu --because "renamed the group"`
}

// becauseFlag is asked of every command that changes something by hand.
type becauseFlag struct {
	Because string `placeholder:"TEXT" env:"ONHAND_BECAUSE" help:"Why; it is kept in operator_actions."`
}

func (f *becauseFlag) settings(p *problems) {
	if strings.TrimSpace(f.Because) == "" {
		p.add("because", "is missing: say why, for those who wonder later")
	}
}

func (c *adoptCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.brokerFlags.settings(p)
	c.becauseFlag.settings(p)
	p.group(c.Group)
}

func (c *adoptCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, reader, err := openKafka(ctx, c.Brokers)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()

	cluster, err := reader.ClusterID(ctx)
	if err != nil {
		return err
	}
	committed, err := reader.Committed(ctx, c.Group)
	if err != nil {
		return err
	}
	var done adopted
	take := func(ctx context.Context, tx pgx.Tx, a installation.Adoption) (err error) {
		if a.Renamed() {
			if done.OutboxHalted, err = outbox.HaltForNewIdentity(ctx, tx, a.Before.ID); err != nil {
				return err
			}
		}
		return takeGroup(ctx, tx, client, a.After, committed)
	}
	action := audit.Action{Actor: audit.Actor(), Command: "adopt --group " + c.Group, Because: c.Because}
	here := installation.Kafka{ClusterID: cluster, Group: c.Group}
	done.Adoption, err = installation.Adopt(ctx, pool, here, action, take)
	if err != nil {
		return err
	}
	return con.out.Print(done, done.table)
}

// adopted is what the command prints.
type adopted struct {
	installation.Adoption
	OutboxHalted bool `json:"outbox_halted"`
}

func (a *adopted) table(t *cliout.Grid) {
	t.Row("", "installation", "postgres system", "database", "kafka cluster", "group")
	if b := a.Before; b != nil {
		t.Row("before", b.ID, b.SystemIdentifier, b.Database, b.ClusterID, b.Group)
	}
	t.Row("after", a.After.ID, a.After.SystemIdentifier, a.After.Database, a.After.ClusterID, a.After.Group)
	if a.OutboxHalted {
		t.Text("The outbox is halted, because the original may have published what is here too. Look at `onhand outbox " +
			"show`, then decide with `onhand outbox resume`.")
	}
}

// takeGroup gives everything that the group has committed, and every position of ours, the installation's mark. Our
// positions are written as they are stored, so that what Kafka shows does not pass them; others keep their numbers.
func takeGroup(ctx context.Context, tx pgx.Tx, client sarama.Client, i installation.Installation,
	committed map[kafkalog.TopicPartition]kafkalog.Committed,
) error {
	rows, err := offsets.List(ctx, tx)
	if err != nil {
		return err
	}
	positions := make(map[kafkalog.TopicPartition]int64)
	for tp, c := range committed {
		positions[tp] = c.Offset
	}
	for _, row := range rows {
		positions[kafkalog.TopicPartition{Topic: row.Topic, Partition: row.Partition}] = row.Next
	}
	if err := installation.MarkGroup(client, i, positions); err != nil {
		return fmt.Errorf("take the group over: %w", err)
	}
	return nil
}
