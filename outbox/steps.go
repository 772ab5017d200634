package outbox

// step is a point at which a crash would leave something half done; the tests crash there.
type step string

const (
	stepRead      step = "read"      // messages are read
	stepSent      step = "sent"      // Kafka has them, in an open transaction
	stepIntended  step = "intended"  // ... and the intent is stored: the next thing is the commit
	stepCommitted step = "committed" // Kafka has committed
	stepDone      step = "done"      // ... and that is stored
)

// The steps of a session that ends the last transaction again.
const (
	stepBegunAgain step = "begun again" // Kafka has forgotten how it ended; the row has not
	stepAddedAgain step = "added again" // it is open wherever readers have not heard of its end
	stepEndedAgain step = "ended again" // ... and has ended once more
)

// steps hears of each step; nil = nobody listens.
type steps func(step)

func (s steps) step(at step) {
	if s != nil {
		s(at)
	}
}
