package outbox

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"onhand/internal/testenv"
)

// It is still ending the transaction before, or a coordinator moves.
func TestWhatKafkaAsksToBeRepeatedIs(t *testing.T) {
	t.Parallel()
	brokers := newThreeBrokers(t)
	p := brokers.producer(t, false)
	n := 0
	for key, whole := range map[kmsg.Key]bool{
		kmsg.AddPartitionsToTxn: false, kmsg.AddOffsetsToTxn: true, kmsg.TxnOffsetCommit: false, kmsg.EndTxn: true,
	} {
		for _, err := range []*kerr.Error{
			kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator,
		} {
			fault := brokers.Fault(kfake.Fault{Keys: []kmsg.Key{key}, TopLevel: whole, Err: err, Count: 2})
			if err := publish(t, p, n, n+50); err != nil {
				t.Errorf("%s: %v", key.Name(), err)
			}
			if hits := fault.Hits(); hits < 2 {
				t.Errorf("%s was refused %d times", key.Name(), hits)
			}
			n += 50
		}
	}
	brokers.wantCommitted(t, n)
}

// Whether the messages are stored or not, they come out once.
func TestATurnThatFailsIsTheNextProducersAsAWhole(t *testing.T) {
	t.Parallel()
	for _, failure := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut,
		kerr.KafkaStorageError, kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch,
		kerr.InvalidTxnState,
	} {
		t.Run(failure.Message, func(t *testing.T) {
			t.Parallel()
			brokers := newThreeBrokers(t)
			installation := uuid.New()
			first := brokers.producerOf(t, installation, false)
			if err := publish(t, first, 0, 50); err != nil {
				t.Fatal(err)
			}
			brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: failure})
			err := publish(t, first, 50, 100)
			if refused := new(refusedError); err == nil || errors.As(err, &refused) {
				t.Fatalf("it ended with %v", err)
			}
			second := brokers.producerOf(t, installation, false)
			for _, from := range []int{50, 100} {
				if err := publish(t, second, from, from+50); err != nil {
					t.Fatal(err)
				}
			}
			brokers.wantCommitted(t, 150)
		})
	}
}

func TestOnlyWhatMayComeTwiceIsSentAgainAfterALostConnection(t *testing.T) {
	t.Parallel()
	for key, again := range map[kmsg.Key]bool{
		kmsg.AddPartitionsToTxn: true, kmsg.Produce: false, kmsg.TxnOffsetCommit: false,
	} {
		t.Run(key.Name(), func(t *testing.T) {
			t.Parallel()
			brokers := newThreeBrokers(t)
			installation := uuid.New()
			p := brokers.producerOf(t, installation, false)
			brokers.ControlKey(key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
				return nil, errors.New("the connection is closed"), true
			})
			ends := brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Observe: true, TopLevel: true, Count: -1})
			err := publish(t, p, 0, 50)
			if (err == nil) != again || err != nil && !errors.Is(err, errUnanswered) {
				t.Errorf("it ended with %v", err)
			}
			if sent := ends.Hits() > 0; sent != again {
				t.Errorf("an end was sent: %t", sent)
			}
			if !again {
				if err := publish(t, brokers.producerOf(t, installation, false), 0, 50); err != nil {
					t.Fatal(err)
				}
			}
			brokers.wantCommitted(t, 50)
		})
	}
}

// A message may be stored though the answer says that it failed. The next one would get its number, and pass for it.
func TestNoTurnFollowsAProbeThatLeavesNumbersUncertain(t *testing.T) {
	t.Parallel()
	brokers := newThreeBrokers(t)
	s := &session{Relay: &Relay{cfg: Config{TransactionTimeout: 10 * time.Second}}, producer: brokers.producer(t, false)}
	brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend})
	ms, _ := numbersOf(0, 1)
	refused, err := s.probe(map[string]refusal{fakeTopic: {ms[0], sarama.ErrOperationNotAttempted}})
	if err == nil {
		t.Errorf("the turn is tried again: %v is refused", refused)
	}
}

// The reader outside sees each message once and in its key's order, whatever breaks.
func TestLeadersAndCoordinatorsThatMoveAndConnectionsThatBreakLoseNothing(t *testing.T) {
	t.Parallel()
	brokers := newThreeBrokers(t)
	w := newWorldOn(t, testenv.Database(t), brokers.ListenAddrs(), fakeTopic)
	relay, _ := w.start(w.config("one"))
	errs := []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.NotEnoughReplicasAfterAppend, kerr.NotCoordinator, kerr.CoordinatorNotAvailable,
		kerr.ConcurrentTransactions,
	}
	trouble := []func(){
		brokers.cut, brokers.ShufflePartitionLeaders, brokers.RehashCoordinators,
		func() {
			err, partly := errs[rand.N(len(errs))], []kmsg.Key{kmsg.Produce, kmsg.AddPartitionsToTxn, kmsg.TxnOffsetCommit}
			brokers.Fault(kfake.Fault{Keys: partly, Err: err},
				kfake.Fault{Keys: []kmsg.Key{kmsg.AddOffsetsToTxn, kmsg.EndTxn}, Err: err, TopLevel: true})
		},
	}
	for n := range 40 {
		w.append("a", "b", "c", "d")
		trouble[rand.N(len(trouble))]()
		w.append("a", "b", "c", "d")
		if n%4 == 3 {
			w.awaitAll()
		}
	}
	w.awaitAll()
	if err := relay.State().Err; err != nil {
		t.Log(err)
	}
}
