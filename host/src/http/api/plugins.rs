//! Plugins: uploaded, listed, read, deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Params};
use super::schema::Component;
use crate::domain::audit::{Action, Change};
use crate::domain::id::KeyId;
use crate::domain::pipeline::{Pipeline, Step};
use crate::domain::plugin::{Description, Digest, Job, Owner, PluginName, PluginVersion, Stock};
use crate::domain::time::Timestamp;
use crate::sandbox::MAX_COMPONENT;
use crate::store::StoreError;
use crate::store::catalog::PluginUpload;
use crate::store::picture::TenantPicture;

/// How long a component may take to arrive: it has a place that others wait for.
const ARRIVAL: Duration = Duration::from_secs(60);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(upload, list))
        .routes(routes!(show, delete))
        .routes(routes!(show_version, delete_version))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UploadParams {
    /// The plugin's name.
    name: Option<String>,
}

/// One version.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginVersion)]
struct View<'a> {
    name: &'a PluginName,
    version: u32,
    digest: Digest,
    size: u64,
    interfaces: &'a [Job],
    capabilities: &'a [String],
    summary: &'a str,
    /// Comes with Hookyard and cannot be deleted.
    first_party: bool,
    compile_ms: u64,
    /// The key that it was uploaded with.
    uploaded_by: Option<KeyId>,
    created_at: Timestamp,
}

/// One version with all that the plugin says of itself.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginVersionDetails)]
struct Whole<'a> {
    #[serde(flatten)]
    view: View<'a>,
    description: &'a Description,
}

/// A plugin with its versions, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Plugin)]
struct Named<'a> {
    name: &'a PluginName,
    versions: Vec<View<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Plugins)]
struct List<'a> {
    items: Vec<View<'a>>,
    next: Option<String>,
}

impl<'a> View<'a> {
    fn of(plugin: &'a PluginVersion) -> Self {
        Self {
            name: &plugin.name,
            version: plugin.version,
            digest: plugin.digest,
            size: plugin.size,
            interfaces: &plugin.jobs,
            capabilities: &plugin.description.capabilities,
            summary: &plugin.description.summary,
            first_party: plugin.owner == Owner::House,
            compile_ms: plugin.compile_ms,
            uploaded_by: plugin.uploaded_by,
            created_at: plugin.created_at,
        }
    }
}

/// Uploads a component as the next version of a plugin.
///
/// It is checked and compiled, and its own examples are run. What does not pass is not kept.
#[utoipa::path(
    post,
    path = "/plugins",
    operation_id = "upload_plugin",
    tag = "plugins",
    params(UploadParams),
    request_body(content = Component, content_type = "application/wasm", description = "A component that exports `hookyard:plugin`"),
    responses((status = 201, body = View), (status = 408), (status = 409), (status = 413)),
)]
async fn upload(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<UploadParams>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), ApiError> {
    let name = params.name.ok_or_else(|| ApiError::invalid("name", "give the plugin's name: ?name=my-plugin"))?;
    let name: PluginName = input::field("name", &name)?;
    if app.picture.house().contains_key(&name) && !caller.picture().plugins.contains_key(&name) {
        let problem = format!("`{name}` comes with Hookyard; choose another name");
        return Err(ApiError::Conflict { field: Some("name".to_owned()), problem });
    }
    // Before the body is read: what has no place is not in memory either.
    let place = app.sandbox.place(Owner::Tenant(caller.id()))?;
    let arriving = input::read_body(request.into_body(), MAX_COMPONENT);
    let component = tokio::time::timeout(ARRIVAL, arriving).await.map_err(|_| ApiError::TimedOut)??;
    let admitted = app.sandbox.admit(place, component.clone()).await?;
    let compile_ms = admitted.compile_ms();
    let digest = Change::new("digest", serde_json::Value::Null, serde_json::json!(admitted.digest));
    let added = app
        .catalog
        .noting(caller.entry(&app, Action::PluginUploaded, &name, vec![digest]))
        .add_plugin(PluginUpload {
            owner: Owner::Tenant(caller.id()),
            name,
            digest: admitted.digest,
            component,
            jobs: admitted.jobs,
            compile_ms,
            uploaded_by: caller.key(),
            description: admitted.description,
            created_at: app.clock.now(),
            most: Some(Stock::MOST),
        })
        .await;
    if added.is_err() {
        forget_unused(&app, vec![admitted.digest]).await;
    }
    let plugin = added.map_err(not_added)?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    tracing::info!(
        tenant.id = %caller.id(), plugin.name = %plugin.name, plugin.version = plugin.version,
        plugin.digest = %plugin.digest, bytes = plugin.size, "plugin {} version {}", plugin.name, plugin.version,
    );
    Ok((StatusCode::CREATED, Json(shown(&View::of(&plugin)))))
}

fn not_added(error: StoreError) -> ApiError {
    let StoreError::OverLimit = error else { return error.into() };
    let Stock { versions, bytes, described } = Stock::MOST;
    let problem = format!(
        "you may have {versions} versions of plugins, {bytes} bytes of components and {described} bytes of descriptions \
         in all; delete versions that no step uses: DELETE /v1/plugins/{{name}}/versions/{{n}}"
    );
    ApiError::Conflict { field: None, problem }
}

