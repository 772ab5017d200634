package installation_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"onhand/internal/audit"
	"onhand/internal/installation"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var here = installation.Kafka{ClusterID: "cluster-1", Group: "stock"}

func TestTheFirstRunIsRememberedByAllThatFollow(t *testing.T) {
	t.Parallel()
	pool := database(t)
	ids := make([]uuid.UUID, 8)
	g, ctx := errgroup.WithContext(t.Context())
	for i := range ids {
		g.Go(func() error {
			own, err := installation.Ensure(ctx, pool, here)
			ids[i] = own.ID
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if id != ids[0] || id == uuid.Nil {
			t.Errorf("members that start at once are of the installations %v", ids)
			break
		}
	}
	k := here
	k.Metadata = []string{ids[0].String(), "", "reset by hand", ids[0].String()}
	if own, err := installation.Ensure(t.Context(), pool, k); err != nil || own.ID != ids[0] || own.Group != "stock" {
		t.Errorf("later: %+v, %v", own, err)
	}
}

func TestAnotherGroupOrClusterOrDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	pool := database(t)
	first := ensure(t, pool, here)

	refuses(t, pool, installation.Kafka{ClusterID: "cluster-1", Group: "other"}, "consumer group was stock and is other")
	refuses(t, pool, installation.Kafka{ClusterID: "cluster-2", Group: "stock"},
		"Kafka cluster was cluster-1 and is cluster-2")
	if own := ensure(t, pool, installation.Kafka{Group: "stock"}); own.ID != first.ID {
		t.Error("a broker without a cluster id is another installation")
	}
	for _, change := range []struct{ sql, word string }{
		{"update installation set system_identifier = system_identifier + 1", "system identifier"},
		{"update installation set system_identifier = system_identifier - 1, database = 'stage'", "database was stage"},
	} {
		execute(t, pool, change.sql)
		refuses(t, pool, here, change.word)
	}
}

func TestAGroupOfAnotherInstallationIsRefusedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	pool := database(t)
	taken := here
	taken.Metadata = []string{"", uuid.NewString()}
	refuses(t, pool, taken, "held by installation "+taken.Metadata[1])
	// With a group of its own it may still begin.
	own := ensure(t, pool, installation.Kafka{ClusterID: "cluster-1", Group: "mine"})

	taken = installation.Kafka{ClusterID: "cluster-1", Group: "mine", Metadata: []string{own.Metadata(), uuid.NewString()}}
	refuses(t, pool, taken, "onhand adopt")
}

func TestAdoptKeepsTheIdentityWhenOnlyKafkaChanged(t *testing.T) {
	t.Parallel()
	pool := database(t)
	first := ensure(t, pool, here)
	moved := installation.Kafka{ClusterID: "cluster-2", Group: "other"}
	refuses(t, pool, moved, "onhand adopt")

	adoption, marked := adopt(t, pool, moved)
	if adoption.Before == nil || adoption.Before.ID != first.ID || adoption.After.ID != first.ID || marked.ID != first.ID {
		t.Errorf("%+v, marked for %s", adoption, marked.ID)
	}
	if own := ensure(t, pool, moved); own.ID != first.ID || own.ClusterID != "cluster-2" {
		t.Errorf("after: %+v", own)
	}
	refuses(t, pool, here, "onhand adopt")
	var actor, because, before, after string
	err := pool.QueryRow(t.Context(), `
select actor, because, before ->> 'group', after ->> 'group' from operator_actions`).
		Scan(&actor, &because, &before, &after)
	if err != nil || actor != "someone@here" || because != "moved" || before != "stock" || after != "other" {
		t.Errorf("recorded: %s because %s, %s to %s, %v", actor, because, before, after, err)
	}
}

func TestAdoptGivesACloneAnIdentityOfItsOwn(t *testing.T) {
	t.Parallel()
	pool := database(t)
	original := ensure(t, pool, here)
	execute(t, pool, "update installation set system_identifier = system_identifier + 1")
	adoption, _ := adopt(t, pool, here)
	if adoption.After.ID == original.ID || adoption.After.ID == uuid.Nil {
		t.Errorf("the clone has the identity of its original: %+v", adoption)
	}
	if own := ensure(t, pool, here); own.ID != adoption.After.ID {
		t.Errorf("after: %+v", own)
	}
}

func TestAdoptChangesNothingWhenTheGroupCannotBeTaken(t *testing.T) {
	t.Parallel()
	pool := database(t)
	ensure(t, pool, here)
	refusal := errors.New("the group has members")
	_, err := installation.Adopt(t.Context(), pool, installation.Kafka{ClusterID: "cluster-1", Group: "other"},
		audit.Action{Actor: "someone@here", Command: "adopt", Because: "moved"},
		func(context.Context, pgx.Tx, installation.Adoption) error { return refusal })
	if !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	ensure(t, pool, here)
	var actions int
	err = pool.QueryRow(t.Context(), "select count(*) from operator_actions").Scan(&actions)
	if err != nil || actions != 0 {
		t.Errorf("%d actions are recorded, %v", actions, err)
	}
}

func TestAdoptBeginsWhereThereWasNothing(t *testing.T) {
	t.Parallel()
	pool := database(t)
	adoption, marked := adopt(t, pool, here)
	if adoption.Before != nil || marked.ID != adoption.After.ID {
		t.Errorf("%+v", adoption)
	}
	ensure(t, pool, here)
}

func database(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func ensure(t *testing.T, pool *pgxpool.Pool, k installation.Kafka) installation.Installation {
	t.Helper()
	own, err := installation.Ensure(t.Context(), pool, k)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

func refuses(t *testing.T, pool *pgxpool.Pool, k installation.Kafka, word string) {
	t.Helper()
	_, err := installation.Ensure(t.Context(), pool, k)
	if !errors.Is(err, installation.ErrGuard) || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v, want a refusal with %q", err, word)
	}
}

func adopt(t *testing.T, pool *pgxpool.Pool, k installation.Kafka,
) (adoption installation.Adoption, marked installation.Installation) {
	t.Helper()
	adoption, err := installation.Adopt(t.Context(), pool, k,
		audit.Action{Actor: "someone@here", Command: "adopt", Because: "moved"},
		func(_ context.Context, _ pgx.Tx, a installation.Adoption) error {
			marked = a.After
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return adoption, marked
}

func execute(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestTheOutboxTopicIsTheOneThatWasSetLast(t *testing.T) {
	t.Parallel()
	pool := database(t)
	ensure(t, pool, here)
	for _, topic := range []string{"changes", "changes", "others"} {
		if err := installation.SetOutboxTopic(t.Context(), pool, topic); err != nil {
			t.Fatal(err)
		}
		insert := `insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
			message_id) values ('', $1, 'main', 1, 1, 1, 'stock.received', 'e', '', 1) on conflict do nothing`
		if _, err := pool.Exec(t.Context(), insert, "S"); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := pool.QueryRow(t.Context(), `select topic from outbox`).Scan(&got); err != nil || got != topic {
			t.Errorf("messages go to %q (%v), want %q", got, err, topic)
		}
	}
}
