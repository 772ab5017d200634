package outbox

import (
	"maps"
	"slices"

	"github.com/google/uuid"
)

// Position is how far messages have left by what Kafka says: the offset that the group named ProducerID has committed
// for partition 0 of the position's topic, and what its metadata tells.
type Position struct {
	ID   int64  `json:"id"`
	Turn *int64 `json:"turn"` // nil = the metadata is not the installation's: somebody has set the offset by hand
}

// ReadPosition reads what the group has committed.
func ReadPosition(offset int64, metadata string, installation uuid.UUID) Position {
	p := stored(offset, metadata, installation)
	if p.turn == unknownTurn {
		return Position{ID: p.id}
	}
	return Position{ID: p.id, Turn: &p.turn}
}

// Newest is which of the positions that a group has committed counts; they go by the topic whose partition 0 they are
// committed for. It is that of topic, unless another is of a turn beyond done, the last one that the database knows to
// be out: then the database went back to before its position moved there, or is a copy. An older one was left behind by
// a move. Without a topic all count.
func Newest(positions map[string]Position, topic string, done int64) (of string, ok bool) {
	if _, ok = positions[topic]; ok {
		of = topic
	}
	for _, other := range slices.Sorted(maps.Keys(positions)) {
		p := positions[other]
		if topic != "" && (p.Turn == nil || *p.Turn <= done) {
			continue
		}
		if !ok || p.Newer(positions[of]) {
			of, ok = other, true
		}
	}
	return of, ok
}

// Newer reports whether p was committed after other: turns only grow. One that was set by hand is older than any other.
func (p Position) Newer(other Position) bool {
	if p.Turn == nil || other.Turn == nil {
		return p.Turn != nil
	}
	return *p.Turn > *other.Turn
}
