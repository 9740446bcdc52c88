//! Keys: what is known of them, and their hashes.

use super::changes::{Written, found, require};
use super::db::Connection;
use super::rows::{Columns, corrupt};
use crate::domain::id::{KeyId, TenantId};
use crate::domain::key::{Key, KeyHash};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::catalog::NewKey;
use crate::store::text::id_text;

pub(crate) async fn create(conn: &mut Connection, tenant: TenantId, key: &NewKey, max: u32) -> Written {
    require(conn, tenant).await?;
    insert(conn, tenant, key).await?;
    // After the insertion and in its savepoint: two that come together cannot
    // both be the last that fits.
    let row = sqlx::query("SELECT count(*) AS keys FROM keys WHERE tenant_id = $1")
        .bind(id_text(&tenant))
        .fetch_one(conn)
        .await?;
    if Columns(&row).int::<u32>("keys")? > max { Err(StoreError::OverLimit) } else { Ok(()) }
}

pub(crate) async fn insert(conn: &mut Connection, tenant: TenantId, new: &NewKey) -> Written {
    const INSERT: &str = "INSERT INTO keys (hash, id, tenant_id, name, role, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let key = &new.key;
    sqlx::query(INSERT)
        .bind(new.hash.0.as_slice())
        .bind(id_text(&key.id))
        .bind(id_text(&tenant))
        .bind(key.name.as_deref())
        .bind(key.role.as_str())
        .bind(key.expires_at.map(Timestamp::as_millis))
        .bind(key.created_at.as_millis())
        .execute(conn)
        .await?;
    Ok(())
}

/// Looks at what is left after the deletion and in its savepoint: of two admins
/// that delete each other, one stays.
pub(crate) async fn delete(
    conn: &mut Connection,
    tenant: TenantId,
    key: KeyId,
    admin_at: Option<Timestamp>,
) -> Written {
    const ADMIN: &str = "
        SELECT 1 FROM keys WHERE tenant_id = $1 AND role = 'admin' AND (expires_at IS NULL OR expires_at > $2) LIMIT 1";
    let deleted = sqlx::query("DELETE FROM keys WHERE tenant_id = $1 AND id = $2")
        .bind(id_text(&tenant))
        .bind(id_text(&key))
        .execute(&mut *conn)
        .await?;
    found(deleted.rows_affected())?;
    let Some(now) = admin_at else { return Ok(()) };
    let admin = sqlx::query(ADMIN).bind(id_text(&tenant)).bind(now.as_millis()).fetch_optional(conn).await?;
    if admin.is_some() { Ok(()) } else { Err(StoreError::LastAdmin) }
}

/// The oldest first.
pub(crate) async fn read(conn: &mut Connection, tenant: TenantId) -> Result<Vec<(KeyHash, Key)>, StoreError> {
    const SELECT: &str =
        "SELECT hash, id, name, role, expires_at, created_at FROM keys WHERE tenant_id = $1 ORDER BY id";
    let rows = sqlx::query(SELECT).bind(id_text(&tenant)).fetch_all(conn).await?;
    let key = |row| {
        let row = Columns(row);
        let hash = row.bytes("hash")?.try_into().map(KeyHash).map_err(|_| corrupt("keys.hash"))?;
        let key = Key {
            id: row.parsed("id")?,
            name: row.maybe_text("name")?,
            role: Role::parse(row.text("role")?).ok_or_else(|| corrupt("keys.role"))?,
            expires_at: row.maybe_at("expires_at")?,
            created_at: row.at("created_at")?,
        };
        Ok((hash, key))
    };
    rows.iter().map(key).collect()
}
