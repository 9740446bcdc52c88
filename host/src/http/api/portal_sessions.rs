//! Portal sessions: links with which a tenant's own customers see and do a part of
//! what the tenant can, for a while. What they reach is judged in `portal.rs`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::App;
use super::super::auth::TenantCaller;
use super::super::error::ApiError;
use super::super::input::{self, Params};
use crate::clock::random;
use crate::domain::audit::{self, Action, Author, Change};
use crate::domain::event::check_label;
use crate::domain::session::{Capability, Maker, PortalScope, Session, TokenText};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::people::Portals;

const DEFAULT_SECONDS: u64 = 60 * 60;
const MIN_SECONDS: u64 = 60;
const MAX_SECONDS: u64 = 24 * 60 * 60;
const MAX_ORIGINS: usize = 10;
/// At most so many of one tenant that have not ended.
const MAX_SESSIONS: u32 = 10_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, end))
}

/// `{account?, capabilities?, expires_in_seconds?, embed_origins?}`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPortalSession)]
struct Form {
    /// Only what is this account's; absent: all of the tenant's.
    account: Option<String>,
    /// Of `view`, `endpoints`, `replay` and `test`; `view` is always among them.
    #[serde(default)]
    capabilities: Vec<String>,
    /// 60 to 86400; an hour when absent.
    #[schema(minimum = 60, maximum = 86400)]
    expires_in_seconds: Option<u64>,
    /// Origins of the pages that may show it in a frame.
    #[serde(default)]
    embed_origins: Vec<String>,
}

impl Form {
    fn parse(self) -> Result<(PortalScope, Duration), ApiError> {
        if let Some(account) = &self.account {
            check_label(account).map_err(|problem| ApiError::invalid("account", problem))?;
        }
        if self.embed_origins.len() > MAX_ORIGINS {
            return Err(ApiError::invalid("embed_origins", format!("give at most {MAX_ORIGINS}")));
        }
        let seconds = self.expires_in_seconds.unwrap_or(DEFAULT_SECONDS);
        if !(MIN_SECONDS..=MAX_SECONDS).contains(&seconds) {
            return Err(ApiError::invalid("expires_in_seconds", format!("give {MIN_SECONDS} to {MAX_SECONDS}")));
        }
        let capability = |(at, text): (usize, &String)| {
            let known = Capability::ALL.map(Capability::as_str).join(", ");
            let wrong = || ApiError::invalid(format!("capabilities[{at}]"), format!("give some of {known}"));
            Capability::parse(text).ok_or_else(wrong)
        };
        let given = self.capabilities.iter().enumerate().map(capability).collect::<Result<Vec<_>, _>>()?;
        let origin = |(at, text): (usize, &String)| input::field(&format!("embed_origins[{at}]"), text);
        let scope = PortalScope {
            account: self.account,
            capabilities: given.into_iter().chain([Capability::View]).collect(),
            embed_origins: self.embed_origins.iter().enumerate().map(origin).collect::<Result<_, _>>()?,
        };
        Ok((scope, Duration::from_secs(seconds)))
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = PortalSession)]
struct Created {
    /// Whoever opens it is in, until it ends. Shown once.
    url: String,
    expires_at: Timestamp,
}

/// Makes a link to a portal: a part of the dashboard for one of your own customers, to send or to show in a frame.
///
/// It ends at its time, and before it with the key or the user who made it, or their right to.
#[utoipa::path(
    post,
    path = "/portal-sessions",
    operation_id = "create_portal_session",
    tag = "portal",
    request_body(
        content = Form,
        example = json!({"account": "berlin", "capabilities": ["endpoints", "replay"], "expires_in_seconds": 3600}),
    ),
    responses((status = 201, body = Created), (status = 409)),
)]
async fn create(
    State(app): State<App>,
    caller: TenantCaller,
    input::Json(form): input::Json<Form>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let (scope, lasts) = form.parse()?;
    let token = TokenText::new(random());
    let target = scope.account.clone().unwrap_or_else(|| "portal".to_owned());
    let mut changes = audit::created(&scope);
    let maker = match caller.author() {
        Author::User { id, .. } => Some(Maker::User(id)),
        Author::Key { id, .. } => Some(Maker::Key(id)),
        Author::Operator | Author::Portal { .. } | Author::Hookyard => None,
    };
    let session = Session::portal(token.hash(), (caller.id(), scope, maker), app.clock.now(), lasts);
    changes.push(Change::new("expires_at", serde_json::Value::Null, serde_json::json!(session.ends_at)));
    let entry = caller.entry(&app, Action::PortalSessionCreated, target, changes);
    app.people.noting(entry).open_session(&session, MAX_SESSIONS).await.map_err(|error| match error {
        StoreError::OverLimit => ApiError::Conflict {
            field: None,
            problem: format!("{MAX_SESSIONS} portal sessions have not ended yet; give them a shorter time"),
        },
        other => other.into(),
    })?;
    let url = format!("{}/portal/{}", app.public_url.trim_end_matches('/'), token.reveal());
    Ok((StatusCode::CREATED, Json(Created { url, expires_at: session.ends_at })))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EndParams {
    /// Only this account's; absent: every one.
    account: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EndedPortalSessions)]
struct Ended {
    /// How many there were that had not ended.
    ended: u64,
}

/// Ends portals before their time, such as when a link came into wrong hands.
///
/// All that there are, or one account's. Whoever is in is out, and no link that was made before opens anything.
#[utoipa::path(
    delete,
    path = "/portal-sessions",
    operation_id = "end_portal_sessions",
    tag = "portal",
    params(EndParams),
    responses((status = 200, body = Ended)),
)]
async fn end(
    State(app): State<App>,
    caller: TenantCaller,
    Params(params): Params<EndParams>,
) -> Result<Json<Ended>, ApiError> {
    if let Some(account) = &params.account {
        check_label(account).map_err(|problem| ApiError::invalid("account", problem))?;
    }
    let target = params.account.clone().unwrap_or_else(|| "portal".to_owned());
    let entry = caller.entry(&app, Action::PortalSessionsEnded, target, Vec::new());
    let which = params.account.map_or(Portals::All, Portals::Of);
    let ended = app.people.noting(entry).end_portals(caller.id(), which).await?;
    Ok(Json(Ended { ended }))
}
