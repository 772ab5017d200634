package inbox

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
	"onhand/offsets"
)

func TestAPositionThatWentBackIsNeverWrittenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.start(w.config())
	w.send(0, numbered("a", 30, "apple")...)
	w.waitNext(0, 30)
	// The token is still this member's, so it is the position alone that tells; and a record comes at once, before
	// anybody has looked at the row.
	w.exec(`with lost as (delete from inbox where "offset" >= 20 returning 1),
	  back as (update tally set n = n - (select count(*) from lost))
	  update offsets set next = 20, applied = 20, last_hash = null`)
	w.send(0, "x apple")
	w.waitNext(0, 31)
	if n := w.counted("apple"); n != 31 {
		t.Errorf("counted %d, want 31: the records of lost commits were jumped over", n)
	}
	if n := w.number(`select applied - 31 from offsets`); n != 0 {
		t.Errorf("%d more applied than there are records", n)
	}
}

func TestARowThatSaysHaltedTakesNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.start(w.config())
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	w.exec(`update offsets set halt_reason = 'by_hand', halt_detail = '' where partition = 0`)
	w.send(0, "2 apple")
	for _, id := range []string{"1", "2", "3"} { // through the lanes, and through a session that was claimed anew
		w.send(1, id+"p pear")
	}
	w.waitNext(1, 3)
	if next, n := w.next(0), w.counted("apple"); next != 1 || n != 1 {
		t.Errorf("a halted row went on to %d, counted %d; want 1 and 1", next, n)
	}
	w.resume(0, 1)
	w.waitNext(0, 2)
}

// refuseHalts makes the database refuse to store a halt, and returns how often it did.
func (w *world) refuseHalts() (attempts func() int64) {
	w.t.Helper()
	w.exec(`create sequence attempts`)
	w.exec(`create function refuse() returns trigger language plpgsql as $$
	  begin
	    if new.halt_reason is not null then
	      perform nextval('attempts');
	      raise exception using errcode = '57014';
	    end if;
	    return new;
	  end $$`)
	w.exec(`create trigger refuse before update on offsets for each row execute function refuse()`)
	return func() int64 {
		return w.number(`select case when is_called then last_value else 0 end from attempts`)
	}
}

func TestNothingIsReadWhileAHaltCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, numbered("a", 10, "apple")...)
	_, stop := w.start(w.config())
	w.waitNext(0, 10)
	stop()
	recreateTopic(t, w.brokers, w.topic, 1)
	w.producer = testenv.Producer(t, w.brokers)
	w.send(0, numbered("b", 20, "apple")...)
	attempts := w.refuseHalts()
	w.start(w.config())
	w.eventually("the halt was tried a few times", func() bool { return attempts() >= 4 })
	if n := w.counted("apple"); n != 10 {
		t.Errorf("counted %d: records of another log were applied", n)
	}
	w.exec(`drop trigger refuse on offsets`)
	w.waitHalt(0, offsets.HaltTopicRecreated)
	if n := w.counted("apple"); n != 10 {
		t.Errorf("counted %d: records of another log were applied", n)
	}
}

func TestATopicsIdIsLearnedWhenItWasNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, "1 apple")
	_, stop := w.start(w.config())
	w.waitNext(0, 1)
	stop()
	w.exec(`create table before as select topic_id from offsets`)
	w.exec(`update offsets set topic_id = null`)
	w.start(w.config())
	w.eventually("the id is stored", func() bool {
		return w.number(`select count(*) from offsets join before using (topic_id)`) == 1
	})
	recreateTopic(t, w.brokers, w.topic, 1)
	w.waitHalt(0, offsets.HaltTopicRecreated)
}

func TestAMemberThatIsCutOffInTheMiddleOfAClaimKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, "1 apple")
	_, stop := w.start(w.config())
	w.waitNext(0, 1)
	stop()
	tps := []offsets.TopicPartition{{Topic: w.topic}}
	pool, cut := w.cutOffAt("set token = c.token")
	ctx, cancel := context.WithCancel(t.Context())
	claiming := make(chan struct{})
	go func() {
		defer close(claiming)
		_, _ = offsets.Claim(ctx, pool, tps, "cut off")
	}()
	defer func() { cancel(); <-claiming }()
	select {
	case <-cut:
	case <-time.After(patience):
		t.Fatal("the first member does not claim")
	}
	short, end := context.WithTimeout(t.Context(), patience)
	defer end()
	if _, err := offsets.Claim(short, w.pool, tps, "another"); err != nil {
		t.Errorf("nobody else can claim the partition: %v", err)
	}
}

// cutOffAt is w's pool by way of a network that falls silent on both sides, without closing anything, when a client
// says what.
func (w *world) cutOffAt(what string) (pool *pgxpool.Pool, cut <-chan struct{}) {
	w.t.Helper()
	n := newNetwork(w.t, w.databaseAddress())
	silent := make(chan struct{})
	fall := sync.OnceFunc(func() { close(silent) })
	n.pass = func(said []byte, byClient bool) bool {
		if byClient && bytes.Contains(said, []byte(what)) {
			fall()
		}
		select {
		case <-silent:
			<-n.over
			return false
		default:
			return true
		}
	}
	return w.by(n.address), silent
}
