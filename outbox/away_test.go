package outbox

import (
	"fmt"
	"testing"

	"onhand/internal/testenv"
)

func TestWhileKafkaIsAwayMessagesAreKeptAndLeaveAfterwards(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t)
	topic := kafka.Topic(3, nil)
	w := newSceneAt(t, testenv.Database(t), kafka.Brokers(), kafka.Topic(1, nil))
	relay, _ := w.start(w.config())
	w.say(topic, "k", "before")
	w.waitFor(topic, "before")
	want := []string{"before"}

	kafka.Stop()
	for i := range 300 {
		value := fmt.Sprint("during ", i)
		w.say(topic, "k", value)
		want = append(want, value)
	}
	w.eventually("the row says what messages wait for", func() bool {
		return relay.State().Err != nil && ask[string](w, `select waiting_for from outbox_relay`) != ""
	})
	if n := ask[int](w, `select count(*) from outbox_messages`); n != 301 {
		t.Errorf("%d messages are kept, want 301", n)
	}
	kafka.Start()
	w.say(topic, "k", "after")
	w.waitFor(topic, append(want, "after")...)
	w.waitDone()
	w.eventually("nothing is waited for", func() bool {
		return ask[bool](w, `select waiting_for is null from outbox_relay`)
	})
}
