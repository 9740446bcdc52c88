//! What a database error means: one operation's own fault, a transaction that is
//! to be tried again, or a database that is away for a moment.

use crate::store::{StoreError, is_away};

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// One operation's own fault: the others of its batch can be written.
pub(super) fn is_ones_own(error: &StoreError) -> bool {
    match error {
        // A row that would be written twice by one statement, data that cannot be
        // stored, or a constraint that forbids it.
        StoreError::Database(error) => {
            code(error).is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23")))
        }
        other => other.is_refusal(),
    }
}

/// Somebody else was in the way: a row was moved to another partition meanwhile, or
/// two waited for each other. Nothing was written, and the same works a moment later.
pub(super) fn is_to_be_repeated(error: &StoreError) -> bool {
    let again = [SERIALIZATION_FAILURE, DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE];
    matches!(error, StoreError::Database(error) if code(error).is_some_and(|code| again.contains(&&*code)))
}

/// The connection is lost, or the server takes no writes: another connection may be
/// to one that does.
pub(super) fn is_lost(error: &StoreError) -> bool {
    matches!(error, StoreError::Unwritable(error) if is_away(error))
}

/// A unique index had the value already.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}
