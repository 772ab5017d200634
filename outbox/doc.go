// Package outbox takes messages from Postgres to Kafka, each exactly once for readers of committed records, in the
// order in which they were written.
//
// A message is a row that Append writes in the caller's transaction, so it exists if and only if what it tells of does.
// Relay publishes the rows in the order of their ids. The package knows nothing of stock; any pgx transaction may use
// it.
//
// # Order and completeness
//
// An id is drawn from a sequence while the caller holds the locks that order its messages, so two messages whose order
// matters have ids in that order. Ids are not committed in their order, though: a reader that simply went on behind the
// highest id it saw would miss those that come late. The relay therefore reads up to a safe horizon only. It notes the
// sequence's last value L, then draws a transaction id N of its own. Whoever drew an id up to L had a transaction id
// before (Append sees to that), so it is less than N; once no transaction below N runs any more, everything up to L is
// either there or will never be. Transactions of other databases of the same server count, because Postgres does not
// tell them apart, and so do prepared ones.
//
// # Exactly once
//
// The relay's position is the id of the last message that is out. It is committed as an offset of a consumer group, in
// the Kafka transaction that carries the messages: both are visible or neither. Postgres holds a second copy in two
// steps, intent before the Kafka transaction commits and done after it, by which a relay that starts finds out what
// became of its predecessor's last transaction, and that a database has lost commits which Kafka has not (decide in
// position.go). Kafka fences an old relay by the transactional id, Postgres by a lease that every turn compares.
package outbox
