//! Another master key: everything that is sealed is opened with the old key and
//! sealed with the new one, in a transaction that the engine has begun.

use sqlx::{AssertSqlSafe, Row as _};

use super::db::{Connection, Row};
use crate::store::offline::ResealError;
use crate::store::seal::{Label, Seal};
use crate::store::sealed::{CHECK, READ_CHECK, SEALED, SealedColumn};

/// Whether it is sealed with this key; one that is sealed with none is.
pub(crate) async fn is_sealed_with(conn: &mut Connection, seal: &Seal) -> Result<bool, sqlx::Error> {
    let check: Option<Vec<u8>> = sqlx::query_scalar(READ_CHECK).fetch_optional(conn).await?;
    Ok(check.is_none_or(|sealed| seal.open(CHECK, &sealed).is_ok()))
}

/// Answers how many values there were.
pub(crate) async fn reseal_all(conn: &mut Connection, old: &Seal, new: &Seal) -> Result<usize, ResealError> {
    let mut values = 0;
    for column in &SEALED {
        values += reseal_column(conn, column, old, new).await?;
    }
    sqlx::query("UPDATE meta SET value = $1 WHERE name = 'master-key'")
        .bind(new.seal(CHECK, b"ok"))
        .execute(conn)
        .await?;
    Ok(values)
}

async fn reseal_column(
    conn: &mut Connection,
    column: &SealedColumn,
    old: &Seal,
    new: &Seal,
) -> Result<usize, ResealError> {
    let SealedColumn { table, column: name, key, .. } = column;
    let whose = column.whose.join(" || ' ' || ");
    let select =
        format!("SELECT {name}, CAST({whose} AS TEXT), {} FROM {table} WHERE {name} IS NOT NULL", key.join(", "));
    let is: Vec<String> = key.iter().zip(2..).map(|(key, number)| format!("{key} = ${number}")).collect();
    let update = format!("UPDATE {table} SET {name} = $1 WHERE {}", is.join(" AND "));
    let rows: Vec<Row> = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut *conn).await?;
    for row in &rows {
        let whose: String = row.try_get(1)?;
        let label = Label { what: column.what, whose: &whose };
        let unopened = ResealError::Unopened { table, column: name };
        let plain = match old.open(label, row.try_get(0)?) {
            Ok(plain) => plain,
            Err(_) => return Err(unopened),
        };
        let mut query = sqlx::query(AssertSqlSafe(update.clone())).bind(new.seal(label, &plain));
        for at in 2..2 + key.len() {
            query = match row.try_get::<String, _>(at) {
                Ok(text) => query.bind(text),
                Err(_) => query.bind(row.try_get::<i64, _>(at)?),
            };
        }
        if query.execute(&mut *conn).await?.rows_affected() != 1 {
            return Err(unopened);
        }
    }
    Ok(rows.len())
}
