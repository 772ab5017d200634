package outbox

import "github.com/google/uuid"

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

// Newer reports whether p was committed after other: turns only grow. One that was set by hand is older than any other.
func (p Position) Newer(other Position) bool {
	if p.Turn == nil || other.Turn == nil {
		return p.Turn != nil
	}
	return *p.Turn > *other.Turn
}
