// Package offsets keeps the position of every partition in Postgres, and decides who may move it.
//
// # Why positions live here
//
// A record's effect and the advance of its position commit in one transaction (I1), so the position must be a row of
// the same database. Kafka's committed offsets are a copy for lag tools; they are written late and never read.
//
// # Why a token fences
//
// A member can lose a partition without knowing it: a paused process, a cut network. On waking it goes on with what it
// had in memory, and no clock and no heartbeat inside that process can be trusted to stop it. So each claim writes a
// fresh random token into the partition's row, and every batch locks the rows it advances and compares: token and next
// must both be what this claim last saw (I2). The last writer of the token holds the claim; an older holder's
// comparison misses, its transaction rolls back, and nothing of it remains. The comparison on next is needed as well:
// after a failover that lost commits the token may be ours while the position has gone back.
//
// The token is random, not Kafka's generation (which restarts from zero with the group) and not a sequence (which can
// repeat after a failover that lost commits).
package offsets
