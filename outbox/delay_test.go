package outbox

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"onhand/internal/testenv"
)

// Whoever runs anywhere in the cluster and may yet write delays messages, and is named.
func TestATransactionThatStaysOpenDelaysMessagesAndIsNamed(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	w := newSceneAt(t, server.Database(), testenv.Brokers(t), testenv.Topic(t, 1))
	w.exec(`create table mine (n integer)`)
	w.exec(`create database elsewhere`)
	w.start(w.config())
	for name, kind := range map[string]func(t *testing.T, w *scene) culpritHeld{
		"in this database": func(t *testing.T, w *scene) culpritHeld { return holdOpen(t, w.url, "postgres") },
		"in another database": func(t *testing.T, w *scene) culpritHeld {
			return holdOpen(t, inDatabase(t, w.url, "elsewhere"), "elsewhere")
		},
		"prepared and forgotten": holdPrepared,
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			topic := testenv.Topic(t, 1)
			w.say(topic, "k", "before")
			w.waitFor(topic, "before")
			held := kind(t, w)
			w.say(topic, "k", "during 1")
			w.say(topic, "k", "during 2")
			w.eventually("the culprit is named", func() bool {
				text := ask[string](w, `select waiting_for from outbox_relay`)
				for _, word := range held.words {
					if !strings.Contains(text, word) {
						return false
					}
				}
				return ask[bool](w, `select waiting_since is not null from outbox_relay`)
			})
			if got := w.values(topic); len(got) != 1 {
				t.Errorf("%q are out while a transaction with a lower id is open", got)
			}
			held.end()
			w.waitFor(topic, "before", "during 1", "during 2")
			w.eventually("nobody is named any more", func() bool {
				return ask[bool](w, `select waiting_for is null and waiting_since is null from outbox_relay`)
			})
		})
	}
}

// The reader is pages ahead of what is sent, and looks for transactions again when it has read everything.
func TestATransactionThatHasEndedIsNotNamedWhileTheBacklogLeaves(t *testing.T) {
	t.Parallel()
	w := newSceneAt(t, testenv.Postgres(t).Database(), testenv.Brokers(t), testenv.Topic(t, 1))
	cfg := w.config()
	cfg.TransactionTimeout = 2 * patience
	sent, slow := make(chan struct{}), make(chan struct{})
	once, goOn := sync.OnceFunc(func() { close(sent); <-slow }), sync.OnceFunc(func() { close(slow) })
	defer goOn()
	cfg.steps = func(at step) {
		if at == stepSent {
			once()
		}
	}
	w.start(cfg)
	held := holdOpen(t, w.url, "postgres")
	want := numbered("message", 2*maxPageMessages+2000)
	w.say(w.position, "k", want...)
	named := func() bool {
		return strings.Contains(ask[string](w, `select waiting_for from outbox_relay`), held.words[0])
	}
	w.eventually("the culprit is named", named)
	held.end()
	<-sent
	w.eventually("nobody is named any more", func() bool { return !named() })
	goOn()
	w.waitFor(w.position, want...)
}

func TestATransactionThatWritesNothingDelaysNothing(t *testing.T) {
	t.Parallel()
	w := newSceneAt(t, testenv.Postgres(t).Database(), testenv.Brokers(t), testenv.Topic(t, 1))
	reading := newWriter(t, w.url)
	reading.exec(`begin isolation level repeatable read`)
	reading.exec(`select count(*) from outbox`)
	w.start(w.config())
	w.say(w.position, "k", "one", "two")
	w.waitFor(w.position, "one", "two")
	reading.exec(`rollback`)
}

// culpritHeld is a transaction that is held open, and the words that must tell of it.
type culpritHeld struct {
	words []string
	end   func()
}

func holdOpen(t *testing.T, url, database string) culpritHeld {
	t.Helper()
	c := newWriter(t, url)
	c.exec(`begin`)
	c.exec(`select pg_current_xact_id() /* a report that takes its time */`)
	pid := strconv.FormatUint(uint64(c.conn.PgConn().PID()), 10)
	return culpritHeld{
		words: []string{"process " + pid, "database " + database, "a report that takes its time", "open since"},
		end:   func() { c.exec(`commit`) },
	}
}

func holdPrepared(t *testing.T, w *scene) culpritHeld {
	t.Helper()
	c := newWriter(t, w.url)
	c.exec(`begin`)
	c.exec(`insert into mine values (1)`)
	c.exec(`prepare transaction 'forgotten'`)
	if err := c.conn.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return culpritHeld{
		words: []string{"prepared transaction forgotten", "database postgres"},
		end:   func() { w.exec(`commit prepared 'forgotten'`) },
	}
}

// inDatabase leads to another database of the same server.
func inDatabase(t *testing.T, from, database string) string {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	return u.String()
}

// in is w for a part of its test.
func (w *scene) in(t *testing.T) *scene {
	part := *w
	part.t = t
	return &part
}
