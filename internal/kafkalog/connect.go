package kafkalog

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// Connect opens a client with Config, and a Reader on it. The client is the caller's to close.
func Connect(brokers []string, clientID string, sessionTimeout time.Duration) (sarama.Client, *Reader, error) {
	client, err := sarama.NewClient(brokers, Config(clientID, sessionTimeout))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	reader, err := NewReader(client)
	if err != nil {
		_ = client.Close()
		return nil, nil, err
	}
	return client, reader, nil
}
