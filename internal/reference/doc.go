// Package reference is what inventory should do, written a second time, to be read: one record after another, maps,
// and numbers without end. The tests hold the service against it. It shares no code and no types with inventory; it
// reads events as the JSON that they are on the wire, and keeps a whole installation in memory.
//
// Installation.Apply takes records in the order of the log and says what becomes of each. Snapshot is then what the
// tables should hold, and Check what must hold of it whatever came: nothing appears or vanishes (I4).
//
// History makes records that have much to do with each other. Features says which kinds and fields it may use, so that
// it can be run against a service that does not know all of them.
//
// # Readings
//
// Where the contract leaves something open, this is how it is read here:
//
//   - What concerns the event as a whole comes before its lines: unknown, closed, known already. For a reservation:
//     closed or unknown, then already_expired, then its lines.
//   - The lines of an extension are looked at like those of any event: an if_version that does not hold refuses it.
//     What they ask for is compared only then.
//   - Bundles are taken apart first, one line after the other; then the lines, bundles' parts among them, are added by
//     SKU and location and decided in that order. What is open of a reservation are parts.
//   - A line of a transfer is decided with both its ends: what overflows where it goes refuses it at that line.
//   - A count is outdated by what its counted_at says, not by what that is capped to.
//   - Times count to the microsecond, which is what the database keeps; what is finer is cut off.
//   - A movement that changed neither on hand nor damaged does not count as the latest, unless it is a count.
//   - Every record of a partition lets its reservations lapse, also one that is then a duplicate or parked.
//   - A receipt of a bundle, which nobody can have sent, is not_in_transfer.
//   - A definition as a bundle is refused has_stock before policy_conflict.
package reference
