package offsets

// generationKey is the advisory lock of this installation's inbox: every batch takes it shared, before any other lock,
// and what replaces the inbox's tables takes it exclusive. Advisory locks belong to the database, so the key carries
// the schema's name; its top bit is cleared because pg_locks shows it in two unsigned halves.
const generationKey = `(hashtextextended('onhand inbox ' || current_schema(), 0) & 9223372036854775807)`

// LockGeneration is the statement that takes the shared lock, as an expression for a select list.
const LockGeneration = `pg_advisory_xact_lock_shared(` + generationKey + `)`

// LockGenerationAlone takes it exclusive: it waits for the batches that are under way, and the next ones wait for it.
const LockGenerationAlone = `pg_advisory_xact_lock(` + generationKey + `)`
