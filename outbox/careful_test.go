package outbox

import (
	"testing"
	"time"
)

func TestATurnThatFailsWhileMessagesGoOneByOneIsFollowedByAShorterOne(t *testing.T) {
	t.Parallel()
	s := &session{Relay: &Relay{}, oneByOne: true}
	if s.lessCare(); s.mostMessages() != carefulMessages {
		t.Errorf("a turn takes %d messages though none was sent alone, want %d", s.mostMessages(), carefulMessages)
	}
	s.carefulUntil = time.Now().Add(time.Hour)
	for _, want := range []int{100, 50, 25, 12, 6, 3, 1, 1} {
		if s.lessCare(); s.mostMessages() != want {
			t.Errorf("a turn takes %d messages, want %d", s.mostMessages(), want)
		}
	}
}
