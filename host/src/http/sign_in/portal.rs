//! `/portal/{token}`: the link's token becomes the cookie. It changes nothing in
//! here, so that whoever looks at links on their way does no harm.
//!
//! Anybody can make a portal of their own and lead somebody else to its link. Who
//! is somebody already would go on typing, and into another's hands: they are asked.

use axum::extract::{Path, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::json;

use super::{ApiError, Desk, Holder, Session, TokenText, answers, end, not_kept, same_origin, session};
use crate::domain::id::TenantId;
use crate::domain::session::PortalScope;
use crate::domain::time::Timestamp;
use crate::http::auth::Who;
use crate::http::dashboard::client::Visitor;

/// A portal that a link opens.
struct Portal {
    token: TokenText,
    tenant: TenantId,
    scope: PortalScope,
    ends_at: Timestamp,
}

/// `GET /portal/{token}`
pub(super) async fn show(State(desk): State<Desk>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    let portal = match find(&desk, token).await {
        Ok(portal) => portal,
        Err(no) => return no,
    };
    match session::visitor(&desk.app, &headers).await {
        Some(visitor) if is_to_be_asked(&visitor, &portal, &headers) => ask(&desk, &visitor, &portal),
        _ => open(&desk, &portal),
    }
}

/// `POST /portal/{token}`: whoever was asked wants it.
pub(super) async fn take(State(desk): State<Desk>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    if !same_origin(&headers) {
        return answers::elsewhere(&desk);
    }
    match find(&desk, token).await {
        Ok(portal) => {
            end(&desk.app, &headers).await;
            open(&desk, &portal)
        }
        Err(no) => no,
    }
}

async fn find(desk: &Desk, token: String) -> Result<Portal, Response> {
    let token = TokenText::given(token);
    match session::opened(&desk.app, token.hash()).await {
        Ok(Some((Session { holder: Holder::Portal(tenant, scope, _), ends_at, .. }, _))) => {
            Ok(Portal { token, tenant, scope, ends_at })
        }
        Ok(_) => Err(not_kept(desk.bare("portal_gone.html", json!({}), StatusCode::GONE))),
        Err(error) => Err(ApiError::from(error).into_response()),
    }
}

/// Another portal of the same tenant is no surprise, and in a frame it is the page
/// around that says which.
fn is_to_be_asked(visitor: &Visitor, portal: &Portal, headers: &HeaderMap) -> bool {
    let is_framed = headers.get("sec-fetch-dest").is_some_and(|dest| dest.as_bytes() == b"iframe");
    match &visitor.signed_in.who {
        Who::Tenant { tenant, scope: Some(_), .. } => *tenant != portal.tenant && !is_framed,
        Who::Tenant { scope: None, .. } | Who::Operator(_) => true,
    }
}

fn ask(desk: &Desk, visitor: &Visitor, portal: &Portal) -> Response {
    let tenant = desk.app.picture.tenant(portal.tenant);
    let context = json!({
        "me": visitor.me,
        "tenant": tenant.map(|part| part.tenant.name.clone()),
        "account": portal.scope.account,
    });
    not_kept(desk.bare("portal_open.html", context, StatusCode::OK))
}

fn open(desk: &Desk, Portal { token, scope, ends_at, .. }: &Portal) -> Response {
    let lasts = ends_at.since(desk.app.clock.now());
    let cookie = match scope.embed_origins.is_empty() {
        true => session::cookie(&desk.app, token, lasts),
        false => session::framed_cookie(&desk.app, token, lasts),
    };
    let mut response = Redirect::to("/").into_response();
    response.headers_mut().append(SET_COOKIE, cookie);
    not_kept(response)
}
