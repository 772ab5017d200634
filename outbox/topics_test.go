package outbox

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/testenv"
)

// create creates a topic by its name; it is deleted at the test's end.
func (w *scene) create(topic string, config map[string]*string) {
	w.t.Helper()
	withAdmin(w.t, w.brokers, func(admin sarama.ClusterAdmin) error {
		return admin.CreateTopic(topic, &sarama.TopicDetail{
			NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: config,
		}, false)
	})
	w.t.Cleanup(func() {
		withAdmin(w.t, w.brokers, func(admin sarama.ClusterAdmin) error {
			if err := admin.DeleteTopic(topic); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
				return err
			}
			return nil
		})
	})
}

func TestATopicThatIsMissingHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic, missing := testenv.Topic(t, 1), "missing-"+uuid.NewString()
	w.start(w.config())
	w.say(missing, "k", "1", "2")
	w.say(topic, "k", "goes on")
	w.waitFor(topic, "goes on")
	w.say(missing, "l", "3")
	w.say(topic, "k", "still")
	w.waitFor(topic, "goes on", "still")
	w.waitAside("1 topic_refused waiting", "2 topic_refused waiting", "3 topic_refused waiting")

	w.create(missing, nil)
	w.waitFor(missing, "1", "2", "3")
	w.waitAside()
	w.say(missing, "k", "4")
	w.waitFor(missing, "1", "2", "3", "4")
}

// A relay that begins while a topic is missing knows of it, and what comes for it goes behind what is set aside.
func TestWhatIsSetAsideForAMissingTopicOutlivesTheRelay(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic, missing := testenv.Topic(t, 1), "missing-"+uuid.NewString()
	_, stop := w.start(w.config())
	w.say(missing, "k", "1")
	w.say(topic, "k", "goes on")
	w.waitFor(topic, "goes on")
	stop()
	w.say(missing, "k", "2")
	w.say(topic, "k", "still")
	w.start(w.config())
	w.waitFor(topic, "goes on", "still")
	w.waitAside("1 topic_refused waiting", "2 topic_refused waiting")
	w.create(missing, nil)
	w.waitFor(missing, "1", "2")
	w.waitAside()
}

func TestWhileNothingElseWaitsNothingIsSetAside(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	missing := "missing-" + uuid.NewString()
	w.start(w.config())
	w.say(missing, "k", "1", "2")
	w.eventually("the topic is named for some time", func() bool {
		return strings.Contains(ask[string](w, `select waiting_for from outbox_relay`), missing) &&
			ask[bool](w, `select waiting_since < now() - interval '4 s' from outbox_relay`)
	})
	w.waitAside()
	w.create(missing, nil)
	w.waitFor(missing, "1", "2")
	w.eventually("nothing is waited for", func() bool {
		return ask[bool](w, `select waiting_for is null from outbox_relay`)
	})
}

// The topic is there in the end, and takes less than the first message that waits for it.
func TestATopicThatTakesLessThanWhatWaitsForItHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic, missing := testenv.Topic(t, 1), "missing-"+uuid.NewString()
	w.start(w.config())
	w.say(missing, "k", tooLarge)
	w.say(missing, "l", "small")
	w.say(topic, "k", "goes on")
	w.waitFor(topic, "goes on")
	w.waitAside("large topic_refused waiting", "small topic_refused waiting")
	limit := "2000"
	w.create(missing, map[string]*string{"max.message.bytes": &limit})
	w.waitFor(missing, "small")
	w.waitAside("large message_refused waiting")
	w.say(topic, "k", "still")
	w.waitFor(topic, "goes on", "still")
}

func TestATopicThatIsDeletedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newScene(t)
	topic, deleted := testenv.Topic(t, 1), "deleted-"+uuid.NewString()
	w.create(deleted, nil)
	w.start(w.config())
	w.say(deleted, "k", "1")
	w.waitFor(deleted, "1")
	withAdmin(t, w.brokers, func(admin sarama.ClusterAdmin) error { return admin.DeleteTopic(deleted) })
	w.say(deleted, "k", "2")
	w.say(topic, "k", "goes on")
	w.waitFor(topic, "goes on")
	w.waitAside("2 topic_refused waiting")
	w.create(deleted, nil)
	w.waitAside()
	if got := newAudience(t, w.brokers).values(deleted); !slices.Equal(got, []string{"2"}) {
		t.Errorf("the new topic has %q", got)
	}
}
