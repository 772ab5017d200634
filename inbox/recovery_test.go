package inbox

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func TestCommitsThatAFailoverLostAreAppliedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.start(w.config())
	w.send(0, numbered("a", 30, "apple")...)
	w.waitNext(0, 30)
	w.eventually("the position is published", func() bool { offset, _ := w.committed(0); return offset == 30 })
	// A replica takes over that did not get the last batch; the claim is older and survives.
	w.exec(`with lost as (delete from inbox where "offset" >= 20 returning 1),
	  back as (update tally set n = n - (select count(*) from lost))
	  update offsets set next = 20, applied = 20, last_hash = null`)
	w.waitNext(0, 30)
	if n := w.counted("apple"); n != 30 {
		t.Errorf("counted %d, want 30", n)
	}
}

func TestAParkedRecordMayHaveAnyTimestamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	forever := "9223372036854775807"
	w.topic = testenv.TopicWith(t, 1, map[string]*string{"message.timestamp.after.max.ms": &forever})
	for _, at := range []time.Time{time.UnixMilli(12e15), time.UnixMilli(9e15), time.UnixMilli(1e14)} {
		if _, _, err := w.producer.SendMessage(&sarama.ProducerMessage{
			Topic: w.topic, Value: sarama.StringEncoder("x !bad"), Timestamp: at,
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.send(0, "1 apple")
	w.start(w.config())
	w.waitNext(0, 4)
	if n := w.number(`select count(*) from dead_letters where record_time is null`); n < 2 {
		t.Errorf("%d dead letters without a time, want those that no timestamp can hold", n)
	}
}

// sluggish takes its time for each event.
type sluggish struct{ tallyBatch }

func (sluggish) Apply(q *pgx.Batch, fresh []*Item) error {
	q.Queue(`select pg_sleep($1)`, 0.1*float64(len(fresh)))
	return tallyBatch{}.Apply(q, fresh)
}

func TestABatchThatIsTooSlowForItsTimeoutIsMadeSmaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	cfg := w.config()
	cfg.NewBatch = func() BatchHandler { return sluggish{} }
	w.send(0, numbered("a", 60, "apple")...) // 6 s, the statement timeout is 2 s
	w.start(cfg)
	w.waitNext(0, 60)
	if n := w.counted("apple"); n != 60 {
		t.Errorf("counted %d, want 60", n)
	}
}

func TestAnEmptyCodeIsStillARefusal(t *testing.T) {
	t.Parallel()
	var item Item
	item.Reject("")
	var rejected, parked *Refusal
	if item.Rejected() == "" || !errors.As(Reject(""), &rejected) || rejected.Code == "" ||
		!errors.As(Park(""), &parked) || parked.Code == "" {
		t.Error("an empty code counts as applied")
	}
}

func TestAHandlerThatPassesOverADatabaseErrorAppliesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	cfg := w.config()
	cfg.NewBatch = nil
	broken := true
	cfg.Handler = func(ctx context.Context, tx Tx, e Event) error {
		if broken {
			broken = false
			_, _ = tx.Exec(ctx, `select 1/0`)
			return nil
		}
		return tally(ctx, tx, e)
	}
	cfg.Lanes = 1
	w.send(0, "1 apple")
	w.start(cfg)
	w.waitNext(0, 1)
	if n := w.counted("apple"); n != 1 {
		t.Errorf("counted %d, want 1", n)
	}
}

// explosive panics at a word, once.
type explosive struct {
	tallyBatch
	spent *atomic.Bool
}

func (x explosive) Apply(q *pgx.Batch, fresh []*Item) error {
	if !x.spent.Swap(true) {
		panic("boom")
	}
	return x.tallyBatch.Apply(q, fresh)
}

type explosiveDecoder struct{ words }

func (d explosiveDecoder) Decode(r *Record) (Event, error) {
	if string(r.Value) == "boom" {
		panic("boom")
	}
	return d.words.Decode(r)
}

func TestAPanicIsNoCrashLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	cfg := w.config()
	var spent atomic.Bool
	cfg.NewBatch = func() BatchHandler { return explosive{spent: &spent} }
	cfg.Decoder = explosiveDecoder{}
	w.send(0, "1 apple", "boom", "2 apple")
	w.start(cfg)
	w.waitNext(0, 3)
	if n := w.counted("apple"); n != 2 || !spent.Load() {
		t.Errorf("counted %d, want 2", n)
	}
	if n := w.number(`select count(*) from dead_letters where reason = 'undecodable'`); n != 1 {
		t.Error("the record at which the decoder panics is not parked")
	}
}

func TestATopicThatIsWaitedForIsReadFromItsOldestRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	late := w.topic + "-late"
	cfg := w.config()
	cfg.Topics, cfg.Start = []string{w.topic, late}, StartNewest()
	w.start(cfg)
	w.waitNext(0, 0)
	createTopic(t, w.brokers, late, 1)
	eventually(t, "the late topic takes a record", func() bool {
		return trySend(testenv.Producer(t, w.brokers), late, 0, "1 apple") == nil
	})
	w.eventually("the late topic's first record is applied", func() bool { return w.counted("apple") == 1 })
}

func TestRepeatableReadIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Isolation: pgx.RepeatableRead}); err == nil || !strings.Contains(err.Error(), "isolation") {
		t.Errorf("error %v, want one about the isolation", err)
	}
}
