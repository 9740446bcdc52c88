//! All that one tenant has set up, read in one transaction: a picture never
//! shows an endpoint without its secret, or half of somebody's change.

use std::collections::BTreeMap;

use super::db::{Connection, Pool};
use super::rows::{Columns, corrupt};
use super::words::BEGIN_READING;
use super::{keys, plugins};
use crate::domain::endpoint::{Endpoint, Status};
use crate::domain::event::EventType;
use crate::domain::event_type::{EventKind, OwnKind};
use crate::domain::id::{EndpointId, SourceId, TenantId};
use crate::domain::key::SourceToken;
use crate::domain::named_secret::NamedSecret;
use crate::domain::plugin::Owner;
use crate::domain::source::Source;
use crate::domain::subscription::Subscription;
use crate::domain::tenant::Tenant;
use crate::domain::url::DeliveryUrl;
use crate::store::picture::{Overlap, SealedEndpoint, TenantPicture, versions};
use crate::store::seal::Seal;
use crate::store::text::id_text;
use crate::store::{StoreError, access, sealed};

pub(crate) async fn picture(pool: &Pool, seal: &Seal, tenant: TenantId) -> Result<Option<TenantPicture>, StoreError> {
    let mut reading = pool.begin_with(BEGIN_READING).await?;
    let Some(itself) = read_tenant(&mut reading, tenant).await? else { return Ok(None) };
    let picture = TenantPicture {
        tenant: itself,
        keys: keys::read(&mut reading, tenant).await?.into_iter().map(|(hash, key)| (hash, key.into())).collect(),
        sources: read_sources(&mut reading, seal, tenant).await?,
        endpoints: read_endpoints(&mut reading, seal, tenant).await?,
        plugins: versions(plugins::versions(&mut *reading, Owner::Tenant(tenant)).await?),
        event_types: read_event_types(&mut reading, tenant).await?,
        secrets: read_named_secrets(&mut reading, seal, tenant).await?,
    };
    reading.commit().await?;
    Ok(Some(picture))
}

async fn read_tenant(conn: &mut Connection, id: TenantId) -> Result<Option<Tenant>, StoreError> {
    const READ: &str = "
        SELECT name, plan, dialect, limits, retention, created_at FROM tenants WHERE id = $1 AND deleted_at IS NULL";
    let row = sqlx::query(READ).bind(id_text(&id)).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    let row = Columns(&row);
    Ok(Some(Tenant {
        id,
        name: row.text("name")?.to_owned(),
        plan: row.maybe_text("plan")?,
        dialect: row.text("dialect")?.to_owned(),
        limits: row.maybe_json("limits")?.unwrap_or_default(),
        retention: row.maybe_json("retention")?.unwrap_or_default(),
        created_at: row.at("created_at")?,
    }))
}

async fn read_sources(
    conn: &mut Connection,
    seal: &Seal,
    tenant: TenantId,
) -> Result<BTreeMap<SourceId, Source>, StoreError> {
    const SELECT: &str = "
        SELECT id, name, token, event_type, verification, rate_limit, pipeline, revision, created_at
        FROM sources WHERE tenant_id = $1";
    let rows = sqlx::query(SELECT).bind(id_text(&tenant)).fetch_all(conn).await?;
    let source = |row| {
        let row = Columns(row);
        let id = row.parsed("id")?;
        let source = Source {
            id,
            tenant,
            name: row.text("name")?.to_owned(),
            token: SourceToken::given(row.text("token")?),
            event_type: row.maybe_parsed("event_type")?,
            verification: sealed::open_verification(seal, id, row.maybe_bytes("verification")?)?,
            rate_limit: row.maybe_json("rate_limit")?,
            pipeline: row.json("pipeline")?,
            revision: row.int("revision")?,
            created_at: row.at("created_at")?,
        };
        Ok((id, source))
    };
    rows.iter().map(source).collect()
}