/// Lists the newest version of every plugin, your own first.
#[utoipa::path(
    get,
    path = "/plugins",
    operation_id = "list_plugins",
    tag = "plugins",
    responses((status = 200, body = List)),
)]
async fn list(State(app): State<App>, caller: TenantCaller) -> Json<serde_json::Value> {
    let house = app.picture.house();
    let mut newest: BTreeMap<&PluginName, &PluginVersion> = BTreeMap::new();
    for (name, versions) in house.iter().chain(&caller.picture().plugins) {
        newest.extend(versions.values().next_back().map(|plugin| (name, plugin)));
    }
    let mut items: Vec<View<'_>> = newest.into_values().map(View::of).collect();
    items.sort_by_key(|view| view.first_party);
    Json(shown(&List { items, next: None }))
}

/// Shows a plugin with its versions, newest first.
#[utoipa::path(
    get,
    path = "/plugins/{name}",
    operation_id = "show_plugin",
    tag = "plugins",
    responses((status = 200, body = Named)),
)]
async fn show(
    State(app): State<App>,
    caller: TenantCaller,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let name: PluginName = name.parse().map_err(|_| ApiError::NotFound)?;
    let house = app.picture.house();
    let versions = caller.picture().plugins.get(&name).or_else(|| house.get(&name)).ok_or(ApiError::NotFound)?;
    let versions = versions.values().rev().map(View::of).collect();
    Ok(Json(shown(&Named { name: &name, versions })))
}

/// Shows a version with all that the plugin says of itself.
#[utoipa::path(
    get,
    path = "/plugins/{name}/versions/{version}",
    operation_id = "show_plugin_version",
    tag = "plugins",
    responses((status = 200, body = Whole)),
)]
async fn show_version(
    State(app): State<App>,
    caller: TenantCaller,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let name: PluginName = name.parse().map_err(|_| ApiError::NotFound)?;
    let version: u32 = version.parse().map_err(|_| ApiError::NotFound)?;
    let house = app.picture.house();
    let versions = caller.picture().plugins.get(&name).or_else(|| house.get(&name));
    let plugin = versions.and_then(|versions| versions.get(&version)).ok_or(ApiError::NotFound)?;
    Ok(Json(shown(&Whole { view: View::of(plugin), description: &plugin.description })))
}

/// Deletes all versions of a plugin, unless a step uses one.
#[utoipa::path(
    delete,
    path = "/plugins/{name}",
    operation_id = "delete_plugin",
    tag = "plugins",
    responses((status = 204), (status = 409)),
)]
async fn delete(
    State(app): State<App>,
    caller: TenantCaller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    remove(&app, &caller, &name, None).await
}

/// Deletes a version of a plugin, unless a step uses it.
#[utoipa::path(
    delete,
    path = "/plugins/{name}/versions/{version}",
    operation_id = "delete_plugin_version",
    tag = "plugins",
    responses((status = 204), (status = 409)),
)]
async fn delete_version(
    State(app): State<App>,
    caller: TenantCaller,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let version: u32 = version.parse().map_err(|_| ApiError::NotFound)?;
    remove(&app, &caller, &name, Some(version)).await
}

async fn remove(app: &App, caller: &TenantCaller, name: &str, version: Option<u32>) -> Result<StatusCode, ApiError> {
    let name: PluginName = name.parse().map_err(|_| ApiError::NotFound)?;
    let Some(versions) = caller.picture().plugins.get(&name) else {
        let first_party = app.picture.house().contains_key(&name);
        return Err(if first_party { ApiError::Forbidden } else { ApiError::NotFound });
    };
    if let Some(user) = user_of(caller.picture(), &name, version) {
        let problem = format!("{user} has a step that uses `{name}`; move it to another version or remove it first");
        return Err(ApiError::Conflict { field: Some("name".to_owned()), problem });
    }
    let gone: Vec<u32> = versions.keys().copied().filter(|one| version.is_none_or(|version| *one == version)).collect();
    let changes = vec![Change::new("versions", serde_json::json!(gone), serde_json::Value::Null)];
    app.catalog
        .noting(caller.entry(app, Action::PluginDeleted, &name, changes))
        .delete_plugin(caller.id(), &name, version)
        .await?;
    app.picture.refresh(&*app.catalog, caller.id()).await?;
    let gone = versions.values().filter(|plugin| version.is_none_or(|version| plugin.version == version));
    forget_unused(app, gone.map(|plugin| plugin.digest).collect()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whatever has a step with this plugin, in this version or in any.
fn user_of(tenant: &TenantPicture, name: &PluginName, version: Option<u32>) -> Option<String> {
    let pins = |step: &Step| step.plugin == *name && version.is_none_or(|version| step.version == version);
    let uses = |pipeline: &Pipeline| pipeline.steps.iter().any(pins);
    let source = tenant.sources.values().find(|source| uses(&source.pipeline)).map(|source| source.id.to_string());
    source.or_else(|| {
        let mut endpoints = tenant.endpoints.values().map(|sealed| &sealed.endpoint);
        endpoints.find(|endpoint| uses(&endpoint.pipeline)).map(|endpoint| endpoint.id.to_string())
    })
}

/// Has the sandbox forget those that nobody has any more, the very same component
/// of another tenant included.
pub(super) async fn forget_unused(app: &App, digests: Vec<Digest>) {
    let used = app.picture.digests();
    for digest in digests.into_iter().filter(|digest| !used.contains(digest)) {
        app.sandbox.forget(digest).await;
    }
}

fn shown<T: Serialize>(view: &T) -> serde_json::Value {
    serde_json::to_value(view).expect("a view has text keys only")
}
