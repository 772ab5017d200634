package outbox

import (
	"fmt"
	"math"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// sorter makes requests of messages, and numbers each partition's, so that the broker notices one that is missing or
// comes twice.
type sorter struct {
	client       sarama.Client
	id           string // transactional
	me           producerID
	careful      bool // one message a request: a refusal then names the message that is at fault
	timeout      time.Duration
	partitioners map[string]sarama.Partitioner
	next         map[kafkalog.TopicPartition]int32 // the number of the next message
}

func newSorter(client sarama.Client, cfg *Config, me producerID, careful bool) *sorter {
	return &sorter{
		client: client, id: cfg.id(), me: me, careful: careful, timeout: cfg.TransactionTimeout / 2,
		partitioners: make(map[string]sarama.Partitioner), next: make(map[kafkalog.TopicPartition]int32),
	}
}

const (
	produceVersion = 9 // what the oldest supported broker knows
	// maxBatchBytes bounds a partition's part of a request, and maxRequestBytes all of it. The next one is being made
	// while the broker takes one in.
	maxBatchBytes   = MaxMessageBytes + 16<<10
	maxRequestBytes = 1 << 20
	// recordOverhead is what a record needs beside key, value and headers, generously, and headerOverhead a header.
	recordOverhead = 36
	headerOverhead = 10
)

// batch is what a request has for one partition.
type batch struct {
	messages []*outgoing
	records  *sarama.RecordBatch
	bytes    int
}

// request goes to one broker.
type request struct {
	batches map[kafkalog.TopicPartition]*batch
	bytes   int
}

// sorted is what a transaction sends, by the broker that leads the partitions.
type sorted struct {
	*sorter
	partitions []kafkalog.TopicPartition
	requests   map[*sarama.Broker][]*request
	count      map[kafkalog.TopicPartition]int // messages of each partition
}

// sort finds each message's partition. Those of a partition stay in their order.
func (s *sorter) sort(messages []*outgoing) (*sorted, error) {
	all := &sorted{
		sorter: s, requests: make(map[*sarama.Broker][]*request), count: make(map[kafkalog.TopicPartition]int),
	}
	leaders := make(map[kafkalog.TopicPartition]*sarama.Broker)
	now := time.Now().Truncate(time.Millisecond)
	for _, m := range messages {
		tp, err := s.partitionOf(m)
		if err != nil {
			return nil, about(m, err)
		}
		leader := leaders[tp]
		if leader == nil {
			if leader, err = s.client.Leader(tp.Topic, tp.Partition); err != nil {
				return nil, about(m, fmt.Errorf("look for the leader of %s: %w", tp, err))
			}
			leaders[tp] = leader
			all.partitions = append(all.partitions, tp)
		}
		size := m.bytes() + len(m.headers)/2*headerOverhead + recordOverhead
		if size > maxBatchBytes {
			return nil, about(m, sarama.ConfigurationError(fmt.Sprintf("%d bytes are more than %d", size, maxBatchBytes)))
		}
		all.add(leader, tp, m, size, now)
	}
	return all, nil
}

// about is an error that concerns m.
func about(m *outgoing, err error) error { return verdictOn([]refusal{{m, err}}) }

// partitionOf is where Java's clients would send m.
func (s *sorter) partitionOf(m *outgoing) (kafkalog.TopicPartition, error) {
	partitioner, find := s.partitioners[m.topic], s.client.WritablePartitions
	if partitioner == nil {
		partitioner = sarama.NewMurmur2Partitioner(m.topic)
		s.partitioners[m.topic] = partitioner
	}
	message := &sarama.ProducerMessage{Topic: m.topic}
	if m.key != nil {
		message.Key, find = sarama.ByteEncoder(m.key), s.client.Partitions
	}
	partitions, err := find(m.topic)
	switch {
	case err != nil:
		return kafkalog.TopicPartition{}, fmt.Errorf("look for topic %s: %w", m.topic, err)
	case len(partitions) == 0:
		return kafkalog.TopicPartition{}, fmt.Errorf("look for topic %s: %w", m.topic, sarama.ErrLeaderNotAvailable)
	}
	choice, err := partitioner.Partition(message, int32(len(partitions)))
	if err != nil {
		return kafkalog.TopicPartition{}, fmt.Errorf("choose a partition of topic %s: %w", m.topic, err)
	}
	return kafkalog.TopicPartition{Topic: m.topic, Partition: partitions[choice]}, nil
}

// add puts m into the last request for leader, or into another one if that is full.
func (all *sorted) add(leader *sarama.Broker, tp kafkalog.TopicPartition, m *outgoing, size int, now time.Time) {
	requests := all.requests[leader]
	var r *request
	if n := len(requests); n > 0 {
		r = requests[n-1]
	}
	if r == nil || all.careful || r.bytes+size > maxRequestBytes ||
		r.batches[tp] != nil && r.batches[tp].bytes+size > maxBatchBytes {
		r = &request{batches: make(map[kafkalog.TopicPartition]*batch)}
		all.requests[leader] = append(requests, r)
	}
	b := r.batches[tp]
	if b == nil {
		b = &batch{records: &sarama.RecordBatch{
			Version: 2, IsTransactional: true, ProducerID: all.me.id, ProducerEpoch: all.me.epoch,
			FirstSequence: after(all.next[tp], all.count[tp]), FirstTimestamp: now, MaxTimestamp: now,
		}}
		r.batches[tp] = b
	}
	record := &sarama.Record{OffsetDelta: int64(len(b.messages)), Key: m.key, Value: m.payload}
	if len(m.headers) > 0 {
		record.Headers = make([]*sarama.RecordHeader, len(m.headers)/2)
		for i := range record.Headers {
			record.Headers[i] = &sarama.RecordHeader{Key: m.headers[2*i], Value: m.headers[2*i+1]}
		}
	}
	b.records.Records = append(b.records.Records, record)
	b.records.LastOffsetDelta = int32(len(b.messages))
	b.messages = append(b.messages, m)
	all.count[tp]++
	b.bytes += size
	r.bytes += size
}

// answer is a broker's to one request.
type answer struct {
	to       *request
	response *sarama.ProduceResponse
	err      error
}

// send sends all, to the brokers at the same time, and waits until each message is stored or refused; if they go one by
// one, up to the first that is refused.
func (all *sorted) send() error {
	if !all.careful {
		return all.sendNow(all.requests)
	}
	for leader, requests := range all.requests {
		for _, r := range requests {
			if err := all.sendNow(map[*sarama.Broker][]*request{leader: {r}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (all *sorted) sendNow(byLeader map[*sarama.Broker][]*request) error {
	total := 0
	for _, requests := range byLeader {
		total += len(requests)
	}
	answers := make(chan answer, total) // nobody reads on behind one that was lost
	for leader, requests := range byLeader {
		go all.sendTo(leader, requests, answers)
	}
	var refused []refusal
	for range total {
		a := <-answers // there is one to each request, if only that its connection was cut
		if a.err != nil {
			return fmt.Errorf("send messages: %w: %w", errUnanswered, a.err)
		}
		refused = append(refused, all.read(a)...)
	}
	return verdictOn(refused)
}

// sendTo sends requests in their order, which one connection keeps, each before the answer to the one before.
func (all *sorted) sendTo(leader *sarama.Broker, requests []*request, answers chan<- answer) {
	for _, r := range requests {
		err := leader.AsyncProduce(all.produce(r), func(response *sarama.ProduceResponse, err error) {
			answers <- answer{r, response, err}
		})
		if err != nil {
			answers <- answer{to: r, err: err}
		}
	}
}

func (all *sorted) produce(r *request) *sarama.ProduceRequest {
	p := &sarama.ProduceRequest{
		Version: produceVersion, TransactionalID: &all.id, RequiredAcks: sarama.WaitForAll,
		Timeout: int32(all.timeout / time.Millisecond),
	}
	for tp, b := range r.batches {
		p.AddBatch(tp.Topic, tp.Partition, b.records)
	}
	return p
}

// read returns the messages that are refused, and notes the others as stored. What comes next has the number behind the
// last that is stored, also behind an aborted transaction. That may be one behind a refused message: a partition that
// has nothing of this producer yet begins with any number. A number that is given twice loses a message, because Kafka
// takes a batch for one that it has if it begins and ends with the same ones.
func (all *sorted) read(a answer) (refused []refusal) {
	for tp, b := range a.to.batches {
		err := sarama.ErrIncompleteResponse
		if block := a.response.GetBlock(tp.Topic, tp.Partition); block != nil {
			err = failure(block.Err)
		}
		if err == nil {
			all.next[tp] = after(b.records.FirstSequence, len(b.messages))
			continue
		}
		for _, m := range b.messages {
			refused = append(refused, refusal{m, err})
		}
	}
	return refused
}

// after is the number of the message n behind the one that has this number; they begin with 0 again.
func after(number int32, n int) int32 { return int32((int64(number) + int64(n)) & math.MaxInt32) }