async fn read_event_types(conn: &mut Connection, tenant: TenantId) -> Result<BTreeMap<EventType, OwnKind>, StoreError> {
    const SELECT: &str =
        "SELECT type, name, description, schema, example, checked FROM event_types WHERE tenant_id = $1";
    let rows = sqlx::query(SELECT).bind(id_text(&tenant)).fetch_all(conn).await?;
    let own = |row| {
        let row = Columns(row);
        let event_type: EventType = row.parsed("type")?;
        let kind = EventKind {
            event_type: event_type.clone(),
            name: row.text("name")?.to_owned(),
            description: row.text("description")?.to_owned(),
            schema: row.maybe_json("schema")?,
            example: row.maybe_json("example")?,
        };
        Ok((event_type, OwnKind { kind, check: row.int::<u8>("checked")? == 1 }))
    };
    rows.iter().map(own).collect()
}

async fn read_named_secrets(
    conn: &mut Connection,
    seal: &Seal,
    tenant: TenantId,
) -> Result<BTreeMap<String, NamedSecret>, StoreError> {
    const SELECT: &str = "SELECT name, sealed, created_at, updated_at FROM named_secrets WHERE tenant_id = $1";
    let rows = sqlx::query(SELECT).bind(id_text(&tenant)).fetch_all(conn).await?;
    let named = |row| {
        let row = Columns(row);
        let name = row.text("name")?;
        let secret = NamedSecret {
            name: name.to_owned(),
            secret: sealed::open_named(seal, tenant, name, row.bytes("sealed")?)?,
            created_at: row.at("created_at")?,
            updated_at: row.at("updated_at")?,
        };
        Ok((name.to_owned(), secret))
    };
    rows.iter().map(named).collect()
}

async fn read_endpoints(
    conn: &mut Connection,
    seal: &Seal,
    tenant: TenantId,
) -> Result<BTreeMap<EndpointId, SealedEndpoint>, StoreError> {
    const SELECT: &str = "
        SELECT id, name, url, event_types, accounts, tags, headers, access, pipeline, retry, pace, dialect, state,
            state_reason, revision, created_at
        FROM endpoints WHERE tenant_id = $1";
    let mut secrets = read_secrets(conn, seal, tenant).await?;
    let rows = sqlx::query(SELECT).bind(id_text(&tenant)).fetch_all(conn).await?;
    let endpoint = |row| {
        let row = Columns(row);
        let id = row.parsed("id")?;
        let endpoint = Endpoint {
            id,
            tenant,
            name: row.text("name")?.to_owned(),
            url: DeliveryUrl::stored(row.text("url")?).ok_or_else(|| corrupt("endpoints.url"))?,
            subscription: Subscription {
                event_types: row.json("event_types")?,
                accounts: row.json("accounts")?,
                tags: row.json("tags")?,
            },
            headers: sealed::open_headers(seal, id, row.bytes("headers")?)?,
            access: access::open(seal, id, row.maybe_bytes("access")?)?,
            pipeline: row.json("pipeline")?,
            retry: row.maybe_json("retry")?,
            pace: row.json("pace")?,
            dialect: row.text("dialect")?.to_owned(),
            status: Status::from_parts(row.text("state")?, row.maybe_text("state_reason")?)
                .ok_or_else(|| corrupt("endpoints.state"))?,
            revision: row.int("revision")?,
            created_at: row.at("created_at")?,
        };
        Ok((id, SealedEndpoint { endpoint, secrets: secrets.remove(&id).unwrap_or_default() }))
    };
    rows.iter().map(endpoint).collect()
}

/// The newest first.
async fn read_secrets(
    conn: &mut Connection,
    seal: &Seal,
    tenant: TenantId,
) -> Result<BTreeMap<EndpointId, Vec<Overlap>>, StoreError> {
    const SELECT: &str = "
        SELECT endpoint_id, sealed, signs_until FROM endpoint_secrets WHERE tenant_id = $1 ORDER BY number DESC";
    let rows = sqlx::query(SELECT).bind(id_text(&tenant)).fetch_all(conn).await?;
    let mut secrets = BTreeMap::<EndpointId, Vec<Overlap>>::new();
    for row in &rows {
        let row = Columns(row);
        let endpoint = row.parsed("endpoint_id")?;
        let secret = sealed::open_secret(seal, endpoint, row.bytes("sealed")?)?;
        secrets.entry(endpoint).or_default().push(Overlap { secret, until: row.maybe_at("signs_until")? });
    }
    Ok(secrets)
}
