package outbox

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// requestsOf makes requests for one partition, of two messages each.
func requestsOf(s *sorter, requests int) *sorted {
	all := &sorted{
		sorter: s, requests: make(map[*sarama.Broker][]*request), count: make(map[kafkalog.TopicPartition]int),
	}
	tp := kafkalog.TopicPartition{Topic: "t"}
	for range requests {
		for range 2 {
			all.add(nil, tp, &outgoing{topic: tp.Topic}, 2*maxRequestBytes/5, time.Now())
		}
	}
	return all
}

// answered reads these answers to the requests of all, and returns the verdict.
func answered(all *sorted, errs ...sarama.KError) error {
	var refused []refusal
	for i, r := range all.requests[nil] {
		response := &sarama.ProduceResponse{}
		response.AddTopicPartition("t", 0, errs[i])
		refused = append(refused, all.read(answer{to: r, response: response})...)
	}
	return verdictOn(refused)
}

func TestNumbersGoOnBehindTheLastStoredMessage(t *testing.T) {
	t.Parallel()
	const ok, tooLarge, behind = sarama.ErrNoError, sarama.ErrMessageSizeTooLarge, sarama.ErrOutOfOrderSequenceNumber
	for _, c := range []struct {
		name    string
		first   int32
		answers []sarama.KError
		next    int32
	}{
		{"all are stored", 0, []sarama.KError{ok, ok, ok}, 6},
		{"the first is refused, and those behind it", 0, []sarama.KError{tooLarge, behind, behind}, 0},
		{"the second is refused, and that behind it", 10, []sarama.KError{ok, tooLarge, behind}, 12},
		{"the first is refused where nothing was before", 0, []sarama.KError{tooLarge, ok, ok}, 6},
		{"they begin with 0 again", math.MaxInt32, []sarama.KError{ok, ok, ok}, 5},
	} {
		tp := kafkalog.TopicPartition{Topic: "t"}
		s := &sorter{next: map[kafkalog.TopicPartition]int32{tp: c.first}}
		_ = answered(requestsOf(s, len(c.answers)), c.answers...)
		if s.next[tp] != c.next {
			t.Errorf("%s: the next number is %d, want %d", c.name, s.next[tp], c.next)
		}
	}
}

// A broker that has stored a message and says that it timed out would take the next one for the same.
func TestARefusalDoesNotHideAFailureThatLeavesNumbersUncertain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers []sarama.KError
		refusal bool
	}{
		{"refused", []sarama.KError{sarama.ErrMessageSizeTooLarge, sarama.ErrOutOfOrderSequenceNumber}, true},
		{"timed out", []sarama.KError{sarama.ErrRequestTimedOut, sarama.ErrUnknownTopicOrPartition}, false},
		{"refused, then fenced", []sarama.KError{sarama.ErrUnknownTopicOrPartition, sarama.ErrInvalidProducerEpoch}, false},
		{"out of order for no reason", []sarama.KError{sarama.ErrNoError, sarama.ErrOutOfOrderSequenceNumber}, false},
	} {
		s := &sorter{next: make(map[kafkalog.TopicPartition]int32)}
		err := answered(requestsOf(s, len(c.answers)), c.answers...)
		if refused := new(refusedError); err == nil || errors.As(err, &refused) != c.refusal {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
