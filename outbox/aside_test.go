package outbox

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

// smallLimit is what a topic with a limit takes of a record batch; tooLarge is a message that is more.
const smallLimit = 2000

var tooLarge = strings.Repeat("x", 2*smallLimit)

// limited is a topic whose records may not be large.
func limited(t *testing.T, limit int) string {
	t.Helper()
	bytes := strconv.Itoa(limit)
	return testenv.TopicWith(t, 1, map[string]*string{"max.message.bytes": &bytes})
}

func withAdmin(t *testing.T, brokers []string, use func(sarama.ClusterAdmin) error) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(brokers, kafkalog.Config("test-admin", 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if err := use(admin); err != nil {
		t.Fatal(err)
	}
}

func (w *scene) setLimit(topic string, limit int) {
	w.t.Helper()
	bytes := strconv.Itoa(limit)
	withAdmin(w.t, w.brokers, func(admin sarama.ClusterAdmin) error {
		return admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"max.message.bytes": &bytes}, false)
	})
}

// aside is what is set aside, as `value reason state`, in the order of the ids.
func (w *scene) aside() []string {
	w.t.Helper()
	return ask[[]string](w, `
select coalesce(array_agg(case when length(payload) > 100 then 'large' else convert_from(payload, 'UTF8') end
  || ' ' || reason || ' ' || state order by id), '{}') from outbox_aside`)
}

func (w *scene) waitAside(want ...string) {
	w.t.Helper()
	defer func() {
		if got := w.aside(); !slices.Equal(got, want) {
			w.t.Errorf("set aside is %q, want %q", got, want)
		}
	}()
	w.eventually("these are set aside", func() bool { return slices.Equal(w.aside(), want) })
}

// decide is what an operator decides about messages that were refused; those of their keys that wait behind them
// follow.
func (w *scene) decide(topic, state string) {
	w.t.Helper()
	w.exec(`update outbox_aside set state = $2 where topic = $1 and reason <> 'behind_another'`, topic, state)
}

func TestAMessageThatKafkaRefusesIsSetAsideAndThoseOfItsKeyWaitBehindIt(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic := limited(t, smallLimit)
	w.start(w.config())
	w.say(topic, "k", "first", tooLarge, "behind")
	w.say(topic, "other", "goes on")
	w.waitAside("large message_refused waiting", "behind behind_another waiting")
	w.waitFor(topic, "first", "goes on")
	w.say(topic, "k", "later")
	w.say(topic, "other", "goes on still")
	w.waitAside("large message_refused waiting", "behind behind_another waiting", "later behind_another waiting")
	w.waitFor(topic, "first", "goes on", "goes on still")

	w.setLimit(topic, 100*smallLimit)
	w.decide(topic, asideRetry)
	w.waitFor(topic, "first", "goes on", "goes on still", tooLarge, "behind", "later")
	w.waitAside()
	w.say(topic, "k", "as ever")
	w.waitFor(topic, "first", "goes on", "goes on still", tooLarge, "behind", "later", "as ever")
}

func TestLaterMessagesOfTheKeyMayFollowInstead(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic := limited(t, smallLimit)
	cfg := w.config()
	cfg.FollowRefused = true
	w.start(cfg)
	w.say(topic, "k", "first", tooLarge, "behind")
	w.waitFor(topic, "first", "behind")
	w.say(topic, "k", "later")
	w.waitFor(topic, "first", "behind", "later")
	w.waitAside("large message_refused waiting")
	w.decide(topic, asideDropped)
	w.waitAside()
}

func TestAMessageThatIsDroppedNeverLeavesAndThoseBehindItDo(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic := limited(t, smallLimit)
	w.start(w.config())
	w.say(topic, "k", tooLarge, "behind")
	w.waitAside("large message_refused waiting", "behind behind_another waiting")
	w.decide(topic, asideDropped)
	w.waitFor(topic, "behind")
	w.waitAside()
	w.say(topic, "k", "as ever")
	w.waitFor(topic, "behind", "as ever")
}

func TestAMessageWithoutAKeyIsSetAsideAloneAndCanBeDropped(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic := limited(t, smallLimit)
	w.start(w.config())
	w.say(topic, "", "first", tooLarge, "next")
	w.waitFor(topic, "first", "next")
	w.waitAside("large message_refused waiting")
	w.say(topic, "", "later")
	w.waitFor(topic, "first", "next", "later")
	w.decide(topic, asideDropped)
	w.waitAside()
}

// The limit was not raised: what is behind the message must not pass it.
func TestAMessageThatIsRefusedAgainKeepsThoseBehindItWaiting(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic := limited(t, smallLimit)
	w.start(w.config())
	w.say(topic, "k", tooLarge, "behind")
	w.waitAside("large message_refused waiting", "behind behind_another waiting")
	w.exec(`update outbox_aside set state = 'retry'`)
	w.eventually("it was tried again", func() bool {
		return ask[int](w, `select max(attempts) from outbox_aside where state = 'waiting'`) > 1
	})
	w.waitAside("large message_refused waiting", "behind behind_another retry")
	w.say(topic, "other", "goes on")
	w.waitFor(topic, "goes on")
	w.setLimit(topic, 100*smallLimit)
	w.decide(topic, asideRetry)
	w.waitFor(topic, "goes on", tooLarge, "behind")
	w.waitAside()
}

// What is refused is a batch: each message of it is small enough. One by one a page of them takes longer than a
// transaction may; nothing runs beside this, or a few of them do.
func TestManySmallMessagesAllArriveWhereTheirBatchIsTooLarge(t *testing.T) {
	w := newScene(t)
	topic := limited(t, smallLimit)
	values := numbered("small", 1000)
	w.say(topic, "k", values...)
	cfg := w.config()
	cfg.TransactionTimeout = minTimeout
	w.start(cfg)
	w.waitFor(topic, values...)
	w.waitAside()
}
