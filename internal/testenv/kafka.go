package testenv

import (
	"syscall"
	"testing"
)

// KafkaServer is a broker for one test alone, which may stop and kill it. Its methods fail the test on errors.
type KafkaServer struct {
	t       testing.TB
	server  server
	brokers []string
}

// Kafka starts a broker for this test, with settings such as "log.retention.ms=1000" on top of those of scripts/kafka.
// It keeps its port over restarts and is removed at the test's end. It takes some four seconds: use Topic where a
// topic will do.
func Kafka(t testing.TB, settings ...string) *KafkaServer {
	t.Helper()
	k := &KafkaServer{t: t, server: ownServer(t, "kafka", "kill")}
	k.brokers = []string{k.start(sets(settings)...)}
	return k
}

// Brokers are the broker's addresses; there is one.
func (k *KafkaServer) Brokers() []string { return k.brokers }

// Topic creates a topic on this broker and returns when every partition can be written and read.
func (k *KafkaServer) Topic(partitions int32, config map[string]*string) string {
	k.t.Helper()
	return createTopic(k.t, k.brokers, partitions, config)
}

// Stop lets the broker flush and close, as an administrator would.
func (k *KafkaServer) Stop() { k.t.Helper(); k.stop() }

// Kill ends the broker at once, as a crash does.
func (k *KafkaServer) Kill() { k.t.Helper(); k.stop("kill") }

// Freeze lets the broker keep its connections and do nothing, until Thaw.
func (k *KafkaServer) Freeze() { k.t.Helper(); k.signal(syscall.SIGSTOP) }

// Thaw lets the broker go on.
func (k *KafkaServer) Thaw() { k.t.Helper(); k.signal(syscall.SIGCONT) }

// Start goes on with the same data on the same port and returns when the broker answers.
func (k *KafkaServer) Start() { k.t.Helper(); k.start() }

func (k *KafkaServer) start(options ...string) string {
	k.t.Helper()
	address, err := k.server.start(options...)
	if err != nil {
		k.t.Fatalf("start Kafka: %v", err)
	}
	return address
}

func (k *KafkaServer) stop(how ...string) {
	k.t.Helper()
	if err := k.server.stop(how...); err != nil {
		k.t.Fatalf("stop Kafka: %v", err)
	}
}

// PID is the broker's process id.
func (k *KafkaServer) PID() int {
	k.t.Helper()
	pid, err := k.server.pid()
	if err != nil {
		k.t.Fatalf("find Kafka's process: %v", err)
	}
	return pid
}

func (k *KafkaServer) signal(signal syscall.Signal) {
	k.t.Helper()
	if err := syscall.Kill(k.PID(), signal); err != nil {
		k.t.Fatalf("signal Kafka: %v", err)
	}
}
