package inbox

import (
	"cmp"
	"errors"
	"sync"
)

// State is how a consumer stands, for readiness and for people.
type State struct {
	Broker     error // nil = the group answers
	Database   error // nil = the last batch or claim got through
	Partitions int   // claimed by this member
	Halted     int   // of these, standing still until an operator decides
}

// Ready reports why the consumer cannot do its work, or nil. One halted partition does not make it unready: it would
// be restarted in a loop, which helps nobody. All of them do.
func (s State) Ready() error {
	switch {
	case s.Database != nil:
		return s.Database
	case s.Broker != nil:
		return s.Broker
	case s.Partitions > 0 && s.Halted == s.Partitions:
		return errors.New("every claimed partition is halted: see `onhand status`")
	}
	return nil
}

// health collects a consumer's state from where it shows.
type health struct {
	mu    sync.Mutex
	state State
	poll  error // what looking at the claims' rows met last
}

func (h *health) snapshot() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state
	s.Database = cmp.Or(s.Database, h.poll)
	return s
}

// polled notes whether the claims' rows could be read: the only thing an idle member asks of the database.
func (h *health) polled(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.poll = err
}

func (h *health) databaseWorks() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Database = nil
}

func (h *health) databaseFailed(cause class, err error) {
	if !cause.infrastructure() {
		return // the database answers; the batch or a record is at fault
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Database = err
	if cause == classNotReady {
		h.state.Database = errors.Join(errors.New("schema or grants do not fit: see `onhand migrate status`"), err)
	}
}

func (h *health) broker(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Broker = err
}

func (h *health) claims(partitions, halted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Partitions, h.state.Halted = partitions, halted
}
