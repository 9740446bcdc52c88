//! Plugin versions and their components.

use super::changes::{require, unused};
use super::db::{Connection, Db, Pool, Row};
use super::rows::Columns;
use crate::domain::id::TenantId;
use crate::domain::pipeline::Step;
use crate::domain::plugin::{Digest, Owner, PluginName, PluginVersion, Stock};
use crate::store::StoreError;
use crate::store::catalog::PluginUpload;
use crate::store::text::json;

const OF_OWNER: &str = "
    SELECT name, version, digest, size, jobs, description, compile_ms, uploaded_by, created_at FROM plugins WHERE owner = $1";
const OF_DIGEST: &str = "
    SELECT name, version, digest, size, jobs, description, compile_ms, uploaded_by, created_at FROM plugins
    WHERE owner = $1 AND name = $2 AND digest = $3";

/// Stores an upload, or finds the version that it already is.
pub(crate) async fn add(conn: &mut Connection, upload: PluginUpload) -> Result<PluginVersion, StoreError> {
    const COMPONENT: &str =
        "INSERT INTO components (digest, component) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
    const VERSION: &str = "
        INSERT INTO plugins (owner, name, version, digest, size, jobs, description, compile_ms, uploaded_by, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    if let Owner::Tenant(tenant) = upload.owner {
        require(conn, tenant).await?;
    }
    let owner = owner_text(upload.owner);
    if let Some(same) = same(conn, &upload).await? {
        return Ok(same);
    }
    let number = next_number(conn, &owner, &upload.name).await?;
    let version = PluginVersion {
        owner: upload.owner,
        name: upload.name,
        version: number,
        digest: upload.digest,
        size: upload.component.len() as u64,
        jobs: upload.jobs,
        description: upload.description,
        compile_ms: upload.compile_ms,
        uploaded_by: upload.uploaded_by,
        created_at: upload.created_at,
    };
    let digest = version.digest.to_string();
    sqlx::query(COMPONENT).bind(digest.as_str()).bind(&*upload.component).execute(&mut *conn).await?;
    sqlx::query(VERSION)
        .bind(owner.as_str())
        .bind(version.name.to_string())
        .bind(i64::from(version.version))
        .bind(digest)
        .bind(i64::try_from(version.size).unwrap_or(i64::MAX))
        .bind(json(&version.jobs))
        .bind(json(&version.description))
        .bind(i64::try_from(version.compile_ms).unwrap_or(i64::MAX))
        .bind(version.uploaded_by.map(|key| key.to_string()))
        .bind(version.created_at.as_millis())
        .execute(&mut *conn)
        .await?;
    if let Some(most) = upload.most {
        keep_within(conn, &owner, most).await?;
    }
    Ok(version)
}

/// The version that an upload already is.
async fn same(conn: &mut Connection, upload: &PluginUpload) -> Result<Option<PluginVersion>, StoreError> {
    let row = sqlx::query(OF_DIGEST)
        .bind(owner_text(upload.owner))
        .bind(upload.name.to_string())
        .bind(upload.digest.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(|row| version(upload.owner, &row)).transpose()
}

/// After the insertion and in its savepoint: two that come together cannot both
/// be the last that fits.
async fn keep_within(conn: &mut Connection, owner: &str, most: Stock) -> Result<(), StoreError> {
    const STOCK: &str = "
        SELECT count(*) AS versions, CAST(sum(size) AS BIGINT) AS bytes,
            CAST(sum(octet_length(description)) AS BIGINT) AS described
        FROM plugins WHERE owner = $1";
    let row = sqlx::query(STOCK).bind(owner).fetch_one(conn).await?;
    let row = Columns(&row);
    let stock = Stock { versions: row.int("versions")?, bytes: row.int("bytes")?, described: row.int("described")? };
    if stock.fits(&most) { Ok(()) } else { Err(StoreError::OverLimit) }
}

/// A number that the name never had.
async fn next_number(conn: &mut Connection, owner: &str, name: &PluginName) -> Result<u32, StoreError> {
    const NEXT: &str = "
        INSERT INTO plugin_numbers (owner, name, last) VALUES ($1, $2, 1)
        ON CONFLICT (owner, name) DO UPDATE SET last = plugin_numbers.last + 1 RETURNING last";
    let row = sqlx::query(NEXT).bind(owner).bind(name.to_string()).fetch_one(conn).await?;
    Columns(&row).int("last")
}

/// Deletes versions of a plugin that no step pins, and components that nobody
/// has any more.
pub(crate) async fn delete(
    conn: &mut Connection,
    tenant: TenantId,
    name: &PluginName,
    version: Option<u32>,
) -> Result<(), StoreError> {
    let pins = |step: &Step| step.plugin == *name && version.is_none_or(|version| step.version == version);
    unused(conn, tenant, pins).await?;
    let deleted = sqlx::query("DELETE FROM plugins WHERE owner = $1 AND name = $2 AND ($3 IS NULL OR version = $3)")
        .bind(owner_text(Owner::Tenant(tenant)))
        .bind(name.to_string())
        .bind(version.map(i64::from))
        .execute(&mut *conn)
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(StoreError::NotFound);
    }
    delete_orphans(conn).await
}

pub(crate) async fn delete_orphans(conn: &mut Connection) -> Result<(), StoreError> {
    const ORPHANS: &str = "
        DELETE FROM components WHERE NOT EXISTS (SELECT 1 FROM plugins WHERE plugins.digest = components.digest)";
    sqlx::query(ORPHANS).execute(conn).await?;
    Ok(())
}

/// Every version of one owner's plugins.
pub(crate) async fn versions<'e>(
    from: impl sqlx::Executor<'e, Database = Db>,
    owner: Owner,
) -> Result<Vec<PluginVersion>, StoreError> {
    let rows = sqlx::query(OF_OWNER).bind(owner_text(owner)).fetch_all(from).await?;
    rows.iter().map(|row| version(owner, row)).collect()
}

fn version(owner: Owner, row: &Row) -> Result<PluginVersion, StoreError> {
    let row = Columns(row);
    Ok(PluginVersion {
        owner,
        name: row.parsed("name")?,
        version: row.int("version")?,
        digest: row.parsed("digest")?,
        size: row.int("size")?,
        jobs: row.json("jobs")?,
        description: row.json("description")?,
        compile_ms: row.int("compile_ms")?,
        uploaded_by: row.maybe_parsed("uploaded_by")?,
        created_at: row.at("created_at")?,
    })
}

pub(crate) async fn component(pool: &Pool, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query("SELECT component FROM components WHERE digest = $1")
        .bind(digest.to_string())
        .fetch_optional(pool)
        .await?;
    row.map(|row| Ok(Columns(&row).bytes("component")?.to_vec())).transpose()
}

fn owner_text(owner: Owner) -> String {
    match owner {
        // No tenant's id: those have a prefix.
        Owner::House => "house".to_owned(),
        Owner::Tenant(tenant) => tenant.to_string(),
    }
}
