//! `GET /openapi.json`: the API as programs read it (OpenAPI 3.1).
//!
//! Paths, bodies and examples stand at the handlers, whose list is the router's
//! own. What follows from a rule is said here once: who may, what may go wrong,
//! what stands in a path.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::error::enough_for;
use super::{App, api, roles};

mod rules;

/// The doors beside `/v1`.
#[derive(OpenApi)]
#[openapi(
    paths(
        super::health::live,
        super::health::ready,
        super::jwks::show,
        super::metrics::show,
        super::inbound::receive,
        show
    ),
    components(schemas(super::error::Problem))
)]
struct Doors;

/// Another URL of the same door, which its handler cannot say.
const TWINS: [(&str, &str, &str); 1] = [("/api/webhooks/inbound/{token}", "/in/{token}", "receive_at_old_url")];

pub(super) fn routes() -> Router<App> {
    let made = Arc::new(OnceLock::new());
    Router::new().route(
        "/openapi.json",
        get(async move |State(app): State<App>| {
            let text: &Bytes = made.get_or_init(|| document(&app.public_url).to_string().into());
            ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
        }),
    )
}

/// Shows this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "show_document",
    tag = "server",
    responses((status = 200, body = serde_json::Value, description = "An OpenAPI document"))
)]
#[expect(dead_code, reason = "it is the description of the closure above")]
fn show() {}

/// The whole document.
pub(super) fn document(public_url: &str) -> Value {
    let [doors, api] = [Doors::openapi(), api::described().into_openapi()]
        .map(|part| serde_json::to_value(part).expect("a document is JSON"));
    let mut paths = prefixed(&doors["paths"], "");
    for (twin, path, id) in TWINS {
        let mut item = paths[path].clone();
        item["post"]["operationId"] = json!(id);
        item["post"]["deprecated"] = json!(true);
        paths.insert(twin.to_owned(), item);
    }
    paths.append(&mut prefixed(&api["paths"], "/v1"));
    let mut schemas = doors["components"]["schemas"].as_object().cloned().unwrap_or_default();
    schemas.extend(api["components"]["schemas"].as_object().cloned().unwrap_or_default());
    schemas.iter_mut().for_each(|(name, schema)| rules::refer(name, schema));
    for (path, item) in &mut paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(method, path, operation, &schemas);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hookyard",
            "summary": "A multi-tenant event router that its users program with WebAssembly.",
            "description": rules::ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "tags": rules::NOUNS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect::<Value>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": rules::problem()},
            "securitySchemes": {"key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A tenant's API key, or the operator's.",
            }},
        },
    })
}

fn prefixed(paths: &Value, prefix: &str) -> Map<String, Value> {
    let paths = paths.as_object().into_iter().flatten();
    paths.map(|(path, item)| (format!("{prefix}{path}"), item.clone())).collect()
}

/// Says what follows from where the operation is.
fn complete(method: &str, path: &str, operation: &mut Value, schemas: &Map<String, Value>) {
    let whom = Whom::of(method, path);
    operation["security"] = whom.security();
    let said = operation["description"].as_str().unwrap_or_default().replace('\n', " ");
    operation["description"] = json!(format!("{said} {}", whom.sentence()).trim());
    if let Some(summary) = operation["summary"].as_str() {
        operation["summary"] = json!(summary.replace('\n', " ").trim_end_matches('.'));
    }
    let mut parameters = rules::in_path(path);
    for mut parameter in operation["parameters"].as_array().cloned().unwrap_or_default() {
        rules::describe(&mut parameter);
        parameters.push(parameter);
    }
    let has_query = parameters.iter().any(|parameter| parameter["in"] == "query");
    let has_body = operation.get("requestBody").is_some();
    if has_body {
        operation["requestBody"]["required"] = json!(rules::needs_body(&operation["requestBody"], schemas));
    }
    let mut responses = operation["responses"].as_object().cloned().unwrap_or_default();
    for status in rules::problems(whom.is_known(), path.contains('{'), has_query, has_body) {
        responses.entry(status.to_string()).or_insert_with(|| json!({}));
    }
    responses.iter_mut().for_each(|(status, response)| rules::describe_response(status, response));
    responses.sort_keys();
    operation["parameters"] = Value::Array(parameters);
    operation["responses"] = Value::Object(responses);
}

/// For whom an operation is.
enum Whom {
    All,
    /// The operator, and whoever may read in a tenant.
    Anybody,
    Operator,
    Tenant(crate::domain::role::Role),
}

impl Whom {
    fn of(method: &str, path: &str) -> Self {
        let under =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match () {
            () if under("/metrics") => Self::Operator,
            () if !under("/v1") => Self::All,
            () if under("/v1/tenants") || under("/v1/operator") => Self::Operator,
            () if under("/v1/dialects") || under("/v1/senders") => Self::Anybody,
            () => {
                let method = method.to_uppercase().parse().unwrap_or(Method::TRACE);
                Self::Tenant(roles::least(&method, path))
            }
        }
    }

    fn is_known(&self) -> bool {
        !matches!(self, Self::All)
    }

    /// OpenAPI lets roles stand where OAuth has its scopes.
    fn security(&self) -> Value {
        match self {
            Self::All => json!([]),
            Self::Anybody => json!([{"key": ["viewer"]}, {"key": ["operator"]}]),
            Self::Operator => json!([{"key": ["operator"]}]),
            Self::Tenant(role) => json!([{"key": [role.as_str()]}]),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::All => "For everybody.".to_owned(),
            Self::Anybody => "For every key but a publisher's.".to_owned(),
            Self::Operator => "For the operator's key.".to_owned(),
            Self::Tenant(role) => format!("For keys with the role {}.", enough_for(*role)),
        }
    }
}
