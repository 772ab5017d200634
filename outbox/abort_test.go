package outbox

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func ptr[T any](v T) *T { return &v }

func TestTheOthersOfATransactionThatKafkaRefusesAreVisibleOnce(t *testing.T) {
	t.Parallel()
	topic := testenv.TopicWith(t, 3, map[string]*string{"max.message.bytes": ptr("20000")})
	w := newWorldOn(t, testenv.Database(t), testenv.Brokers(t), topic)
	w.append("a", "b", "c")
	// In the middle of a page.
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		_, err := Append(t.Context(), tx, Message{Topic: topic, Key: []byte("too large"), Payload: make([]byte, 50_000)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		w.append("a", "b", strconv.Itoa(i))
	}
	w.start(w.config("one"))
	w.awaitAll()
	if all, err := w.outside.uncommitted(t.Context()); err != nil || all <= len(w.outside.seen) {
		t.Errorf("%d records of any kind and %d visible ones: nothing was aborted (%v)", all, len(w.outside.seen), err)
	}
	var n int
	var key, reason string
	w.scan([]any{&n, &key, &reason}, `select count(*), min(convert_from(key, 'UTF8')), min(reason) from outbox_aside`)
	if n != 1 || key != "too large" || reason != AsideMessage {
		t.Errorf("%d messages are set aside, one of %s for %s", n, key, reason)
	}
}

func TestABrokerThatHangsInTheMiddleOfATransactionIsSurvived(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t)
	w := newWorldOn(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(3, nil))
	const many = 4000 // more than the client keeps answers for
	var hang atomic.Bool
	hung := make(chan struct{})
	cfg := w.config("one")
	cfg.TransactionTimeout = 2 * time.Second
	cfg.steps = func(at step) {
		// The next thing is to send the page that was just read.
		if at == stepRead && hang.CompareAndSwap(true, false) {
			kafka.Freeze()
			close(hung)
		}
	}
	r, _ := w.start(cfg)
	w.append("a", "b")
	w.awaitAll()
	hang.Store(true)
	w.appendMany("many", many)
	<-hung
	pause(context.Background(), 2*cfg.TransactionTimeout)
	kafka.Thaw()
	w.awaitAll()
	if s := r.State(); s.Err != nil {
		t.Errorf("it goes on with %v", s.Err)
	}
}
