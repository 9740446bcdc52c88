//! What the writer does to the catalogue. Each function runs in a savepoint of
//! the writer's open transaction: an error leaves nothing behind.

use std::sync::Arc;

use super::db::{Arguments, Connection, Db};
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
use crate::store::text::{id_text, json};

pub(crate) type Written = Result<(), StoreError>;

pub(crate) async fn create_tenant(conn: &mut Connection, tenant: &Tenant, key: &NewKey) -> Written {
    sqlx::query(
        "INSERT INTO tenants (id, name, plan, dialect, limits, retention, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
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

pub(crate) async fn update_tenant(conn: &mut Connection, tenant: &Tenant) -> Written {
    const UPDATE: &str = "
        UPDATE tenants SET name = $1, plan = $2, dialect = $3, limits = $4, retention = $5 WHERE id = $6 AND deleted_at IS NULL";
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

pub(crate) async fn delete_tenant(conn: &mut Connection, tenant: TenantId, now: Timestamp) -> Written {
    let deleted = sqlx::query("UPDATE tenants SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL")
        .bind(now.as_millis())
        .bind(id_text(&tenant))
        .execute(&mut *conn)
        .await?;
    found(deleted.rows_affected())?;
    for statement in [
        "DELETE FROM keys WHERE tenant_id = $1",
        "DELETE FROM sources WHERE tenant_id = $1",
        "DELETE FROM endpoint_secrets WHERE tenant_id = $1",
        "DELETE FROM endpoints WHERE tenant_id = $1",
        "DELETE FROM event_types WHERE tenant_id = $1",
        "DELETE FROM plugins WHERE owner = $1",
        "DELETE FROM plugin_numbers WHERE owner = $1",
        "DELETE FROM plugin_moves WHERE tenant_id = $1",
        "DELETE FROM plugin_use WHERE tenant_id = $1",
        "DELETE FROM event_counts WHERE tenant_id = $1",
        "DELETE FROM named_secrets WHERE tenant_id = $1",
        "DELETE FROM step_values WHERE tenant_id = $1",
        "DELETE FROM step_revisions WHERE tenant_id = $1",
    ] {
        sqlx::query(statement).bind(id_text(&tenant)).execute(&mut *conn).await?;
    }
    super::people::forget_tenant(conn, tenant).await?;
    super::plugins::delete_orphans(conn).await
}

/// `verification` is sealed.
pub(crate) async fn create_source(conn: &mut Connection, source: &Source, verification: Option<Vec<u8>>) -> Written {
    const INSERT: &str = "
        INSERT INTO sources (tenant_id, id, name, token, event_type, verification, rate_limit, pipeline, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
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
pub(crate) async fn update_source(
    conn: &mut Connection,
    source: &Source,
    verification: Option<Vec<u8>>,
    was: &Source,
) -> Written {
    const UPDATE: &str = "
        UPDATE sources SET name = $1, event_type = $2, verification = $3, rate_limit = $4, pipeline = $5, revision = revision + 1
        WHERE tenant_id = $6 AND id = $7 AND revision = $8";
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
    const EXISTS: &str = "SELECT 1 FROM sources WHERE tenant_id = $1 AND id = $2";
    changed(conn, updated.rows_affected(), EXISTS, (id_text(&source.tenant), id_text(&source.id))).await
}

/// Of two changes that began with the same row, the later one must not take back
/// what the earlier did.
pub(crate) async fn changed(
    conn: &mut Connection,
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

pub(crate) async fn delete_source(conn: &mut Connection, tenant: TenantId, source: SourceId) -> Written {
    let deleted = sqlx::query("DELETE FROM sources WHERE tenant_id = $1 AND id = $2")
        .bind(id_text(&tenant))
        .bind(id_text(&source))
        .execute(&mut *conn)
        .await?;
    found(deleted.rows_affected())?;
    // Whoever keeps something there holds the row: it is over now, or finds none.
    state::forget(conn, tenant, PlaceId::Source(source)).await
}

/// What of an endpoint is sealed before it is written.
#[derive(Clone)]
pub(crate) struct SealedParts {
    pub(crate) headers: Vec<u8>,
    pub(crate) access: Option<Vec<u8>>,
}

/// `secret` is sealed.
pub(crate) async fn create_endpoint(
    conn: &mut Connection,
    endpoint: &Endpoint,
    sealed: &SealedParts,
    secret: Option<&[u8]>,
    max_urls: Option<u32>,
) -> Written {
    const INSERT: &str = "
        INSERT INTO endpoints (name, url, event_types, accounts, tags, headers, access, pipeline, retry, pace, dialect,
            state, state_reason, tenant_id, id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
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
async fn keep_within(conn: &mut Connection, tenant: TenantId, max: u32) -> Written {
    let row = sqlx::query("SELECT count(DISTINCT url) AS urls FROM endpoints WHERE tenant_id = $1")
        .bind(id_text(&tenant))
        .fetch_one(conn)
        .await?;
    if Columns(&row).int::<u32>("urls")? > max { Err(StoreError::OverLimit) } else { Ok(()) }
}

pub(crate) async fn update_endpoint(
    conn: &mut Connection,
    endpoint: &Endpoint,
    sealed: &SealedParts,
    was: &Endpoint,
) -> Written {
    const UPDATE: &str = "
        UPDATE endpoints SET name = $1, url = $2, event_types = $3, accounts = $4, tags = $5, headers = $6, access = $7,
            pipeline = $8, retry = $9, pace = $10, dialect = $11, state = $12, state_reason = $13, revision = revision + 1
        WHERE tenant_id = $14 AND id = $15 AND revision = $16";
    const EXISTS: &str = "SELECT 1 FROM endpoints WHERE tenant_id = $1 AND id = $2";
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
async fn pins(conn: &mut Connection, tenant: TenantId, pipeline: &Pipeline, was: &Pipeline) -> Written {
    const IS_THERE: &str = "SELECT 1 FROM plugins WHERE owner IN ($1, 'house') AND digest = $2 LIMIT 1";
    let known = |step: &&Step| !was.steps.iter().any(|other| other.digest == step.digest);
    for step in pipeline.steps.iter().filter(known) {
        let there = sqlx::query(IS_THERE).bind(id_text(&tenant)).bind(step.digest.to_string());
        if there.fetch_optional(&mut *conn).await?.is_none() {
            return Err(StoreError::Changed);
        }
    }
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, Db, Arguments>;

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
pub(crate) async fn rotate_secret(
    conn: &mut Connection,
    (tenant, endpoint): (TenantId, EndpointId),
    secret: &[u8],
    now: Timestamp,
    overlap_until: Timestamp,
) -> Written {
    const EXISTS: &str = "SELECT 1 FROM endpoints WHERE tenant_id = $1 AND id = $2";
    const LIMIT: &str = concat!(
        "UPDATE endpoint_secrets SET signs_until = ",
        least!("coalesce(signs_until, $1)", "$1"),
        " WHERE tenant_id = $2 AND endpoint_id = $3
            AND number < (SELECT max(number) FROM endpoint_secrets WHERE tenant_id = $2 AND endpoint_id = $3)"
    );
    const FORGET: &str = "DELETE FROM endpoint_secrets WHERE signs_until <= $1 AND tenant_id = $2 AND endpoint_id = $3";
    let (tenant_text, endpoint_text) = (id_text(&tenant), id_text(&endpoint));
    let exists =
        sqlx::query(EXISTS).bind(tenant_text.clone()).bind(endpoint_text.clone()).fetch_optional(&mut *conn).await?;
    found(exists.is_some().into())?;
    // First the new one: its number must be above those that are forgotten.
    insert_secret(conn, tenant, endpoint, secret).await?;
    sqlx::query(LIMIT)
        .bind(overlap_until.as_millis())
        .bind(tenant_text.clone())
        .bind(endpoint_text.clone())
        .execute(&mut *conn)
        .await?;
    sqlx::query(FORGET).bind(now.as_millis()).bind(tenant_text).bind(endpoint_text).execute(conn).await?;
    Ok(())
}

async fn insert_secret(conn: &mut Connection, tenant: TenantId, endpoint: EndpointId, secret: &[u8]) -> Written {
    const INSERT: &str = "
        INSERT INTO endpoint_secrets (tenant_id, endpoint_id, number, sealed)
        SELECT $1, $2, coalesce(max(number), 0) + 1, $3 FROM endpoint_secrets
        WHERE tenant_id = $1 AND endpoint_id = $2";
    sqlx::query(INSERT).bind(id_text(&tenant)).bind(id_text(&endpoint)).bind(secret).execute(conn).await?;
    Ok(())
}

pub(crate) async fn delete_endpoint(conn: &mut Connection, tenant: TenantId, endpoint: EndpointId) -> Written {
    let deleted = sqlx::query("DELETE FROM endpoints WHERE tenant_id = $1 AND id = $2")
        .bind(id_text(&tenant))
        .bind(id_text(&endpoint))
        .execute(&mut *conn)
        .await?;
    found(deleted.rows_affected())?;
    state::forget(conn, tenant, PlaceId::Endpoint(endpoint)).await?;
    health::forget(conn, tenant, endpoint).await?;
    sqlx::query("DELETE FROM endpoint_secrets WHERE tenant_id = $1 AND endpoint_id = $2")
        .bind(id_text(&tenant))
        .bind(id_text(&endpoint))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn put_event_type(conn: &mut Connection, tenant: TenantId, own: &OwnKind) -> Written {
    const PUT: &str = "
        INSERT INTO event_types (tenant_id, type, name, description, schema, example, checked)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
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

pub(crate) async fn delete_event_type(conn: &mut Connection, tenant: TenantId, event_type: &EventType) -> Written {
    let deleted = sqlx::query("DELETE FROM event_types WHERE tenant_id = $1 AND type = $2")
        .bind(id_text(&tenant))
        .bind(event_type.as_str())
        .execute(conn)
        .await?;
    found(deleted.rows_affected())
}

/// `secret` is sealed.
pub(crate) async fn put_secret(
    conn: &mut Connection,
    tenant: TenantId,
    (name, secret): (&str, &[u8]),
    (created_at, updated_at): (Timestamp, Timestamp),
    max: u32,
) -> Written {
    const COUNT: &str = "SELECT count(*) AS secrets FROM named_secrets WHERE tenant_id = $1";
    const PUT: &str = "
        INSERT INTO named_secrets (tenant_id, name, sealed, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)
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

pub(crate) async fn delete_secret(conn: &mut Connection, tenant: TenantId, name: &str) -> Written {
    unused(conn, tenant, |step| step.grants.secrets.contains(name)).await?;
    let deleted = sqlx::query("DELETE FROM named_secrets WHERE tenant_id = $1 AND name = $2")
        .bind(id_text(&tenant))
        .bind(name)
        .execute(conn)
        .await?;
    found(deleted.rows_affected())
}

/// Asked in the savepoint of a deletion: a step that is saved meanwhile counts.
pub(crate) async fn unused(conn: &mut Connection, tenant: TenantId, uses: impl Fn(&Step) -> bool + Send) -> Written {
    const PIPELINES: &str = "
        SELECT pipeline FROM sources WHERE tenant_id = $1 UNION ALL SELECT pipeline FROM endpoints WHERE tenant_id = $1";
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
pub(crate) async fn require(conn: &mut Connection, tenant: TenantId) -> Written {
    let row = sqlx::query("SELECT count(*) AS living FROM tenants WHERE id = $1 AND deleted_at IS NULL")
        .bind(id_text(&tenant))
        .fetch_one(conn)
        .await?;
    found(Columns(&row).int("living")?)
}

pub(crate) fn found(rows: u64) -> Written {
    if rows == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}

pub(crate) fn taken(error: sqlx::Error) -> StoreError {
    if fault::is_taken(&error) { StoreError::NameTaken } else { error.into() }
}
