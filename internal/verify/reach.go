package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// reach is how much of a partition's log between start and next can be read: [from, to). The rest, if any, is judged by
// the database's rows alone, and gap says why.
type reach struct {
	from, to int64
	gap      string
	retained bool // the gap is only what retention removed
}

// reaches asks the brokers how much of each partition can be read.
func (v *Verification) reaches(ctx context.Context) (map[kafkalog.TopicPartition]reach, error) {
	var names []string
	var tps []kafkalog.TopicPartition
	for i, row := range v.rows {
		if i == 0 || row.Topic != names[len(names)-1] {
			names = append(names, row.Topic)
		}
		tps = append(tps, partitionOf(row))
	}
	ids, err := v.topicIDs(ctx, names)
	if err != nil {
		return nil, err
	}
	ranges, err := v.cfg.Log.Ranges(ctx, tps)
	if err != nil {
		return nil, err
	}
	reaches := make(map[kafkalog.TopicPartition]reach, len(tps))
	for _, row := range v.rows {
		r, known := ranges[partitionOf(row)]
		why := replaced(row, ids)
		switch {
		case why != "":
			reaches[partitionOf(row)] = unreadable(row, why)
		case !known:
			reaches[partitionOf(row)] = unreadable(row, "no broker leads the partition")
		default:
			if reaches[partitionOf(row)], err = v.within(ctx, row, r); err != nil {
				return nil, err
			}
		}
	}
	return reaches, nil
}

// replaced says why the topic of row is not the one that was read; empty if it is, as far as ids tell.
func replaced(row offsets.Row, ids map[string]uuid.UUID) string {
	id, exists := ids[row.Topic]
	switch {
	case !exists:
		return "the topic does not exist"
	case row.TopicID != nil && id != uuid.Nil && id != *row.TopicID:
		return "the topic was deleted and created again"
	}
	return ""
}

// within is the part of row's range that lies in the log, if it is still the log that was read.
func (v *Verification) within(ctx context.Context, row offsets.Row, r kafkalog.Range) (reach, error) {
	if row.Next > r.LastStable {
		return unreadable(row, fmt.Sprintf("the log ends at %d: it was cut back", r.LastStable)), nil
	}
	if row.LastHash != nil && row.Next > r.Start {
		hash, found, err := v.cfg.Log.RecordHash(ctx, partitionOf(row), row.Next-1)
		if err != nil {
			return reach{}, err
		}
		if found && hash != *row.LastHash {
			return unreadable(row, fmt.Sprintf("the record at %d is not the one that was read: the log was cut back "+
				"and grew again", row.Next-1)), nil
		}
	}
	from := max(row.Start, min(r.Start, row.Next))
	if from == row.Start {
		return reach{from: from, to: row.Next}, nil
	}
	return reach{from: from, to: row.Next, retained: true, gap: fmt.Sprintf("retention removed offsets %d to %d",
		row.Start, from-1)}, nil
}

func unreadable(row offsets.Row, why string) reach {
	return reach{from: row.Next, to: row.Next, gap: why}
}

// topicIDs asks for the present ids of topics; one that does not exist is absent.
func (v *Verification) topicIDs(ctx context.Context, names []string) (map[string]uuid.UUID, error) {
	topics, err := v.cfg.Log.Topics(ctx, names)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]uuid.UUID, len(topics))
	for name, topic := range topics {
		ids[name] = topic.ID
	}
	return ids, nil
}

// logAway says whether err is about what the log holds, and not about how to get at it.
func logAway(err error) bool {
	return errors.Is(err, kafkalog.ErrLogEnds) || errors.Is(err, kafkalog.ErrUnreadable) ||
		errors.Is(err, sarama.ErrOffsetOutOfRange)
}
