// Package inventory reads inventory events, decides on them, and writes what comes of it: stock, its ledger, and a
// message about each movement.
//
// The Decoder turns a record into an Event, or says what is wrong with it. Decide is a pure function of a stock row
// and an event. The Handler brings the two together with the database, a batch in two round trips: Load locks and
// reads, the decisions are made in memory, one event after another, and Apply writes each row once, however many
// events moved it. Nothing that is remembered from one batch to the next decides anything (I10): Hints only say which
// rows to lock.
//
// # Locks
//
// Load locks in this order, and within each step in the order of the keys' bytes, so that two batches that need the
// same rows never wait for each other in a circle:
//
//  1. the rows of skus that the batch defines, for update;
//  2. the rows of stock that it may move, and all rows of the SKUs that it defines, for update;
//  3. the reservations that its events name and those that are due, then the transfers, for update.
//
// They are locked by SELECT, because an UPDATE with a join locks in whatever order its plan comes by the rows. In read
// committed a SELECT FOR UPDATE that waited reads the newest version of the row, so a decision never rests on an older
// one. What is locked in Load is only written in Apply.
//
// # Rows in the making
//
// A row of stock that is not there yet cannot be locked. It has no policy yet either: it gets that of its SKU, which
// must not change in between. So where Load finds no row of stock, it locks the SKU's, for share. Against a batch that
// defines the SKU at the same time there are these cases:
//
//   - The SKU's row exists, and the definition locked it first: the other batch waits, and reads the new policy.
//   - It exists, and the other batch locked it first: the definition waits, and because its locks on stock are a later
//     statement with a later snapshot, it then sees the row of stock that the other one made.
//   - It does not exist: both are going to insert it. The second to do so gets a unique violation, which the inbox
//     answers by running the batch again. This is why there is a row of skus for every row of stock, and why it is
//     inserted by a plain INSERT: "on conflict" would hide that the decision was made without knowing of it.
//
// The same violation, on stock, meets two batches that create the same row.
//
// A bundle never has a row of stock. So who sells one, and looks for its row, has locked what says of which parts it
// consists, by the same share lock; a definition that makes it something else waits, or was first. And no row is made
// of a bundle, nor a bundle of a SKU that has a row, by the cases above.
//
// The share lock is taken while locks on stock are held already, against the order above: two batches, of which one
// defines a SKU and the other gives it a new row, or sells it as a bundle, while both move another row, may deadlock.
// That takes one SKU in two partitions, and Postgres and the inbox settle it: one batch runs again. Locking the SKU of
// every event first would cost an index look-up and a write for each of them.
package inventory
