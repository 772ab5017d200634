package inbox

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// publishEvery is how often Kafka's copy of the positions is brought up to date. Only lag tools read it.
const publishEvery = 3 * time.Second

// publishLoop writes the advisory commits, apart from the records' way so that it delays nothing.
func (s *session) publishLoop(ctx context.Context, sess sarama.ConsumerGroupSession) {
	for sleep(ctx, publishEvery) {
		s.publish(sess)
	}
}

// publish commits to Kafka what is stored, never more: a position is read here after the transaction that stored it was
// committed. While a held partition still has its legal offset marked nothing is published at
// all, nor when the session ends because what is in memory was found to be wrong.
func (s *session) publish(sess sarama.ConsumerGroupSession) {
	if s.unmarked.Load() > 0 || s.isOver() {
		return
	}
	for tp, c := range s.claims {
		s.mark(sess, tp, s.dispatcher.position(c).Next)
	}
	sess.Commit()
}
