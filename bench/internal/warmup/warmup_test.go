package warmup

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestABrokerIsUsedForAWhileAndLeftAsItWas(t *testing.T) {
	t.Parallel()
	kafka := testenv.Kafka(t)
	before, err := compiling(kafka.PID())
	if err != nil {
		t.Fatal(err)
	}
	const longest = 3 * time.Second // before the first look: a broker that was started just now still compiles
	start := time.Now()
	if err := Broker(t.Context(), kafka.Brokers(), kafka.PID(), longest); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < longest || took > longest+patience {
		t.Errorf("it took %s, want about %s", took, longest)
	}
	if after, err := compiling(kafka.PID()); err != nil || after-before < 100*time.Millisecond {
		t.Errorf("%s of compiling before and %s after, %v: the broker had nothing to do", before, after, err)
	}
	client, err := sarama.NewClient(kafka.Brokers(), kafkalog.Config("test", patience))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	topics, err := client.Topics()
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if topic[0] != '_' { // Kafka's own
			t.Errorf("topic %s is left", topic)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := awaitRest(ctx, kafka.PID()); err != nil || ctx.Err() != nil {
		t.Errorf("the compiler of a broker without work does not rest: %v, %v", err, ctx.Err())
	}
}

func TestAProcessThatIsNotJavaIsAnError(t *testing.T) {
	t.Parallel()
	if spent, err := compiling(os.Getpid()); err == nil {
		t.Errorf("it has compiled for %s", spent)
	}
}
