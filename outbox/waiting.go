package outbox

import (
	"strings"
	"sync"
)

// waiting collects what messages wait for; several parts of a session write to it.
type waiting struct {
	mu    sync.Mutex
	texts [waitReasons]string
}

const (
	waitHorizon = iota // a transaction that runs
	waitTopic          // a topic that is missing or forbidden
	waitKafka          // an answer of Kafka's
	waitSession        // what ended the last session, until this one has begun
	waitLeader         // a partition that does not answer while a session begins
	waitReasons
)

func (w *waiting) set(reason int, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts[reason] = text
}

func (w *waiting) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var parts []string
	for _, t := range w.texts {
		if t != "" {
			parts = append(parts, t)
		}
	}
	return strings.Join(parts, "; ")
}
