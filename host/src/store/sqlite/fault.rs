//! What a database error means for the writer: one operation's own fault, a disk
//! that may come back, or the end.

use std::sync::Arc;

use crate::store::StoreError;

// https://sqlite.org/rescode.html
const CORRUPT: u32 = 11;
const READ_ONLY: u32 = 8;
const IOERR: u32 = 10;
const FULL: u32 = 13;
const CANNOT_OPEN: u32 = 14;
const TOO_BIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const NOT_A_DATABASE: u32 = 26;
/// A write was refused, or the index could not be grown or mapped. What is
/// refused is not believed to be written: it is rolled back, and once the disk
/// takes writes again so does the store. A sync that failed is not among them.
const REFUSED: [u32; 5] = [
    IOERR | (3 << 8),  // WRITE
    IOERR | (12 << 8), // NOMEM
    IOERR | (18 << 8), // SHMOPEN
    IOERR | (19 << 8), // SHMSIZE
    IOERR | (21 << 8), // SHMMAP
];

/// One operation's own fault: the others of its batch can be written.
pub(super) fn is_ones_own(error: &StoreError) -> bool {
    match error {
        StoreError::Database(error) => matches!(primary(error), Some(CONSTRAINT | TOO_BIG | MISMATCH)),
        other => other.is_refusal(),
    }
}

/// The disk or the file cannot be trusted any more. A full disk is not that:
/// space comes back.
pub(super) fn is_final(error: &sqlx::Error) -> bool {
    match code(error) {
        Some(code) if REFUSED.contains(&code) => false,
        Some(code) => matches!(code & 0xff, IOERR | CORRUPT | NOT_A_DATABASE),
        // The connection's thread has died.
        None => matches!(error, sqlx::Error::WorkerCrashed),
    }
}

/// What callers are told: whether it is the disk that does not write.
pub(super) fn told(error: StoreError) -> StoreError {
    match error {
        StoreError::Database(error) if is_the_disks(&error) => StoreError::Unwritable(error),
        other => other,
    }
}

fn is_the_disks(error: &Arc<sqlx::Error>) -> bool {
    is_final(error) || matches!(primary(error), Some(FULL | READ_ONLY | CANNOT_OPEN | IOERR))
}

/// A unique index had the value already.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

fn primary(error: &sqlx::Error) -> Option<u32> {
    code(error).map(|code| code & 0xff)
}

fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}
