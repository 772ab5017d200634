package verify_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"onhand/internal/testenv"
	"onhand/internal/verify"
	"onhand/outbox"
)

// relay publishes the post's outbox until the test's end, or until the returned function is called.
func (p *post) relay(t *testing.T) (stop func()) {
	t.Helper()
	relay, err := outbox.NewRelay(outbox.Config{
		Brokers: testenv.Brokers(t), Pool: p.pool, Installation: p.id, PositionTopic: p.topic, Member: "verify-test",
		Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel),
	})
	if err != nil {
		t.Fatal(err)
	}
	return testenv.Background(t, patience, "the relay", relay.Run)
}

// empty takes the ledger back to nothing, of which nothing has left.
func (p *post) empty(t *testing.T) {
	t.Helper()
	for _, sql := range []string{
		`delete from movements`, `delete from stock`, `update outbox_relay set done = 0, intent = 0`,
	} {
		change(t, p.pool, sql)
	}
}

// move writes movements of rows of stock as a batch does: one more of each row, under its lock.
func (p *post) move(ctx context.Context, rows int) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`select pg_current_xact_id()`,
			`insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
			 select '', 'S' || n, 'main', 1, 1, 'deny', 't', 0, now() from generate_series(1, $1::int) n
			 on conflict (tenant, sku, location) do update set on_hand = stock.on_hand + 1, version = stock.version + 1`,
			`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
			 select tenant, sku, location, version, 1, on_hand, 'stock.received', 'e', '', first + n
			 from (select s.*, row_number() over () - 1 as n from stock s where $1 > 0) s
			 cross join (select nextval('outbox_id') as first) f`,
		} {
			args := []any{rows}
			if sql == `select pg_current_xact_id()` {
				args = nil
			}
			if _, err := tx.Exec(ctx, sql, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestWhatTheRelayPublishesIsProvedWhileItRuns(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.empty(t)
	p.relay(t)
	const rows, moves = 300, 60
	writing, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(writing)
		for range moves {
			if err := p.move(t.Context(), rows); err != nil {
				failed <- err
				return
			}
		}
	}()
	for ended := false; !ended; {
		select {
		case <-writing:
			ended = true
		default:
		}
		expect(t, p.verify(t), verify.OK)
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	testenv.Eventually(t, time.Minute, "everything has left", func() bool {
		var left bool
		err := p.pool.QueryRow(t.Context(),
			`select done >= (select max(id) from outbox) from outbox_relay`).Scan(&left)
		return err == nil && left
	})
	report := p.verify(t)
	expect(t, report, verify.OK)
	if o := report.Outbox; o.Messages != rows*moves || o.Waiting != 0 || o.Ahead != 0 {
		t.Errorf("%s", shown(report))
	}
	// And the proof is one: a movement that nobody was told of.
	change(t, p.pool, `update movements set delta = 2, on_hand = on_hand + 1 where sku = 'S7' and version = 60`)
	change(t, p.pool, `update stock set on_hand = on_hand + 1 where sku = 'S7'`)
	expectDifference(t, p.verify(t), "'S7' at 'main'", fmt.Sprintf("on_hand %d", moves+1))
}

func TestRestartsOfTheRelayLeaveEachMessageOnce(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.empty(t)
	for range 3 {
		stop := p.relay(t)
		for range 5 {
			if err := p.move(t.Context(), 100); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		expect(t, p.verify(t), verify.OK)
	}
	p.relay(t)
	testenv.Eventually(t, time.Minute, "everything has left", func() bool {
		report := p.verify(t)
		expect(t, report, verify.OK)
		return report.Outbox.Waiting == 0 && report.Outbox.Messages == 3*5*100
	})
}
