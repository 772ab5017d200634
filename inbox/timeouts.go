package inbox

import "time"

// Timeouts all follow from the session timeout, in this order: lock < ahead < statement < batch < rebalance < session.
// A batch that is under way when a rebalance starts ends before the group stops waiting for this member.
type Timeouts struct {
	Session   time.Duration // the group expels a silent member after this; also the network's read timeout
	Heartbeat time.Duration
	Rebalance time.Duration // how long the group waits for members to let go
	Batch     time.Duration // one attempt at a batch, seen from here
	Statement time.Duration // one statement, and a transaction's idle time, seen from Postgres
	Lock      time.Duration // waiting for one lock
	Ahead     time.Duration // waiting for the batch ahead, with a lane and with locks
}

// lockTimeout is short because a lane that waits for one row holds up every partition that shares the lane.
const lockTimeout = 250 * time.Millisecond

// aheadTimeout is many times what a commit takes. Who waits for one that hangs keeps a lane, and locks, from others.
const aheadTimeout = time.Second

// TimeoutsFor derives the timeouts from the session timeout.
func TimeoutsFor(session time.Duration) Timeouts {
	return Timeouts{
		Session:   session,
		Heartbeat: session / 5,
		Rebalance: session * 2 / 3,
		Batch:     session * 8 / 15,
		Statement: session / 3,
		Lock:      lockTimeout,
		Ahead:     min(aheadTimeout, session/6),
	}
}
