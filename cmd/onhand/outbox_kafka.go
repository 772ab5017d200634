package main

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/installation"
	"onhand/internal/kafkalog"
	"onhand/outbox"
)

// positionFlags say whom to ask for Kafka's position, and whose.
type positionFlags struct {
	brokerFlags
	Of string `placeholder:"UUID" help:"Ask Kafka for the position of this installation: the one that a copy was made from (this database's)."`

	of uuid.UUID
}

func (f *positionFlags) settings(p *problems) {
	f.brokerFlags.optional(p)
	if f.Of == "" {
		return
	}
	var err error
	if f.of, err = uuid.Parse(f.Of); err != nil {
		p.add("of", "%q is not an installation's id; `onhand adopt` has printed it, and the halt's detail has it", f.Of)
	}
}

// kafkaPosition is Kafka's position, and where Kafka keeps it.
type kafkaPosition struct {
	outbox.Position
	Group string `json:"group"`
	Topic string `json:"topic"`
}

var errNoInstallation = errors.New("no member has ever run on this database")

// position asks Kafka; nil without an error means that it has none. topic is where the database says that it is.
func (f *positionFlags) position(ctx context.Context, pool *pgxpool.Pool, topic *string) (*kafkaPosition, error) {
	if len(f.Brokers) == 0 {
		return nil, errors.New("no --brokers (ONHAND_BROKERS) given")
	}
	id := f.of
	if id == uuid.Nil {
		own, err := installation.Read(ctx, pool)
		if err != nil {
			return nil, err
		}
		if own == nil {
			return nil, errNoInstallation
		}
		id = own.ID
	} else {
		topic = nil // that is another one's
	}
	client, reader, err := openKafka(f.Brokers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, rangesTimeout)
	defer cancel()
	committed, err := reader.Committed(ctx, outbox.ProducerID(id))
	if err != nil {
		return nil, err
	}
	return findPosition(committed, id, topic), nil
}

// findPosition is what the group has committed for topic; if that is not known, the newest of all. An outbox whose
// position moved to another topic has left an old one behind.
func findPosition(committed map[kafkalog.TopicPartition]kafkalog.Committed, id uuid.UUID, topic *string,
) *kafkaPosition {
	var newest *kafkaPosition
	for tp, c := range committed {
		if tp.Partition != 0 || topic != nil && tp.Topic != *topic {
			continue
		}
		p := &kafkaPosition{outbox.ReadPosition(c.Offset, c.Metadata, id), outbox.ProducerID(id), tp.Topic}
		if newest == nil || p.Newer(newest.Position) {
			newest = p
		}
	}
	return newest
}

// plain is the position alone; nil = none.
func (p *kafkaPosition) plain() *outbox.Position {
	if p == nil {
		return nil
	}
	return &p.Position
}
