package outbox

import (
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/rs/zerolog"

	"onhand/internal/testenv"
)

// startGuarded starts a broker that asks its rules. Everybody may do everything that no rule speaks about.
func startGuarded(t *testing.T) *testenv.KafkaServer {
	t.Helper()
	return testenv.Kafka(t,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found=true", "early.start.listeners=CONTROLLER")
}

// forbid lets nobody write to topic.
func (w *scene) forbid(topic string) {
	w.t.Helper()
	resource := sarama.Resource{
		ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternType: sarama.AclPatternLiteral,
	}
	withAdmin(w.t, w.brokers, func(admin sarama.ClusterAdmin) error {
		return admin.CreateACLs([]*sarama.ResourceAcls{{Resource: resource, Acls: []*sarama.Acl{
			{Principal: "User:*", Host: "*", Operation: sarama.AclOperationWrite, PermissionType: sarama.AclPermissionDeny},
			{Principal: "User:*", Host: "*", Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow},
		}}})
	})
}

// allow takes back what forbid said.
func (w *scene) allow(topic string) {
	w.t.Helper()
	withAdmin(w.t, w.brokers, func(admin sarama.ClusterAdmin) error {
		_, err := admin.DeleteACL(sarama.AclFilter{
			ResourceType: sarama.AclResourceTopic, ResourceName: &topic,
			ResourcePatternTypeFilter: sarama.AclPatternLiteral,
			PermissionType:            sarama.AclPermissionAny, Operation: sarama.AclOperationAny,
		}, false)
		return err
	})
}

func TestATopicThatMayNotBeWrittenHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	kafka := startGuarded(t)
	topic, forbidden := kafka.Topic(1, nil), kafka.Topic(1, nil)
	w := newSceneAt(t, testenv.Database(t), kafka.Brokers(), topic)
	w.forbid(forbidden)
	w.start(w.config())
	w.say(forbidden, "k", "1", "2")
	w.say(topic, "k", "goes on")
	w.waitFor(topic, "goes on")
	w.waitAside("1 topic_refused waiting", "2 topic_refused waiting")

	w.allow(forbidden)
	w.waitFor(forbidden, "1", "2")
	w.waitAside()
}

// When Kafka refuses one of a turn's topics, it says of the others that they were not attempted, and the client gives
// all of them what it happens to read first.
func TestATopicThatMayNotBeWrittenHoldsUpNoneOfItsTurn(t *testing.T) {
	t.Parallel()
	kafka := startGuarded(t)
	forbidden := kafka.Topic(1, nil)
	var others []string
	turn := messages(forbidden, "k", "1")
	for range 12 {
		other := kafka.Topic(1, nil)
		others, turn = append(others, other), append(turn, messages(other, "k", "goes on")...)
	}
	w := newSceneAt(t, testenv.Database(t), kafka.Brokers(), others[0])
	w.forbid(forbidden)
	var log testenv.Buffer
	cfg := w.config()
	cfg.Log = zerolog.New(&log)
	w.start(cfg)
	w.append(turn...)
	for _, other := range others {
		w.waitFor(other, "goes on")
	}
	w.waitAside("1 topic_refused waiting")
	if said := log.String(); strings.Contains(said, "not attempt") {
		t.Errorf("a session ended because of a topic that is not refused:\n%s", said)
	}
}

// The abort of an attempt may go unheard as a commit may, and the next attempt must not be the same producer's.
func TestASlowTurnThatMayNotBeWrittenEndsTheSession(t *testing.T) {
	t.Parallel()
	kafka := startGuarded(t)
	topic, forbidden := kafka.Topic(1, nil), kafka.Topic(1, nil)
	w := newSceneAt(t, testenv.Database(t), kafka.Brokers(), topic)
	w.forbid(forbidden)
	var log testenv.Buffer
	cfg := w.config()
	cfg.Log = zerolog.New(&log)
	w.start(cfg)
	sessions := func() int { return strings.Count(log.String(), "publishing messages") }
	w.say(topic, "k", "first")
	w.waitFor(topic, "first")
	before := sessions()
	kafka.Freeze()
	w.say(forbidden, "k", "1")
	pause(t.Context(), slowTurn+time.Second)
	kafka.Thaw()
	testenv.Eventually(t, patience, "another session begins", func() bool { return sessions() > before })
	w.say(topic, "k", "goes on")
	w.waitFor(topic, "first", "goes on")
	w.waitAside("1 topic_refused waiting")
}
