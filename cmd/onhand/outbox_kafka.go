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

// position asks Kafka; nil without an error means that it has none. row is what the database knows of it.
func (f *positionFlags) position(
	ctx context.Context, pool *pgxpool.Pool, row *outbox.Standing,
) (*kafkaPosition, error) {
	if len(f.Brokers) == 0 {
		return nil, errors.New("no --brokers (ONHAND_BROKERS) given")
	}
	id, topic := f.of, "" // of another one this database knows no topic
	if id == uuid.Nil {
		own, err := installation.Read(ctx, pool)
		if err != nil {
			return nil, err
		}
		if own == nil {
			return nil, errNoInstallation
		}
		id = own.ID
		if row.PositionTopic != nil {
			topic = *row.PositionTopic
		}
	}
	client, reader, err := openKafka(ctx, f.Brokers)
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
	return findPosition(committed, id, topic, row.DoneTurn), nil
}

// findPosition is the position that counts (outbox.Newest) of those that the group has committed.
func findPosition(
	committed map[kafkalog.TopicPartition]kafkalog.Committed, id uuid.UUID, topic string, done int64,
) *kafkaPosition {
	positions := make(map[string]outbox.Position)
	for tp, c := range committed {
		if tp.Partition == 0 {
			positions[tp.Topic] = outbox.ReadPosition(c.Offset, c.Metadata, id)
		}
	}
	of, ok := outbox.Newest(positions, topic, done)
	if !ok {
		return nil
	}
	return &kafkaPosition{positions[of], outbox.ProducerID(id), of}
}

// plain is the position alone; nil = none.
func (p *kafkaPosition) plain() *outbox.Position {
	if p == nil {
		return nil
	}
	return &p.Position
}
