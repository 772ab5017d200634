package producer

import (
	"encoding/binary"

	"github.com/IBM/sarama"

	"onhand/bench/internal/peer"
)

// store holds messages in one piece of memory without pointers: a million messages that the garbage collector had to
// look at again and again would make a slow producer.
type store struct {
	bytes  []byte // of each message key, payload, and how many headers, then these; each with its length in front
	starts []int
}

func (s *store) len() int { return len(s.starts) }

func (s *store) add(m peer.Message) error {
	s.starts = append(s.starts, len(s.bytes))
	s.put(m.Key)
	s.put(m.Payload)
	s.bytes = binary.AppendUvarint(s.bytes, uint64(len(m.Headers)/2))
	for _, h := range m.Headers {
		s.put(h)
	}
	return nil
}

func (s *store) put(b []byte) {
	s.bytes = append(binary.AppendUvarint(s.bytes, uint64(len(b))), b...)
}

// message is the ith, as the client takes it. Its bytes are the store's.
func (s *store) message(i int, topic string) *sarama.ProducerMessage {
	rest := s.bytes[s.starts[i]:]
	number := func() int {
		n, size := binary.Uvarint(rest)
		rest = rest[size:]
		return int(n)
	}
	next := func() []byte {
		n := number()
		b := rest[:n:n]
		rest = rest[n:]
		return b
	}
	m := &sarama.ProducerMessage{Topic: topic, Key: sarama.ByteEncoder(next()), Value: sarama.ByteEncoder(next())}
	m.Headers = make([]sarama.RecordHeader, number())
	for h := range m.Headers {
		m.Headers[h].Key = next()
		m.Headers[h].Value = next()
	}
	return m
}
