//! What the writer does to the catalogue. Each function runs in a savepoint of
//! the writer's open transaction: an error leaves nothing behind.

use std::sync::Arc;

use sqlx::SqliteConnection;

use super::bulk::{id_text, json};
use super::rows::Columns;
use super::state;
use super::{fault, health, keys};
use crate::domain::endpoint::Endpoint;
use crate::domain::event::EventType;
use crate::domain::event_type::OwnKind;
use crate::domain::id::{EndpointId, SourceId, TenantId};
use crate::domain::pipeline::{Pipeline, Step};
use crate::domain::place::PlaceId;
use crate::domain::source::Source;
use crate::domain::tenant::Tenant;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::catalog::NewKey;

pub(super) type Written = Result<(), StoreError>;

pub(super) async fn create_tenant(conn: &mut SqliteConnection, tenant: &Tenant, key: &NewKey) -> Written {
    sqlx::query(
        "INSERT INTO tenants (id, name, plan, dialect, limits, retention, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id_text(&tenant.id))
    .bind(tenant.name.as_str())
    .bind(tenant.plan.as_deref())
    .bind(tenant.dialect.as_str())
    .bind(json(&tenant.limits))
    .bind(json(&tenant.retention))
    .bind(tenant.created_at.as_millis())
    .execute(&mut *conn)
    .await
    .map_err(taken)?;
    keys::insert(conn, tenant.id, key).await
}

pub(super) async fn update_tenant(conn: &mut SqliteConnection, tenant: &Tenant) -> Written {
    const UPDATE: &str = "
        UPDATE tenants SET name = ?, plan = ?, dialect = ?, limits = ?, retention = ? WHERE id = ? AND deleted_at IS NULL";
    let updated = sqlx::query(UPDATE)
        .bind(tenant.name.as_str())
        .bind(tenant.plan.as_deref())
        .bind(tenant.dialect.as_str())
        .bind(json(&tenant.limits))
        .bind(json(&tenant.retention))
        .bind(id_text(&tenant.id))
        .execute(conn)
        .await
        .map_err(taken)?;
    found(updated.rows_affected())
}

pub(super) async fn delete_tenant(conn: &mut SqliteConnection, tenant: TenantId, now: Timestamp) -> Written {
    let deleted = sqlx::query("UPDATE tenants SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL")
        .bind(now.as_millis())
        .bind(id_text(&tenant))
        .execute(&mut *conn)
        .await?;
    found(deleted.rows_affected())?;
    for statement in [
        "DELETE FROM keys WHERE tenant_id = ?",
        "DELETE FROM sources WHERE tenant_id = ?",
        "DELETE FROM endpoint_secrets WHERE tenant_id = ?",
        "DELETE FROM endpoints WHERE tenant_id = ?",
        "DELETE FROM event_types WHERE tenant_id = ?",
        "DELETE FROM plugins WHERE owner = ?",
        "DELETE FROM plugin_numbers WHERE owner = ?",
        "DELETE FROM plugin_moves WHERE tenant_id = ?",
        "DELETE FROM plugin_use WHERE tenant_id = ?",
        "DELETE FROM event_counts WHERE tenant_id = ?",
        "DELETE FROM named_secrets WHERE tenant_id = ?",
        "DELETE FROM step_values WHERE tenant_id = ?",
        "DELETE FROM step_revisions WHERE tenant_id = ?",
    ] {
        sqlx::query(statement).bind(id_text(&tenant)).execute(&mut *conn).await?;
    }
    super::people::forget_tenant(conn, tenant).await?;
    super::plugins::delete_orphans(conn).await
}

/// `verification` is sealed.
pub(super) async fn create_source(
    conn: &mut SqliteConnection,
    source: &Source,
    verification: Option<Vec<u8>>,
) -> Written {
    const INSERT: &str = "
        INSERT INTO sources (tenant_id, id, name, token, event_type, verification, rate_limit, pipeline, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    require(conn, source.tenant).await?;
    sqlx::query(INSERT)
        .bind(id_text(&source.tenant))
        .bind(id_text(&source.id))
        .bind(source.name.as_str())
        .bind(source.token.as_str())
        .bind(source.event_type.as_ref().map(|event_type| event_type.as_str()))
        .bind(verification)
        .bind(source.rate_limit.as_ref().map(json))
        .bind(json(&source.pipeline))
        .bind(source.created_at.as_millis())
        .execute(conn)
        .await
        .map_err(taken)?;
    Ok(())
}

/// `verification` is sealed.
pub(super) async fn update_source(
    conn: &mut SqliteConnection,
    source: &Source,
    verification: Option<Vec<u8>>,
    was: &Source,
) -> Written {
    const UPDATE: &str = "
        UPDATE sources SET name = ?, event_type = ?, verification = ?, rate_limit = ?, pipeline = ?, revision = revision + 1
        WHERE tenant_id = ? AND id = ? AND revision = ?";
    pins(conn, source.tenant, &source.pipeline, &was.pipeline).await?;
    let updated = sqlx::query(UPDATE)
        .bind(source.name.as_str())
        .bind(source.event_type.as_ref().map(|event_type| event_type.as_str()))
        .bind(verification)
        .bind(source.rate_limit.as_ref().map(json))
        .bind(json(&source.pipeline))
        .bind(id_text(&source.tenant))
        .bind(id_text(&source.id))
        .bind(i64::from(was.revision))
        .execute(&mut *conn)
        .await
        .map_err(taken)?;
    const EXISTS: &str = "SELECT 1 FROM sources WHERE tenant_id = ? AND id = ?";
    changed(conn, updated.rows_affected(), EXISTS, (id_text(&source.tenant), id_text(&source.id))).await
}

/// Of two changes that began with the same row, the later one must not take back
/// what the earlier did.
pub(super) async fn changed(
    conn: &mut SqliteConnection,
    rows: u64,
    exists: &'static str,
    (tenant, id): (Arc<str>, Arc<str>),
) -> Written {
    if rows > 0 {
        return Ok(());
    }
    let there = sqlx::query(exists).bind(tenant).bind(id).fetch_optional(conn).await?;
    Err(if there.is_some() { StoreError::Changed } else { StoreError::NotFound })
}

pub(super) async fn delete_source(conn: &mut SqliteConnection, tenant: TenantId, source: SourceId) -> Written {
    state::forget(conn, tenant, PlaceId::Source(source)).await?;
    let deleted = sqlx::query("DELETE FROM sources WHERE tenant_id = ? AND id = ?")
        .bind(id_text(&tenant))
        .bind(id_text(&source))
        .execute(conn)
        .await?;
    found(deleted.rows_affected())
}

/// What of an endpoint is sealed before it is written.
pub(super) struct SealedParts {
    pub(super) headers: Vec<u8>,
    pub(super) access: Option<Vec<u8>>,
}

/// `secret` is sealed.
pub(super) async fn create_endpoint(
    conn: &mut SqliteConnection,
    endpoint: &Endpoint,
    sealed: &SealedParts,
    secret: Option<&[u8]>,
    max_urls: Option<u32>,
) -> Written {
    const INSERT: &str = "
        INSERT INTO endpoints (name, url, event_types, accounts, tags, headers, access, pipeline, retry, pace, dialect,
            state, state_reason, tenant_id, id, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    require(conn, endpoint.tenant).await?;
    bind_endpoint(sqlx::query(INSERT), endpoint, sealed)
        .bind(endpoint.created_at.as_millis())
        .execute(&mut *conn)
        .await
        .map_err(taken)?;
    if let Some(max) = max_urls {
        keep_within(conn, endpoint.tenant, max).await?;
    }
    match secret {
        Some(secret) => insert_secret(conn, endpoint.tenant, endpoint.id, secret).await,
        None => Ok(()),
    }
}

/// After the insertion and in its savepoint: two that come together cannot both
/// be the last that fits.
async fn keep_within(conn: &mut SqliteConnection, tenant: TenantId, max: u32) -> Written {
    let row = sqlx::query("SELECT count(DISTINCT url) AS urls FROM endpoints WHERE tenant_id = ?")
        .bind(id_text(&tenant))
        .fetch_one(conn)
        .await?;
    if Columns(&row).int::<u32>("urls")? > max { Err(StoreError::OverLimit) } else { Ok(()) }
}

pub(super) async fn update_endpoint(
    conn: &mut SqliteConnection,
    endpoint: &Endpoint,
    sealed: &SealedParts,
    was: &Endpoint,
) -> Written {
    const UPDATE: &str = "
        UPDATE endpoints SET name = ?, url = ?, event_types = ?, accounts = ?, tags = ?, headers = ?, access = ?,
            pipeline = ?, retry = ?, pace = ?, dialect = ?, state = ?, state_reason = ?, revision = revision + 1
        WHERE tenant_id = ? AND id = ? AND revision = ?";
    const EXISTS: &str = "SELECT 1 FROM endpoints WHERE tenant_id = ? AND id = ?";
    pins(conn, endpoint.tenant, &endpoint.pipeline, &was.pipeline).await?;
    let updated = bind_endpoint(sqlx::query(UPDATE), endpoint, sealed)
        .bind(i64::from(was.revision))
        .execute(&mut *conn)
        .await
        .map_err(taken)?;
    changed(conn, updated.rows_affected(), EXISTS, (id_text(&was.tenant), id_text(&was.id))).await
}

/// The plugin versions that `pipeline` pins are there, and while a step pins one
/// it cannot be deleted. What `was` pins already is.
async fn pins(conn: &mut SqliteConnection, tenant: TenantId, pipeline: &Pipeline, was: &Pipeline) -> Written {
    const IS_THERE: &str = "SELECT 1 FROM plugins WHERE owner IN (?, 'house') AND digest = ? LIMIT 1";
    let known = |step: &&Step| !was.steps.iter().any(|other| other.digest == step.digest);
    for step in pipeline.steps.iter().filter(known) {
        let there = sqlx::query(IS_THERE).bind(id_text(&tenant)).bind(step.digest.to_string());
        if there.fetch_optional(&mut *conn).await?.is_none() {
            return Err(StoreError::Changed);
        }
    }
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// What creating and updating write alike, and then the two ids.
fn bind_endpoint<'q>(query: Query<'q>, endpoint: &'q Endpoint, sealed: &'q SealedParts) -> Query<'q> {
    let subscription = &endpoint.subscription;
    query
        .bind(endpoint.name.as_str())
        .bind(endpoint.url.as_str())
        .bind(json(&subscription.event_types))
        .bind(json(&subscription.accounts))
        .bind(json(&subscription.tags))
        .bind(sealed.headers.as_slice())
        .bind(sealed.access.as_deref())
        .bind(json(&endpoint.pipeline))
        .bind(endpoint.retry.as_ref().map(json))
        .bind(json(&endpoint.pace))
        .bind(endpoint.dialect.as_str())
        .bind(endpoint.status.state())
        .bind(endpoint.status.reason())
        .bind(id_text(&endpoint.tenant))
        .bind(id_text(&endpoint.id))
}

/// `secret` is sealed. A secret that was to sign for less long than the new
/// overlap keeps its own end: an overlap of nothing stops all of them at once.
pub(super) async fn rotate_secret(
    conn: &mut SqliteConnection,
    (tenant, endpoint): (TenantId, EndpointId),
    secret: &[u8],
    now: Timestamp,
    overlap_until: Timestamp,
) -> Written {
    const EXISTS: &str = "SELECT 1 FROM endpoints WHERE tenant_id = ? AND id = ?";
    const LIMIT: &str = "
        UPDATE endpoint_secrets SET signs_until = min(coalesce(signs_until, ?1), ?1)
        WHERE tenant_id = ?2 AND endpoint_id = ?3";
    const FORGET: &str = "DELETE FROM endpoint_secrets WHERE signs_until <= ? AND tenant_id = ? AND endpoint_id = ?";
    let (tenant_text, endpoint_text) = (id_text(&tenant), id_text(&endpoint));
    let exists =
        sqlx::query(EXISTS).bind(tenant_text.clone()).bind(endpoint_text.clone()).fetch_optional(&mut *conn).await?;
    found(exists.is_some().into())?;
    // First the new one: its number must be above those that are forgotten.
    insert_secret(conn, tenant, endpoint, secret).await?;
    let newest = "AND number < (SELECT max(number) FROM endpoint_secrets WHERE tenant_id = ?2 AND endpoint_id = ?3)";
    sqlx::query(sqlx::AssertSqlSafe(format!("{LIMIT} {newest}")))
        .bind(overlap_until.as_millis())
        .bind(tenant_text.clone())
        .bind(endpoint_text.clone())
        .execute(&mut *conn)
        .await?;
    sqlx::query(FORGET).bind(now.as_millis()).bind(tenant_text).bind(endpoint_text).execute(conn).await?;
    Ok(())
}

async fn insert_secret(conn: &mut SqliteConnection, tenant: TenantId, endpoint: EndpointId, secret: &[u8]) -> Written {
    const INSERT: &str = "
        INSERT INTO endpoint_secrets (tenant_id, endpoint_id, number, sealed)
        SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3 FROM endpoint_secrets
        WHERE tenant_id = ?1 AND endpoint_id = ?2";
    sqlx::query(INSERT).bind(id_text(&tenant)).bind(id_text(&endpoint)).bind(secret).execute(conn).await?;
    Ok(())
}

pub(super) async fn delete_endpoint(conn: &mut SqliteConnection, tenant: TenantId, endpoint: EndpointId) -> Written {
    state::forget(conn, tenant, PlaceId::Endpoint(endpoint)).await?;
    health::forget(conn, tenant, endpoint).await?;
    sqlx::query("DELETE FROM endpoint_secrets WHERE tenant_id = ? AND endpoint_id = ?")
        .bind(id_text(&tenant))
        .bind(id_text(&endpoint))
        .execute(&mut *conn)
        .await?;
    let deleted = sqlx::query("DELETE FROM endpoints WHERE tenant_id = ? AND id = ?")
        .bind(id_text(&tenant))
        .bind(id_text(&endpoint))
        .execute(conn)
        .await?;
    found(deleted.rows_affected())
}

pub(super) async fn put_event_type(conn: &mut SqliteConnection, tenant: TenantId, own: &OwnKind) -> Written {
    const PUT: &str = "
        INSERT INTO event_types (tenant_id, type, name, description, schema, example, checked)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (tenant_id, type) DO UPDATE SET name = excluded.name, description = excluded.description,
            schema = excluded.schema, example = excluded.example, checked = excluded.checked";
    require(conn, tenant).await?;
    let OwnKind { kind, check } = own;
    sqlx::query(PUT)
        .bind(id_text(&tenant))
        .bind(kind.event_type.as_str())
        .bind(kind.name.as_str())
        .bind(kind.description.as_str())
        .bind(kind.schema.as_ref().map(json))
        .bind(kind.example.as_ref().map(json))
        .bind(i64::from(*check))
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn delete_event_type(
    conn: &mut SqliteConnection,
    tenant: TenantId,
    event_type: &EventType,
) -> Written {
    let deleted = sqlx::query("DELETE FROM event_types WHERE tenant_id = ? AND type = ?")
        .bind(id_text(&tenant))
        .bind(event_type.as_str())
        .execute(conn)
        .await?;
    found(deleted.rows_affected())
}

/// `secret` is sealed.
pub(super) async fn put_secret(
    conn: &mut SqliteConnection,
    tenant: TenantId,
    (name, secret): (&str, &[u8]),
    (created_at, updated_at): (Timestamp, Timestamp),
    max: u32,
) -> Written {
    const COUNT: &str = "SELECT count(*) AS secrets FROM named_secrets WHERE tenant_id = ?";
    const PUT: &str = "
        INSERT INTO named_secrets (tenant_id, name, sealed, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at";
    require(conn, tenant).await?;
    sqlx::query(PUT)
        .bind(id_text(&tenant))
        .bind(name)
        .bind(secret)
        .bind(created_at.as_millis())
        .bind(updated_at.as_millis())
        .execute(&mut *conn)
        .await?;
    // As with URLs, two that come together cannot both be the last that fits.
    let row = sqlx::query(COUNT).bind(id_text(&tenant)).fetch_one(conn).await?;
    if Columns(&row).int::<u32>("secrets")? > max { Err(StoreError::OverLimit) } else { Ok(()) }
}

pub(super) async fn delete_secret(conn: &mut SqliteConnection, tenant: TenantId, name: &str) -> Written {
    unused(conn, tenant, |step| step.grants.secrets.contains(name)).await?;
    let deleted = sqlx::query("DELETE FROM named_secrets WHERE tenant_id = ? AND name = ?")
        .bind(id_text(&tenant))
        .bind(name)
        .execute(conn)
        .await?;
    found(deleted.rows_affected())
}

/// Asked in the savepoint of a deletion: a step that is saved meanwhile counts.
pub(super) async fn unused(
    conn: &mut SqliteConnection,
    tenant: TenantId,
    uses: impl Fn(&Step) -> bool + Send,
) -> Written {
    const PIPELINES: &str = "
        SELECT pipeline FROM sources WHERE tenant_id = ?1 UNION ALL SELECT pipeline FROM endpoints WHERE tenant_id = ?1";
    for row in sqlx::query(PIPELINES).bind(id_text(&tenant)).fetch_all(conn).await? {
        let pipeline: Pipeline = Columns(&row).json("pipeline")?;
        if pipeline.steps.iter().any(&uses) {
            return Err(StoreError::InUse);
        }
    }
    Ok(())
}

/// Nothing is set up in a tenant that is not there: it may have been deleted
/// while the request was on its way.
pub(super) async fn require(conn: &mut SqliteConnection, tenant: TenantId) -> Written {
    let row = sqlx::query("SELECT count(*) AS living FROM tenants WHERE id = ? AND deleted_at IS NULL")
        .bind(id_text(&tenant))
        .fetch_one(conn)
        .await?;
    found(Columns(&row).int("living")?)
}

pub(super) fn found(rows: u64) -> Written {
    if rows == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}

pub(super) fn taken(error: sqlx::Error) -> StoreError {
    if fault::is_taken(&error) { StoreError::NameTaken } else { error.into() }
}
