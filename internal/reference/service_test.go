package reference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"onhand/inbox"
	"onhand/internal/testenv"
	"onhand/inventory"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// serviceKnows is what the service is held to: all that it does so far. What it learns is added here, and nowhere else.
func serviceKnows() Features {
	f := Everything()
	return f
}

// lane is one lane of a service as its handler sees it: batches, each in a transaction, without what an earlier batch,
// or an earlier record of the same, has decided already.
type lane struct {
	conn    *pgx.Conn
	decoder *inventory.Decoder
	handler *inventory.Handler
	known   map[Identity]int64 // fingerprints
}

func newLane(conn *pgx.Conn) *lane {
	return &lane{conn, inventory.NewDecoder(inventory.DecoderConfig{}), inventory.NewHandler(inventory.Config{}), nil}
}

// apply has commit commit one batch, and returns what became of each record.
func (l *lane) apply(
	ctx context.Context, batch []Record, commit func(ctx context.Context, all, fresh []*inbox.Item) error,
) ([]Outcome, error) {
	outcomes := make([]Outcome, len(batch))
	var all, fresh []*inbox.Item
	decided := make(map[*inbox.Item]*Outcome)
	for i, r := range batch {
		event, err := l.decoder.Decode(&inbox.Record{
			Topic: r.Partition.Topic, Partition: r.Partition.ID, Offset: int64(i), Value: r.Value, Timestamp: r.Timestamp,
		})
		var refusal *inbox.Refusal
		if errors.As(err, &refusal) {
			outcomes[i] = Outcome{Parked, refusal.Code}
			continue
		}
		if err != nil {
			return nil, err
		}
		item := &inbox.Item{Event: event}
		all = append(all, item)
		id := Identity{event.Tenant, event.ID, event.Source}
		fingerprint, ok := l.known[id]
		switch {
		case ok && fingerprint == event.Fingerprint:
			outcomes[i].Verdict = Duplicate
		case ok:
			outcomes[i].Verdict = Conflict
		default:
			l.known[id] = event.Fingerprint
			fresh = append(fresh, item)
			decided[item] = &outcomes[i]
		}
	}
	if err := commit(ctx, all, fresh); err != nil {
		return nil, err
	}
	for item, o := range decided {
		*o = Outcome{Verdict: Applied}
		if item.Rejected() != "" {
			*o = Outcome{Rejected, item.Rejected()}
		}
	}
	return outcomes, nil
}

// commit runs the batch until what was locked is what was needed, as the inbox does.
func (l *lane) commit(ctx context.Context, all, fresh []*inbox.Item) error {
	for {
		if err := l.try(ctx, all, fresh); !errors.Is(err, inbox.ErrRunAgain) {
			return err
		}
	}
}

func (l *lane) try(ctx context.Context, all, fresh []*inbox.Item) error {
	return pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error { return l.decide(ctx, tx, all, fresh) })
}

func (l *lane) decide(ctx context.Context, tx pgx.Tx, all, fresh []*inbox.Item) error {
	load, apply := &pgx.Batch{}, &pgx.Batch{}
	l.handler.Load(load, all, inbox.WaitForLocks)
	if err := tx.SendBatch(ctx, load).Close(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if err := l.handler.Apply(apply, fresh); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, apply).Close(); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

func TestTheHandlerDoesWhatTheReferenceDoesWhereverAHistoryIsCut(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	l := newLane(conn)
	compareHistories(t, conn, l, l.commit, func(context.Context) error { return nil })
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// compareHistories has commit commit histories, batch by batch, and settle what is left to do at the end of each.
func compareHistories(
	t *testing.T, conn *pgx.Conn, l *lane,
	commit func(ctx context.Context, all, fresh []*inbox.Item) error, settle func(context.Context) error,
) {
	t.Helper()
	knows := serviceKnows()
	knows.Deadlines = false // what lapses between two records is the consumer's business, and its test's
	histories := 0
	rapid.Check(t, func(t *rapid.T) {
		// Tenants for each history, in place of an empty database for each.
		histories++
		l.known = make(map[Identity]int64)
		s := story(rapid.IntRange(0, 50).Draw(t, "records"))
		s.Features, s.Tenants = knows, []string{fmt.Sprintf("a%d", histories), fmt.Sprintf("b%d", histories)}
		want := New()
		for _, batch := range cut(t, s.History(drawn(t))) {
			got, err := l.apply(t.Context(), batch, commit)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range batch {
				w, err := want.Apply(r)
				if err != nil {
					t.Fatal(err)
				}
				if got[i] != w && !twoFaults(got[i], w) {
					t.Fatalf("%s is %s, want %s", r.Value, got[i], w)
				}
			}
		}
		if err := settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		found := stored(t.Context(), t, conn, knows, s.Tenants)
		found.Inbox = nil // not the handler's
		wanted := reduced(want.Snapshot(s.Tenants...), knows)
		wanted.Inbox = nil
		if d := difference(found, wanted); d != "" {
			t.Fatal(d)
		}
	})
}

// twoFaults says whether a record whose lines are wrong in two ways was parked for another one of them.
func twoFaults(got, want Outcome) bool {
	faults := []string{"quantity_out_of_range", "if_version_conflict", "same_location"}
	return got.Verdict == Parked && want.Verdict == Parked &&
		slices.Contains(faults, got.Reason) && slices.Contains(faults, want.Reason)
}

// cut cuts a history into batches, anywhere; often one that holds all, or one for each record. Within a batch records
// stand in the order of their partitions, as the inbox has them.
func cut(t *rapid.T, history []Record) [][]Record {
	longest := rapid.SampledFrom([]int{1, 5, len(history)}).Draw(t, "longest batch")
	var batches [][]Record
	for rest := history; len(rest) > 0; {
		n := rapid.IntRange(1, max(1, min(longest, len(rest)))).Draw(t, "batch")
		batch := slices.Clone(rest[:n])
		slices.SortStableFunc(batch, func(a, b Record) int { return a.Partition.compare(b.Partition) })
		batches = append(batches, batch)
		rest = rest[n:]
	}
	return batches
}

// reduced is what a service that knows no more than this would have.
func reduced(s Snapshot, knows Features) Snapshot {
	for i := range s.Stock {
		if !knows.CountedAt {
			s.Stock[i].MovedAt = nil
		}
	}
	return s
}

// difference says where two snapshots differ first; empty = nowhere.
func difference(found, want Snapshot) string {
	for _, d := range []string{
		differ("skus", found.SKUs, want.SKUs), differ("stock", found.Stock, want.Stock),
		differ("movements", found.Ledger, want.Ledger), differ("inbox", found.Inbox, want.Inbox),
		differ("reservations", found.Reservations, want.Reservations),
		differ("transfers", found.Transfers, want.Transfers), differ("messages", found.Messages, want.Messages),
	} {
		if d != "" {
			return d
		}
	}
	return ""
}

func differ[R any](table string, found, want []R) string {
	for i := range max(len(found), len(want)) {
		f, w := text(found, i), text(want, i)
		if f != w {
			return fmt.Sprintf("%s, row %d:\n%s, want\n%s", table, i, f, w)
		}
	}
	return ""
}

// text is row i in words that compare: times in UTC, what pointers point to.
func text[R any](rows []R, i int) string {
	if i >= len(rows) {
		return "none"
	}
	b, err := json.Marshal(rows[i])
	if err != nil {
		panic(err)
	}
	return string(b)
}

func utc(t *time.Time) {
	if t != nil {
		*t = t.UTC()
	}
}
