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
// committed. All of them are marked anew before each commit, because where the client was made to start is marked too,
// and for a held partition that is a legal offset, not its position. Nothing is published while a held partition has
// not started, nor when the session ends because what is in memory was found to be wrong.
func (s *session) publish(sess sarama.ConsumerGroupSession) {
	if s.unstarted.Load() > 0 || s.isOver() {
		return
	}
	for tp, c := range s.claims {
		s.mark(sess, tp, s.dispatcher.position(c).Next)
	}
	sess.Commit()
}
