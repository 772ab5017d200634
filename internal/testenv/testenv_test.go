package testenv_test

import (
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestEachDatabaseIsAMigratedSchemaOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := testenv.Database(t), testenv.Database(t)
	if testenv.Schema(t, one) == testenv.Schema(t, other) {
		t.Fatal("two databases share a schema")
	}
	insert := "insert into skus (tenant, sku) values ('', 'a')"
	query(t, one, insert)
	query(t, other, insert)
}

func TestAnEmptyDatabaseHasASchemaAndNoTables(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	var schema string
	var tables int
	connect(t, url).QueryRow(t.Context(), `
select current_schema(), (select count(*) from pg_tables where schemaname = current_schema())`).Scan(&schema, &tables)
	if schema != testenv.Schema(t, url) || tables != 0 {
		t.Fatalf("schema %q has %d tables", schema, tables)
	}
}

func TestASchemaIsGoneAfterItsTest(t *testing.T) {
	t.Parallel()
	var schema string
	t.Run("a test", func(t *testing.T) { schema = testenv.Schema(t, testenv.Database(t)) })
	var exists bool
	row := connect(t, testenv.EmptyDatabase(t)).QueryRow(t.Context(),
		"select exists (select from pg_namespace where nspname = $1)", schema)
	if err := row.Scan(&exists); err != nil || exists {
		t.Fatalf("schema %s exists: %v, %v", schema, exists, err)
	}
}

func TestATopicCanBeWrittenAtOnceAndIsGoneAfterItsTest(t *testing.T) {
	t.Parallel()
	brokers := testenv.Brokers(t)
	var topic string
	t.Run("a test", func(t *testing.T) {
		topic = testenv.Topic(t, 20)
		for partition := range int32(20) {
			produce(t, brokers, topic, partition)
		}
	})
	client, err := sarama.NewClient(brokers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	testenv.Eventually(t, 10*time.Second, "the topic is gone", func() bool {
		_ = client.RefreshMetadata()
		topics, err := client.Topics()
		return err == nil && !slices.Contains(topics, topic)
	})
}

func TestAPrivatePostgresKeepsCommittedRowsAndItsPortThroughACrash(t *testing.T) {
	t.Parallel()
	postgres := testenv.Postgres(t, "max_connections=20")
	url := postgres.Database()
	query(t, url, "insert into skus (tenant, sku) values ('', 'kept')")
	postgres.Crash()
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("a crashed server takes connections")
	}
	postgres.Start()
	var rows, connections int
	conn := connect(t, url)
	err := conn.QueryRow(t.Context(), "select count(*), current_setting('max_connections')::int from skus").
		Scan(&rows, &connections)
	if err != nil || rows != 1 || connections != 20 {
		t.Fatalf("%d rows, %d connections, %v", rows, connections, err)
	}
}

func TestAReplicaFollowsItsClusterUntilItIsPromoted(t *testing.T) {
	t.Parallel()
	primary := testenv.Postgres(t)
	query(t, primary.URL(), "create table notes as select 'before' as note")
	replica := primary.Replica()
	query(t, primary.URL(), "insert into notes values ('after')")
	notes := func(of *testenv.PostgresServer) (n int) {
		if err := connect(t, of.URL()).QueryRow(t.Context(), "select count(*) from notes").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	testenv.Eventually(t, 20*time.Second, "the replica follows", func() bool { return notes(replica) == 2 })
	replica.Promote()
	query(t, replica.URL(), "insert into notes values ('its own')")
	if theirs, ours := notes(primary), notes(replica); theirs != 2 || ours != 3 {
		t.Fatalf("%d rows in the cluster, %d in the copy that was promoted", theirs, ours)
	}
}

func TestAPrivateKafkaKeepsItsTopicsAndItsPortThroughAKill(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t)
	topic := kafka.Topic(1, nil)
	produce(t, kafka.Brokers(), topic, 0)
	kafka.Kill()
	kafka.Start()
	if offset := produce(t, kafka.Brokers(), topic, 0); offset != 1 {
		t.Fatalf("the second record has offset %d", offset)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func query(t *testing.T, url, sql string) {
	t.Helper()
	if _, err := connect(t, url).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func produce(t *testing.T, brokers []string, topic string, partition int32) (offset int64) {
	t.Helper()
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	_, offset, err = producer.SendMessage(&sarama.ProducerMessage{
		Topic: topic, Partition: partition, Value: sarama.StringEncoder("x"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return offset
}
