package inbox

import (
	"context"
	"testing"

	"github.com/IBM/sarama"

	"onhand/offsets"
)

func TestKafkaIsNeverToldOfMoreThanIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.exec(`insert into tally values ('held', 0)`)
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `select from tally where word = 'held' for update`); err != nil {
		t.Fatal(err)
	}
	w.send(0, "1 apple", "2 held", "3 apple", "4 apple") // all are read, one can be stored
	w.send(1, "1p pear")
	_, stop := w.start(w.config())
	w.waitNext(0, 1)
	for i, want := range []int64{1, 2} {
		w.eventually("the other partition's position is published", func() bool {
			offset, _ := w.committed(1)
			return offset == want
		})
		if offset, _ := w.committed(0); offset > 1 {
			t.Errorf("Kafka was told %d, stored is 1", offset)
		}
		if i == 0 {
			w.send(1, "2p pear")
		}
	}
	stop()
	if offset, _ := w.committed(0); offset > 1 {
		t.Errorf("at the end Kafka was told %d, stored is 1", offset)
	}
}

// commits counts what is published.
type commits struct {
	sarama.ConsumerGroupSession
	n int
}

func (c *commits) MarkOffset(string, int32, int64, string)  {}
func (c *commits) ResetOffset(string, int32, int64, string) {}
func (c *commits) Commit()                                  { c.n++ }

func TestNothingIsPublishedBeforeHeldPartitionsHaveTakenTheirStart(t *testing.T) {
	t.Parallel()
	d := newDispatcher(10, 1<<20)
	s := newSession(&member{Consumer: &Consumer{}, dispatcher: d}, nil, func() {})
	c := &claim{TopicPartition: offsets.TopicPartition{Topic: "t"}, session: s, stopped: make(chan struct{})}
	s.claims = map[offsets.TopicPartition]*claim{c.TopicPartition: c}
	var sess commits
	s.unstarted.Add(1)
	if s.publish(&sess); sess.n != 0 {
		t.Error("a partition that has not started yet would start at the stored position, which is illegal")
	}
	s.unstarted.Add(-1)
	if s.publish(&sess); sess.n != 1 {
		t.Errorf("%d commits, want 1", sess.n)
	}
}
