//! Whether there is a pooler in between that mixes prepared statements.
//!
//! PgBouncer before 1.21 gives, in transaction mode, each transaction another
//! connection to the server and does not know which statements are prepared there. A
//! statement of one host's is then answered with the rows of another's, which no check
//! of the rows would find. So it is looked for before anything is asked.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::open::{OpenError, WAIT};

/// Enough for a pooler with many connections to give each of the two another one.
const ROUNDS: usize = 10;
/// Each connection counts its statements from 1, so that both have the same name: it
/// is the first on either.
const STATEMENTS: [(&str, i64); 2] = [("SELECT 1::bigint AS pooled", 1), ("SELECT 2::bigint AS pooled", 2)];

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const DUPLICATE_STATEMENT: &str = "42P05";
const NO_SUCH_STATEMENT: &str = "26000";

/// `conn` has to be one on which nothing was prepared.
pub(super) async fn check(conn: &mut PgConnection, options: &PgConnectOptions) -> Result<(), OpenError> {
    let mut other = options.connect().await?;
    let checked = mixes(conn, &mut other).await;
    let _a_check_that_is_over = other.close().await;
    match checked {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::Pooler),
        Err(error) => Err(error.into()),
    }
}

async fn mixes(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    for round in 0..ROUNDS {
        // Whoever is first keeps a connection to the server for its transaction, and
        // the second gets another one. Twice the one is first, then twice the other:
        // with a pooler that gives what was given back last, the same ones come again
        // until the first is another, and with one that goes round by turns, until it
        // is not.
        let is_turned = round / 2 % 2 == 1;
        let (first, second) = if is_turned { (&mut *other, &mut *one) } else { (&mut *one, &mut *other) };
        let [of_one, of_other] = STATEMENTS;
        let (of_first, of_second) = if is_turned { (of_other, of_one) } else { (of_one, of_other) };
        let mut held = first.begin().await?;
        let is_first = asked(&mut held, of_first).await?;
        // A pooler with one connection has none left while the first has its own.
        let is_second = tokio::time::timeout(WAIT, asked(second, of_second)).await;
        let is_second = is_second.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        held.commit().await?;
        if !(is_first && is_second) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it answers what it is asked.
async fn asked(conn: &mut PgConnection, (statement, answer): (&'static str, i64)) -> Result<bool, sqlx::Error> {
    Ok(sqlx::query_scalar::<_, i64>(statement).fetch_one(conn).await? == answer)
}

/// Whether a statement has met another of its name, or none.
pub(super) fn is_mixed_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some(DUPLICATE_STATEMENT | NO_SUCH_STATEMENT))
}
