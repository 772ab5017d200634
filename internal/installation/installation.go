// Package installation guards the tie between one database and one consumer group.
//
// Positions live in the database, so two databases behind one group would each apply half of the topic, and one
// database behind two groups would apply it twice over. Both happen by accident: a clone restored from production that
// keeps its configuration, a second deployment with the default group. So the first run writes down who belongs to whom
// (Postgres system, database, Kafka cluster, group) under a fresh uuid, the uuid travels as metadata of the group's
// committed offsets, and from then on whatever does not match refuses to start until `onhand adopt`.
package installation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrGuard says that this database and this group do not belong together. Its text says in what, and the way out.
var ErrGuard = errors.New("refusing to start")

// Installation is one database and the group whose positions it keeps.
type Installation struct {
	ID               uuid.UUID `json:"id"`
	SystemIdentifier int64     `json:"system_identifier,string"` // of the Postgres cluster; a standby has the same
	Database         string    `json:"database"`
	ClusterID        string    `json:"cluster_id"` // of Kafka; empty = the brokers have none
	Group            string    `json:"group"`
}

// Metadata is what the group's committed offsets carry.
func (i Installation) Metadata() string { return i.ID.String() }

// Kafka is the other side as it is found: the cluster, the group, and the metadata of all that the group has committed.
type Kafka struct {
	ClusterID string
	Group     string
	Metadata  []string
}

// Ensure returns the installation of pool's schema. The first run creates it, but not over a group that another
// installation holds. Later ones compare: any difference is ErrGuard.
func Ensure(ctx context.Context, pool *pgxpool.Pool, k Kafka) (Installation, error) {
	here, err := found(ctx, pool, k)
	if err != nil {
		return Installation{}, err
	}
	stored, err := read(ctx, pool)
	if errors.Is(err, pgx.ErrNoRows) {
		if err := guardGroup(uuid.Nil, k); err != nil {
			return Installation{}, err
		}
		if err := create(ctx, pool, here); err != nil {
			return Installation{}, err
		}
		// Whoever came first wins; compare with that.
		stored, err = read(ctx, pool)
	}
	if err != nil {
		return Installation{}, fmt.Errorf("read installation: %w", err)
	}
	if err := guardDatabase(stored, here); err != nil {
		return Installation{}, err
	}
	return stored, stored.CheckGroup(k)
}

// CheckGroup is ErrGuard when another installation has committed to the group. A running service asks again and again:
// two that begin at the same moment find no trace of each other.
func (i Installation) CheckGroup(k Kafka) error { return guardGroup(i.ID, k) }

// guardDatabase compares what the installation remembers with where it is now.
func guardDatabase(stored, here Installation) error {
	var differences []string
	differ := func(what string, was, is any) {
		if was != is {
			differences = append(differences, fmt.Sprintf("%s was %v and is %v", what, was, is))
		}
	}
	differ("the Postgres system identifier", stored.SystemIdentifier, here.SystemIdentifier)
	differ("the database", stored.Database, here.Database)
	if stored.ClusterID != "" && here.ClusterID != "" {
		differ("the Kafka cluster", stored.ClusterID, here.ClusterID)
	}
	differ("the consumer group", stored.Group, here.Group)
	if len(differences) == 0 {
		return nil
	}
	return fmt.Errorf("%w: this database belongs to another place: %s; if it shall work here from now on, and nowhere "+
		"else, run `onhand adopt --because TEXT`", ErrGuard, strings.Join(differences, ", "))
}

// guardGroup looks for another installation in the group's committed offsets. Metadata that is no uuid is not ours to
// judge: tools that reset offsets leave it empty.
func guardGroup(own uuid.UUID, k Kafka) error {
	other := slices.IndexFunc(k.Metadata, func(metadata string) bool {
		id, err := uuid.Parse(metadata)
		return err == nil && id != own
	})
	if other < 0 {
		return nil
	}
	return fmt.Errorf("%w: the consumer group %s is held by installation %s, with a database of its own: choose another "+
		"--group, or take the group over with `onhand adopt --because TEXT` once that installation is stopped for good",
		ErrGuard, k.Group, k.Metadata[other])
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const place = `select system_identifier, current_database() from pg_control_system()`

// found is the installation that would be written down here and now, under a fresh id.
func found(ctx context.Context, q querier, k Kafka) (Installation, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return Installation{}, fmt.Errorf("draw an installation id: %w", err)
	}
	i := Installation{ID: id, ClusterID: k.ClusterID, Group: k.Group}
	if err := q.QueryRow(ctx, place).Scan(&i.SystemIdentifier, &i.Database); err != nil {
		return Installation{}, fmt.Errorf("ask Postgres who it is: %w", err)
	}
	return i, nil
}

const selectRow = `select id, system_identifier, database, cluster_id, consumer_group from installation`

func read(ctx context.Context, q querier) (i Installation, err error) {
	err = q.QueryRow(ctx, selectRow).Scan(&i.ID, &i.SystemIdentifier, &i.Database, &i.ClusterID, &i.Group)
	return i, err
}

// Read returns the installation that is written down, wherever it is now; nil = none is, no run has begun here.
func Read(ctx context.Context, pool *pgxpool.Pool) (*Installation, error) {
	i, err := read(ctx, pool)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read installation: %w", err)
	}
	return &i, nil
}

const insertRow = `
insert into installation (id, system_identifier, database, cluster_id, consumer_group)
values ($1, $2, $3, $4, $5)
on conflict (only_row) do nothing`

func create(ctx context.Context, pool *pgxpool.Pool, i Installation) error {
	_, err := pool.Exec(ctx, insertRow, i.ID, i.SystemIdentifier, i.Database, i.ClusterID, i.Group)
	if err != nil {
		return fmt.Errorf("write installation: %w", err)
	}
	return nil
}

const setOutboxTopic = `update installation set outbox_topic = $1 where outbox_topic <> $1`

// SetOutboxTopic names the topic for messages about changed stock. It belongs to the installation and not to a message:
// what was not published yet goes to the new one too.
func SetOutboxTopic(ctx context.Context, pool *pgxpool.Pool, topic string) error {
	if _, err := pool.Exec(ctx, setOutboxTopic, topic); err != nil {
		return fmt.Errorf("set the outbox topic: %w", err)
	}
	return nil
}
