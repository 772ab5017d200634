package outbox

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
)

// scene is one test's outbox, the topic that its position is kept for, and an audience outside that reads what was
// committed.
type scene struct {
	t *testing.T
	*audience
	url      string
	pool     *pgxpool.Pool
	brokers  []string
	position string
	install  uuid.UUID
}

// newScene is a scene on the servers that tests share.
func newScene(t *testing.T) *scene {
	t.Helper()
	return newSceneAt(t, testenv.Database(t), testenv.Brokers(t), testenv.Topic(t, 1))
}

// newSceneAt is a scene whose servers the test has, to do with them what it wants.
func newSceneAt(t *testing.T, url string, brokers []string, position string) *scene {
	t.Helper()
	w := &scene{
		t: t, audience: newAudience(t, brokers), url: url, brokers: brokers, position: position, install: uuid.New(),
	}
	w.pool = testenv.Pool(t, url)
	return w
}

// at is the same installation in another database: a copy, or the one that took over.
func (w *scene) at(url string) *scene {
	w.t.Helper()
	other := *w
	other.url, other.pool = url, testenv.Pool(w.t, url)
	return &other
}

// config is a relay of w's outbox that is quick to notice things.
func (w *scene) config() Config {
	return Config{
		Brokers: w.brokers, Pool: w.pool, Installation: w.install, PositionTopic: w.position, Member: w.t.Name(),
		TransactionTimeout: 6 * time.Second, LeaseTime: 2 * time.Second, RefuseAfter: time.Second,
		Log: testLog(w.t, w.t.Name()),
	}
}

// start runs a relay until the test ends or stop is called; stop waits for its end.
func (w *scene) start(cfg Config) (r *Relay, stop func()) {
	w.t.Helper()
	return startRelay(w.t, cfg)
}

// append writes ms in a transaction of their own.
func (w *scene) append(ms ...Message) (ids []int64) {
	w.t.Helper()
	ids, err := appendTo(w.pool, ms...)
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func appendTo(pool *pgxpool.Pool, ms ...Message) (ids []int64, err error) {
	err = pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error {
		ids, err = Append(context.Background(), tx, ms...)
		return err
	})
	return ids, err
}

// say appends a message for each value, all with one key; no key if that is empty.
func (w *scene) say(topic, key string, values ...string) []int64 {
	w.t.Helper()
	return w.append(messages(topic, key, values...)...)
}

func messages(topic, key string, values ...string) []Message {
	ms := make([]Message, len(values))
	for i, v := range values {
		ms[i] = Message{Topic: topic, Payload: []byte(v)}
		if key != "" {
			ms[i].Key = []byte(key)
		}
	}
	return ms
}

func (w *scene) exec(sql string, args ...any) {
	w.t.Helper()
	testenv.Execute(w.t, w.pool, sql, args...)
}

// ask reads one value; a null is the zero value.
func ask[T any](w *scene, sql string, args ...any) T {
	w.t.Helper()
	v := testenv.Ask[*T](w.t, w.pool, sql, args...)
	if v == nil {
		return *new(T)
	}
	return *v
}

func (w *scene) eventually(what string, holds func() bool) {
	w.t.Helper()
	testenv.Eventually(w.t, patience, what, holds)
}

// waitFor waits until exactly these values were read from topic, in this order.
func (w *scene) waitFor(topic string, values ...string) {
	w.t.Helper()
	defer func() {
		if got := w.values(topic); !slices.Equal(got, values) {
			n := 0 // how many are as they should be
			for n < min(len(got), len(values)) && got[n] == values[n] {
				n++
			}
			w.t.Errorf("topic %s has %d messages, want %d; from message %d on it has %.20q, want %.20q", topic, len(got),
				len(values), n, got[n:min(n+5, len(got))], values[n:min(n+5, len(values))])
		}
	}()
	w.eventually("all messages are out", func() bool { return len(w.values(topic)) >= len(values) })
}

// waitHalt waits until the outbox stands still, and returns the explanation.
func (w *scene) waitHalt(reason string) (detail string) {
	w.t.Helper()
	w.eventually("the outbox halts", func() bool {
		return ask[string](w, `select halt_reason from outbox_relay`) != ""
	})
	if got := ask[string](w, `select halt_reason from outbox_relay`); got != reason {
		w.t.Errorf("it halted because of %s, want %s", got, reason)
	}
	return ask[string](w, `select halt_detail from outbox_relay`)
}

// waitDone waits until everything that was appended is out, and that is stored.
func (w *scene) waitDone() {
	w.t.Helper()
	w.eventually("all that was appended is known to be out", func() bool {
		return ask[bool](w, `
select done = intent and done_turn = intent_turn
  and not exists (select from outbox where id > done and id not in (select id from outbox_aside)) from outbox_relay`)
	})
}
