package outbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"onhand/internal/kafkalog"
)

// A broker that is killed while it tells of the commit leaves the first position so, for as long as it takes to begin
// again. Who took it for none would halt the outbox.
func TestTheFirstPositionIsWaitedForWhileItsTransactionIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config("one").withDefaults()
	p, err := openProducer(t.Context(), &cfg, w.topic, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.fill(t.Context(), nil, &place{id: 7, turn: 1, by: w.install}); err != nil {
		t.Fatal(err)
	}
	s := &session{Relay: &Relay{cfg: cfg}, position: kafkalog.TopicPartition{Topic: w.topic}}
	at, err := s.kafkaPosition(t.Context(), p.client, row{}, time.Second)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the position is %v: %v", at, err)
	}
	if err := p.coordinator.end(t.Context(), p.me, true); err != nil {
		t.Fatal(err)
	}
	if at, err = s.kafkaPosition(t.Context(), p.client, row{}, patience); err != nil || at == nil || at.id != 7 {
		t.Errorf("the position is %v: %v", at, err)
	}
}
