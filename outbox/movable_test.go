package outbox

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/localpg"
	"onhand/internal/testenv"
)

// schemaURL leads into the outbox's schema on the servers, whichever of them takes writes.
func schemaURL(t *testing.T, servers ...*testenv.PostgresServer) string {
	t.Helper()
	to, hosts := &url.URL{}, make([]string, len(servers))
	for i, s := range servers {
		u, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		to, hosts[i] = u, u.Host
	}
	to.Host = strings.Join(hosts, ",")
	query := to.Query()
	query.Set("search_path", "onhand")
	query.Set("target_session_attrs", "read-write")
	to.RawQuery = query.Encode()
	return to.String()
}

// newMovable is a scene on a cluster of its own, which a replica follows; its relay knows the way to both.
func newMovable(t *testing.T) (w *scene, primary, replica *testenv.PostgresServer) {
	t.Helper()
	primary = testenv.Postgres(t)
	primary.Database()
	replica = primary.Replica()
	w = newSceneAt(t, schemaURL(t, primary, replica), testenv.Brokers(t), testenv.Topic(t, 1))
	return w, primary, replica
}

// waitReplica waits until the replica has all that was committed so far.
func (w *scene) waitReplica() {
	w.t.Helper()
	w.eventually("the replica has everything", func() bool {
		return ask[bool](w, `
select coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false) from pg_stat_replication`)
	})
}

// copyOf is a cluster that was the same as primary a moment ago, and goes its own way: a clone, or what a base backup
// and its log come to.
func copyOf(primary *testenv.PostgresServer) *testenv.PostgresServer {
	clone := primary.Replica()
	clone.Promote()
	return clone
}

// kafkaPosition is how far messages have left by Kafka's word.
func (w *scene) kafkaPosition() place {
	w.t.Helper()
	client, err := sarama.NewClient(w.brokers, kafkalog.Config("test-position", 10*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		w.t.Fatal(err)
	}
	committed, err := reader.Committed(context.Background(), ProducerID(w.install))
	if err != nil {
		w.t.Fatal(err)
	}
	c := committed[kafkalog.TopicPartition{Topic: w.position}]
	return stored(c.Offset, c.Metadata, w.install)
}

// resume is an operator's decision: id is how far messages have left.
func (w *scene) resume(id int64) {
	w.t.Helper()
	turn := w.kafkaPosition().turn
	w.exec(`
update outbox_relay
set done = $1, intent = $1, done_turn = greatest(intent_turn, $2), intent_turn = greatest(intent_turn, $2),
    done_by = null, intent_by = null, overruled = true, halt_reason = null, halt_detail = null, halted_at = null`,
		id, turn)
}

// client runs a program of Postgres.
func client(t *testing.T, program string, args ...string) {
	t.Helper()
	server, err := localpg.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(server.Bin, program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
}

// numbered are n values that begin with prefix.
func numbered(prefix string, n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprint(prefix, " ", i)
	}
	return values
}
