package verify_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
	"onhand/internal/verify"
)

func change(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestBooksThatAreRightAreFoundRight(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	report := s.verify(t, pool)
	expect(t, report, verify.OK)
	if len(report.Partitions) != 2 {
		t.Fatalf("%d partitions were judged, want 2", len(report.Partitions))
	}
	want := verify.Counters{Applied: 5, Rejected: 1, Duplicate: 1, Parked: 3, Skipped: 3}
	if got := report.Partitions[0].Counted; got != want {
		t.Errorf("partition 0 counts %+v, want %+v", got, want)
	}
	want = verify.Counters{Applied: 1, Duplicate: 1, Ignored: 1}
	if got := report.Partitions[1].Counted; got != want {
		t.Errorf("partition 1 counts %+v, want %+v", got, want)
	}
	if want := (verify.Ledger{Stock: 2, Movements: 5, Messages: 5}); report.Ledger != want {
		t.Errorf("the ledger counts %+v, want %+v", report.Ledger, want)
	}
}

func TestAnEmptyInstallationIsRight(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	expect(t, s.verify(t, pool), verify.OK)
}

func TestWhatIsWrittenWhileItRunsIsNotSeen(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	v, err := verify.Begin(t.Context(), s.config(pool))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if got, want := v.Offsets(), int64(partitionEnd0+partitionEnd1); got != want {
		t.Errorf("%d offsets are to be read, want %d", got, want)
	}
	change(t, pool, `delete from inbox`)
	change(t, pool, `update offsets set next = next + 1, applied = applied + 1`)
	report, err := v.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, report, verify.OK)
	if v.Done() != v.Offsets() {
		t.Errorf("%d of %d offsets were read", v.Done(), v.Offsets())
	}
}

func TestAReplayCountsWhatWasAppliedBeforeAsDuplicate(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	change(t, pool, `update offsets set incarnation = 2, applied = 0, rejected = 0, duplicate = 7 where partition = 0`)
	change(t, pool, `insert into dead_letters select topic, partition, 2, "offset", reason, detail, error_position,
		key, value, headers, record_time, parked_at from dead_letters`)
	report := s.verify(t, pool)
	expect(t, report, verify.OK)
	if got := report.Partitions[0].Earlier; got != 6+3 {
		t.Errorf("%d rows are of the earlier incarnation, want 9", got)
	}
}

func TestWhatAnOperatorJumpedOverNeedsNoRow(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	// Offsets 3 to 6 hold a rejected event and three dead letters.
	change(t, pool, `delete from inbox where event_id = 'e3'`)
	change(t, pool, `delete from dead_letters`)
	change(t, pool, `update offsets set rejected = 0, parked = 0, jumped = 4 where partition = 0`)
	change(t, pool, `insert into operator_actions (actor, command, because, topic, partition, before, after)
		select 'me', 'offsets set', 'test', topic, partition,
		  to_jsonb(o) || '{"next": 3}', to_jsonb(o) || '{"next": 7}' from offsets o where partition = 0`)
	expect(t, s.verify(t, pool), verify.OK)
	change(t, pool, `insert into dead_letters (topic, partition, incarnation, "offset", reason)
		values ($1, 0, 1, 4, 'not_json')`, s.topic)
	expect(t, s.verify(t, pool), verify.Violation)
}

func TestARecordThatWasTooLargeForTheServiceIsJudgedByItsSetting(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	change(t, pool, `update dead_letters set reason = 'record_too_large' where reason = 'not_json'`)
	cfg := s.config(pool)
	cfg.MaxRecordBytes = len("not json") - 1
	expect(t, run(t, cfg), verify.OK)
	cfg.MaxRecordBytes++
	expect(t, run(t, cfg), verify.Violation)
}

func TestARecordThatTheDatabaseRefusedMayBeParkedForThat(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	change(t, pool, `update dead_letters set reason = 'refused_by_database'`)
	expect(t, s.verify(t, pool), verify.OK)
}

func TestRecordsThatRetentionRemovedCannotBeJudged(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	admin, err := sarama.NewClusterAdminFromClient(s.client)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.DeleteRecords(s.topic, map[int32]int64{0: 4}); err != nil {
		t.Fatal(err)
	}
	expect(t, s.verify(t, pool), verify.Untold)
	cfg := s.config(pool)
	cfg.FromLogStart = true
	expect(t, run(t, cfg), verify.OK)

	// Rows alone still say that an event has one effect, and how much was applied, rejected and parked.
	change(t, pool, `insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
		message_id) values ('', 'A', 'main', 5, 0, -1, 'stock.adjusted', 'e1', '', nextval('outbox_id'))`)
	change(t, pool, `update stock set version = 5 where sku = 'A'`)
	expect(t, run(t, cfg), verify.Violation)
	s.writeBooks(t, pool)
	change(t, pool, `update offsets set rejected = 0, duplicate = 2 where partition = 0`)
	expect(t, run(t, cfg), verify.Violation)
}

func TestATopicThatIsAnotherOneCannotBeJudged(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	change(t, pool, `update offsets set topic_id = gen_random_uuid()`)
	expect(t, s.verify(t, pool), verify.Untold)
	cfg := s.config(pool)
	cfg.FromLogStart = true
	expect(t, run(t, cfg), verify.Untold)
}

func TestATopicThatIsGoneCannotBeJudged(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	change(t, pool, `update offsets set topic = 'gone-' || topic`)
	change(t, pool, `update inbox set topic = 'gone-' || topic`)
	change(t, pool, `update dead_letters set topic = 'gone-' || topic`)
	expect(t, s.verify(t, pool), verify.Untold)
}

func TestALogThatWasCutBackCannotBeJudged(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	change(t, pool, `update offsets set next = 100, skipped = skipped + 100 - next where partition = 0`)
	expect(t, s.verify(t, pool), verify.Untold)
	change(t, pool, `update offsets set next = 12, skipped = 2, last_hash = 42 where partition = 0`)
	expect(t, s.verify(t, pool), verify.Untold)
}

func TestABrokerThatIsAwayIsAnErrorAndNoVerdict(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	config := kafkalog.Config("verify-test", time.Second)
	config.Metadata.Full = false
	config.Metadata.Retry.Max = 0
	client, err := sarama.NewClient([]string{hanging.Addr().String()}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	log, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Begin(t.Context(), verify.Config{Pool: pool, Log: log}); err == nil {
		t.Error("there was a verdict without a broker")
	}
	// The connection went back to the pool.
	change(t, pool, `update movements set message_id = null`)
}

func TestItEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	v, err := verify.Begin(t.Context(), s.config(s.keepBooks(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

func TestAllDifferencesAreCountedAndTheFirstAreShown(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	change(t, pool, `update movements set message_id = null`)
	change(t, pool, `delete from dead_letters`)
	all := s.verify(t, pool)
	cfg := s.config(pool)
	for _, limit := range []int{0, 1, 5} {
		cfg.Differences = limit
		report := run(t, cfg)
		if report.Found != all.Found || len(report.Differences) != limit {
			t.Errorf("limit %d: %d of %d are shown, of %d", limit, len(report.Differences), report.Found, all.Found)
		}
	}
	// Two records without a row, three counters that no longer fit, five movements without a message.
	if int(all.Found) != len(all.Differences) || all.Found != 2+3+5 {
		t.Errorf("%d differences, %d shown, want 10:\n%s", all.Found, len(all.Differences), shown(all))
	}
}
