package outbox

import (
	"context"
	"slices"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// own leaves out of l the partitions where the open transactions are all of other producers than p, who write to the
// same topics: those are none of this outbox's business. A partition that does not say whose they are stays.
func (s *session) own(ctx context.Context, client sarama.Client, l leftover, p *producerID) (leftover, error) {
	if len(l.partitions) == 0 || p == nil {
		l.unsure = len(l.partitions)
		return l, nil
	}
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		return l, err
	}
	open, err := reader.OpenTransactions(ctx, l.partitions)
	if ctx.Err() != nil {
		return l, ctx.Err()
	}
	if err != nil {
		s.log.Debug().Err(err).Msg("Kafka does not say whose transactions are open")
	}
	l.unsure = 0
	l.partitions = slices.DeleteFunc(slices.Clone(l.partitions), func(tp kafkalog.TopicPartition) bool {
		ids, said := open[tp]
		if !said {
			l.unsure++
		}
		return said && !slices.Contains(ids, p.id)
	})
	return l, nil
}

// tellEnding says that a transaction is ended again; a warning if it is this outbox's for sure.
func (s *session) tellEnding(l leftover, commit bool) {
	e, what := s.log.Warn(), "readers have not heard of the end of the last transaction; it is ended again"
	if !l.position && l.unsure == len(l.partitions) {
		e, what = s.log.Info(), "transactions are open where the last messages went, and Kafka does not say whose (that "+
			"takes the right to read the topic); in case it is this outbox's, its end is told again"
	}
	e.Int("partitions", len(l.partitions)).Bool("position", l.position).Bool("committed", commit).Msg(what)
}
