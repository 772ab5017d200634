package outbox

import (
	"testing"

	"github.com/IBM/sarama"

	"onhand/internal/testenv"
)

func TestATopicThatMayNotBeWrittenHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	// Everybody may do everything that no rule speaks about.
	kafka := testenv.Kafka(t,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found=true", "early.start.listeners=CONTROLLER")
	topic, forbidden := kafka.Topic(1, nil), kafka.Topic(1, nil)
	w := newSceneAt(t, testenv.Database(t), kafka.Brokers(), topic)
	resource := sarama.Resource{
		ResourceType: sarama.AclResourceTopic, ResourceName: forbidden, ResourcePatternType: sarama.AclPatternLiteral,
	}
	withAdmin(t, w.brokers, func(admin sarama.ClusterAdmin) error {
		return admin.CreateACLs([]*sarama.ResourceAcls{{Resource: resource, Acls: []*sarama.Acl{
			{Principal: "User:*", Host: "*", Operation: sarama.AclOperationWrite, PermissionType: sarama.AclPermissionDeny},
			{Principal: "User:*", Host: "*", Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow},
		}}})
	})
	w.start(w.config())
	w.say(forbidden, "k", "1", "2")
	w.say(topic, "k", "goes on")
	w.waitFor(topic, "goes on")
	w.waitAside("1 topic_refused waiting", "2 topic_refused waiting")

	withAdmin(t, w.brokers, func(admin sarama.ClusterAdmin) error {
		_, err := admin.DeleteACL(sarama.AclFilter{
			ResourceType: sarama.AclResourceTopic, ResourceName: &forbidden,
			ResourcePatternTypeFilter: sarama.AclPatternLiteral,
			PermissionType:            sarama.AclPermissionAny, Operation: sarama.AclOperationAny,
		}, false)
		return err
	})
	w.waitFor(forbidden, "1", "2")
	w.waitAside()
}
