package outbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"onhand/internal/kafkalog"
	"onhand/internal/testenv"
)

func TestAProducerThatCannotBeginSaysSo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no broker":                       {Brokers: []string{"127.0.0.1:1"}, TransactionTimeout: time.Second},
		"a timeout that no broker allows": {Brokers: testenv.Brokers(t), TransactionTimeout: 16 * time.Minute},
	} {
		if p, err := openProducer(t.Context(), &c, "positions", false); err == nil {
			p.close()
			t.Errorf("%s: it began", name)
		}
	}
}

// threeBrokers are a cluster whose connections the test can cut.
type threeBrokers struct {
	*kfake.Cluster
	mu          sync.Mutex
	connections []net.Conn
}

const (
	fakePartitions = 6
	fakeTopic      = "out"
	fakePositions  = "positions"
)

func newThreeBrokers(t *testing.T) *threeBrokers {
	t.Helper()
	b := &threeBrokers{}
	var err error
	b.Cluster, err = kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(fakePartitions, fakeTopic),
		kfake.SeedTopics(1, fakePositions), kfake.ListenFn(func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			return &noted{l, b}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// noted is a listener whose connections are noted.
type noted struct {
	net.Listener
	by *threeBrokers
}

func (l *noted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.by.mu.Lock()
		defer l.by.mu.Unlock()
		l.by.connections = append(l.by.connections, c)
	}
	return c, err
}

func (b *threeBrokers) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.connections {
		_ = c.Close()
	}
	b.connections = nil
}

func (b *threeBrokers) producer(t *testing.T, careful bool) *producer {
	t.Helper()
	return b.producerOf(t, uuid.New(), careful)
}

func (b *threeBrokers) producerOf(t *testing.T, installation uuid.UUID, careful bool) *producer {
	t.Helper()
	cfg := Config{Brokers: b.ListenAddrs(), Installation: installation, Member: "test"}.withDefaults()
	p, err := openProducer(t.Context(), &cfg, fakePositions, careful)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// committed are the values that a reader of committed messages sees.
func (b *threeBrokers) committed(t *testing.T) (values []string) {
	t.Helper()
	client, reader, err := kafkalog.Connect(t.Context(), b.ListenAddrs(), "reader", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	tps, err := reader.Partitions(fakeTopic)
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := reader.Ranges(t.Context(), tps)
	if err != nil {
		t.Fatal(err)
	}
	for tp, r := range ranges {
		err := reader.Scan(t.Context(), tp, 0, r.LastStable, func(m *sarama.ConsumerMessage) error {
			values = append(values, string(m.Value))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(values)
	return values
}

// numbersOf are messages of many keys, and their values.
func numbersOf(from, to int) (ms []*outgoing, values []string) {
	for n := from; n < to; n++ {
		value := fmt.Sprintf("%03d", n)
		ms = append(ms, &outgoing{id: int64(n), topic: fakeTopic, key: []byte(value), payload: []byte(value)})
		values = append(values, value)
	}
	return ms, values
}

// publish sends the messages with these numbers, to many partitions.
func publish(t *testing.T, p *producer, from, to int) error {
	t.Helper()
	ms, _ := numbersOf(from, to)
	return p.transact(t.Context(), ms, place{id: int64(to)}, closedIntent(), nil)
}

func (b *threeBrokers) wantCommitted(t *testing.T, n int) {
	t.Helper()
	_, want := numbersOf(0, n)
	if got := b.committed(t); !slices.Equal(got, want) {
		t.Errorf("readers see %v, want %v", got, want)
	}
}

func TestATransactionReachesAllBrokersAfterTheirConnectionsWereClosedForIdleness(t *testing.T) {
	t.Parallel()
	brokers := newThreeBrokers(t)
	p := brokers.producer(t, false)
	for n := range 3 {
		if n > 0 {
			brokers.cut()
			p.used = time.Now().Add(-2 * idleLimit)
		}
		if err := publish(t, p, 50*n, 50*(n+1)); err != nil {
			t.Fatal(err)
		}
	}
	brokers.wantCommitted(t, 150)
}

func TestAnEndWithoutAnAnswerIsNotRepeatedAndNothingFollowsIt(t *testing.T) {
	t.Parallel()
	brokers := newThreeBrokers(t)
	p := brokers.producer(t, false)
	var ends atomic.Int32
	brokers.ControlKey(kmsg.EndTxn.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		brokers.KeepControl()
		ends.Add(1)
		return nil, errors.New("the connection is closed"), true
	})
	for range 2 {
		if err := publish(t, p, 0, 50); !lostBroker(err) {
			t.Errorf("the transaction ended with %v, want a lost connection", err)
		}
	}
	if n := ends.Load(); n != 1 {
		t.Errorf("the end was sent %d times, want once", n)
	}
	if got := brokers.committed(t); len(got) > 0 {
		t.Errorf("readers see %v", got)
	}
}

func TestMessagesThatAreNotAnsweredAreWaitedForOnlyAsLongAsTheTurnHas(t *testing.T) {
	t.Parallel()
	for name, careful := range map[string]bool{"together": false, "one by one": true} {
		brokers := newThreeBrokers(t)
		p := brokers.producer(t, careful)
		brokers.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			brokers.KeepControl()
			return nil, nil, true
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		ms, _ := numbersOf(0, 50)
		began := time.Now()
		err := p.transact(ctx, ms, place{id: 1}, closedIntent(), nil)
		if !errors.Is(err, errUnanswered) || time.Since(began) > 5*time.Second {
			t.Errorf("%s: after %v: %v", name, time.Since(began), err)
		}
		if p.open == nil {
			t.Errorf("%s: another transaction may begin", name)
		}
	}
}
