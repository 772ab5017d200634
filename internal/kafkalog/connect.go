package kafkalog

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// Connect opens a client with Config, and a Reader on it. The client is the caller's to close. A broker that hangs is
// given up after within, which is the session timeout too, and when ctx ends; see Open.
func Connect(ctx context.Context, brokers []string, clientID string, within time.Duration) (
	sarama.Client, *Reader, error,
) {
	client, err := Open(ctx, brokers, Config(clientID, within), within)
	if err != nil {
		return nil, nil, err
	}
	reader, err := NewReader(client)
	if err != nil {
		_ = client.Close()
		return nil, nil, err
	}
	return client, reader, nil
}
