//! The ways in and out: `/sign-in`, `/sign-out`, the operator's OpenID provider,
//! links, portals, and the operator's way into a tenant.
//!
//! Whoever fails is told the same, whatever was wrong: that an address is
//! somebody's is nobody else's business.

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::App;
use super::dashboard::Desk;
use super::dashboard::client::is_local_path;
use super::dashboard::form::same_origin;
use super::error::ApiError;
use super::input::{Id, read_body};
use super::session::{self, cookie};
use crate::clock::{mint, random};
use crate::domain::audit::{Action, Author, Entry};
use crate::domain::id::TenantId;
use crate::domain::session::{Holder, LONGEST, Session, TokenText};
use crate::domain::user::Whose;

mod answers;
mod credentials;
mod link;
mod oidc;
mod portal;

use answers::Fields;
pub use oidc::Begun;

/// At most this many bytes in what somebody types to sign in.
const MAX_FORM: usize = 16 * 1024;
/// At most so many are signed in at once in one tenant.
const MAX_SESSIONS: u32 = 10_000;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-in/oidc", get(oidc::begin).post(oidc::choose))
        .route("/sign-in/oidc/callback", get(oidc::come_back))
        .route("/sign-out", post(sign_out))
        .route("/link/{token}", get(link::show).post(link::take))
        .route("/portal/{token}", get(portal::show).post(portal::take))
        .route("/operator/tenants/{id}/open", post(open))
        .route("/operator/leave", post(leave))
}

/// `GET /sign-in?then=/endpoints`
async fn show(State(desk): State<Desk>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let then = Fields::parse(query.unwrap_or_default().as_bytes()).then();
    match session::visitor(&desk.app, &headers).await {
        Some(visitor) if visitor.me["kind"] != "portal" => Redirect::to(&then).into_response(),
        _ => page(&desk, StatusCode::OK, Typed { then, ..Typed::default() }),
    }
}

/// What the page where one signs in shows of what was tried.
#[derive(Default)]
struct Typed<'a> {
    then: String,
    email: String,
    problem: Value,
    /// Of whom somebody is to choose one.
    tenants: Vec<String>,
    /// Sent back with the choice, where somebody need not prove anything again.
    proof: Option<&'a TokenText>,
}

fn page(desk: &Desk, status: StatusCode, typed: Typed<'_>) -> Response {
    let provider = desk.app.provider.as_ref().map(|provider| provider.settings.name.as_str());
    let context = json!({
        "then": typed.then, "form": {"email": typed.email}, "problem": typed.problem, "tenants": typed.tenants,
        "proof": typed.proof.map(TokenText::reveal), "provider": provider, "is_plain": is_exposed(&desk.app),
    });
    desk.bare("sign_in.html", context, status)
}

/// Whether what is typed can be read on its way: over plain HTTP from elsewhere.
fn is_exposed(app: &App) -> bool {
    let local = ["localhost", "127.0.0.1", "[::1]"];
    !session::is_secure(app) && !local.contains(&app.origin.as_str())
}

/// `POST /sign-in`: with `email` and `password`, or with a `key`.
async fn sign_in(State(desk): State<Desk>, request: Request) -> Response {
    let (fields, parts) = match answers::read(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal.page(&desk),
    };
    let then = fields.then();
    match credentials::proven(&desk.app, &fields, &parts).await {
        Ok(holder) => enter(&desk, &parts.headers, holder, &then).await,
        Err(unproven) => unproven.page(&desk, &fields, then),
    }
}

/// Signs somebody in and leads them on. Whoever was signed in at this browser is
/// out.
async fn enter(desk: &Desk, headers: &HeaderMap, holder: Holder, then: &str) -> Response {
    let token = TokenText::new(random());
    let session = Session::new(token.hash(), holder, desk.app.clock.now());
    match desk.app.people.open_session(&session, MAX_SESSIONS).await {
        Ok(()) => welcome(desk, headers, &token, then).await,
        Err(error) => ApiError::from(error).into_response(),
    }
}

async fn welcome(desk: &Desk, headers: &HeaderMap, token: &TokenText, then: &str) -> Response {
    end(&desk.app, headers).await;
    let mut response = Redirect::to(then).into_response();
    response.headers_mut().append(SET_COOKIE, cookie(&desk.app, token, LONGEST));
    not_kept(response)
}

/// Ends the sessions that the browser shows. A portal's is whoever's has its link.
async fn end(app: &App, headers: &HeaderMap) {
    for token in session::tokens(app, headers) {
        if let Ok(Some((session, _))) = session::opened(app, token.hash()).await
            && !matches!(session.holder, Holder::Portal(..))
            && let Err(error) = app.people.end_session(session.hash).await
        {
            tracing::error!(error = %crate::telemetry::Chain(&error), "a session was not ended");
        }
    }
}

/// `POST /sign-out`
async fn sign_out(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    if !same_origin(&headers) {
        return answers::elsewhere(&desk);
    }
    end(&desk.app, &headers).await;
    let mut response = Redirect::to("/sign-in").into_response();
    for cookie in session::no_cookies(&desk.app) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    not_kept(response)
}

/// `POST /operator/tenants/{id}/open`: from now on the session acts in the tenant,
/// as an admin whom its audit log calls `operator`.
async fn open(State(desk): State<Desk>, Id(tenant): Id<TenantId>, headers: HeaderMap) -> Response {
    go(&desk, &headers, Some(tenant), "/").await
}

/// `POST /operator/leave`
async fn leave(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    go(&desk, &headers, None, "/operator").await
}

async fn go(desk: &Desk, headers: &HeaderMap, tenant: Option<TenantId>, then: &'static str) -> Response {
    if !same_origin(headers) {
        return answers::elsewhere(desk);
    }
    for token in session::tokens(&desk.app, headers) {
        let Ok(Some((session, visitor))) = session::opened(&desk.app, token.hash()).await else { continue };
        if visitor.me["is_operator"] == true {
            let people = match tenant {
                Some(tenant) => desk.app.people.noting(entry(&desk.app, tenant)),
                None => desk.app.people.clone(),
            };
            return match people.enter(session.hash, tenant).await {
                Ok(()) => {
                    if let Some(tenant) = tenant {
                        tracing::info!(who = %session.holder.who(), %tenant, "the operator entered a tenant");
                    }
                    not_kept(Redirect::to(then).into_response())
                }
                Err(error) => ApiError::from(error).into_response(),
            };
        }
    }
    Redirect::to("/sign-in?then=%2Foperator").into_response()
}

/// What the tenant's audit log says of it: that it was the operator, and not who of
/// them. That is in the server's log.
fn entry(app: &App, tenant: TenantId) -> Entry {
    let (id, whose, target) = (mint(app.clock.now()), Whose::Tenant(tenant), tenant.to_string());
    Entry { id, whose, by: Author::Operator, action: Action::TenantEntered, target, changes: Vec::new() }
}

/// Nobody on the way keeps it, and nobody learns the address that it was at.
fn not_kept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// What a page shows of a problem.
fn problem(field: &str, detail: impl std::fmt::Display) -> Value {
    json!({"field": field, "detail": detail.to_string()})
}
