package offsets

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The storm guard's measures, in records.
const (
	windowSize = 200 // the latest records that are looked at
	windowMin  = 50  // fewer seen: no judgement
)

const windowBytes = 1 + windowWords*8

const windowWords = (windowSize + 63) / 64

// Window remembers which of a partition's latest records were parked, to stop a storm: a bad deploy upstream must not
// drain a topic into dead letters. It is kept in the partition's row, so a restart or a new owner goes on counting
// where the last one stopped.
type Window struct {
	seen   int
	parked [windowWords]uint64 // newest record in the lowest bit of word 0
}

// Add notes one record and reports whether it makes a storm: at least 50 seen and more than half of them parked. Only a
// parked record can be the one that does.
func (w *Window) Add(parked bool) bool {
	carry := uint64(0)
	if parked {
		carry = 1
	}
	for i := range w.parked {
		top := w.parked[i] >> 63
		w.parked[i] = w.parked[i]<<1 | carry
		carry = top
	}
	w.parked[windowWords-1] &= 1<<(windowSize-(windowWords-1)*64) - 1
	w.seen = min(w.seen+1, windowSize)
	return parked && w.seen >= windowMin && 2*w.Parked() > w.seen
}

// Parked is how many of the records seen were parked.
func (w *Window) Parked() int {
	n := 0
	for _, word := range w.parked {
		n += bits.OnesCount64(word)
	}
	return n
}

// Seen is how many records the window holds, at most 200.
func (w *Window) Seen() int { return w.seen }

// MarshalBinary is the window as its row keeps it; it never fails.
func (w *Window) MarshalBinary() ([]byte, error) {
	b := make([]byte, windowBytes)
	b[0] = byte(w.seen)
	for i, word := range w.parked {
		binary.BigEndian.PutUint64(b[1+8*i:], word)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote; empty bytes are an empty window.
func (w *Window) UnmarshalBinary(b []byte) error {
	*w = Window{}
	if len(b) == 0 {
		return nil
	}
	if len(b) != windowBytes || b[0] > windowSize {
		return fmt.Errorf("storm window of %d bytes: want %d", len(b), windowBytes)
	}
	w.seen = int(b[0])
	for i := range w.parked {
		w.parked[i] = binary.BigEndian.Uint64(b[1+8*i:])
	}
	return nil
}
