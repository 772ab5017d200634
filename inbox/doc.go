// Package inbox reads records from Kafka as a member of a consumer group and applies each of them to Postgres exactly
// once: its effect, its row in the inbox and the position after it commit in one transaction.
//
// A record goes this way. The claim goroutine of its partition (session.go) copies it out of the client's buffers, has
// it decoded, and queues it in its claim (claim.go), within a bound of bytes. The dispatcher (dispatcher.go) hands the
// partitions that have records to lanes (lane.go), each partition to one lane at a time, which keeps its order, or to
// two of which one follows the other (follow.go). A lane takes what is ready, never waits for more, and applies it in
// one transaction of two round trips (transaction.go): lock and read, decide (decide.go), write and commit. What a
// failed attempt teaches (wait, run alone, run shorter, park) travels with the claim.
//
// Who may write is decided in the database, by package offsets: this process may have been frozen, cut off or replaced
// without knowing it. So nothing remembered in memory decides an outcome (I10), and whatever looks wrong ends the
// session: the member joins again and reads everything anew.
//
// The inbox is bounded: it is cut in generations (slots.go) of which three are kept, and a keeper (keeper.go) opens the
// next one and drops the oldest (rollover.go). An event that may have been in one that was dropped is parked
// (horizon.go).
//
// Use New with a Handler, called for each event within the transaction, or with a BatchHandler for whole batches.
package inbox
