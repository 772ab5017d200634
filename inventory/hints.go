package inventory

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Hints are what the handlers of one process tell each other of what they met, so that the next batch asks for the
// right rows at once, and as many as are good: that reservations lapsed lately, how many lines they have, and of which
// parts SKUs were bundles when they were last seen, so that Load can lock the parts' rows in the one order of all rows,
// and draw ids for their movements, before it knows what the bundles are. They decide nothing (I10): a decision goes by
// the bundle as it is read under its lock, and where the hint was wrong or missing, the batch runs again, with what was
// read for a hint. The first sale of a bundle in a process pays that once.
//
// The zero value knows nothing yet. All handlers of a process should share one, and the decoder too; it may be used
// from several goroutines.
type Hints struct {
	parts atomic.Pointer[map[skuKey][]string] // is replaced, and never changed
	mu    sync.Mutex                          // of who replaces it
	bytes int

	dueUntil atomic.Int64 // reservations lapse, as far as is known; in nanoseconds since 1970

	lines atomic.Int64 // of a reservation that is named, about, in 1/256; 0 = not known yet
}

// maxHintBytes bounds the hints, in about the bytes that they take. A hint lost costs a batch that runs twice.
const maxHintBytes = 8 << 20

// now returns all hints as they are. They must not be changed.
func (h *Hints) now() map[skuKey][]string {
	if h == nil {
		return nil
	}
	if m := h.parts.Load(); m != nil {
		return *m
	}
	return nil
}

// learn takes in what SKUs are made of; those with no parts are no bundles.
func (h *Hints) learn(news map[skuKey][]string) {
	if len(news) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	next := maps.Clone(h.now())
	if next == nil {
		next = make(map[skuKey][]string)
	}
	for k, parts := range news {
		h.bytes -= hintBytes(k, next[k])
		delete(next, k)
		if len(parts) == 0 {
			continue
		}
		size := hintBytes(k, parts)
		if h.bytes+size > maxHintBytes {
			clear(next) // which ones are needed again, nobody knows
			h.bytes = 0
		}
		next[k] = slices.Clone(parts)
		h.bytes += size
	}
	h.parts.Store(&next)
}

func hintBytes(k skuKey, parts []string) int {
	if len(parts) == 0 {
		return 0
	}
	const header, entry = 16, 100 // of a string; of a SKU in the map
	n := entry + len(k.tenant) + len(k.sku)
	for _, p := range parts {
		n += header + len(p)
	}
	return n
}

// dueSpan is how long batches lock what is due after some of it was met: longer than the usual pause between two
// deadlines of a shop where reservations lapse at all.
const dueSpan = 10 * time.Second

func (h *Hints) lapsing() bool { return time.Now().UnixNano() < h.dueUntil.Load() }

func (h *Hints) sawDue() { h.dueUntil.Store(time.Now().Add(dueSpan).UnixNano()) }

// usualLines is how many lines a reservation or transfer has that an event names: those of late, on the average.
func (h *Hints) usualLines() int {
	const unknown = 8
	if h == nil || h.lines.Load() == 0 {
		return unknown
	}
	return int((h.lines.Load() + 255) / 256)
}

// sawLines takes in so many lines of so many reservations. Of two batches that end at once, one may be forgotten.
func (h *Hints) sawLines(lines, reservations int) {
	if reservations == 0 {
		return
	}
	const weight = 4 // of what was known
	latest, known := int64(lines*256/reservations), h.lines.Load()
	if known == 0 {
		known = latest
	}
	h.lines.Store(max((weight*known+latest)/(weight+1), 1))
}
