//! From a cookie to somebody who is signed in, and back. Only the dashboard looks
//! at cookies; the API under `/v1` takes none.

use std::time::Duration;

use axum::http::header::{ACCEPT, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::App;
use super::auth::{SignedIn, Who};
use super::dashboard::client::Visitor;
use crate::domain::audit::Author;
use crate::domain::id::TenantId;
use crate::domain::key::KeyHash;
use crate::domain::role::Role;
use crate::domain::session::{Capability, Holder, Maker, PortalScope, Session, TokenHash, TokenText};
use crate::domain::time::Timestamp;
use crate::domain::user::{User, Whose};
use crate::store::StoreError;
use crate::telemetry::Chain;

/// What a cookie is called.
pub(super) struct CookieName {
    /// With its prefix a browser takes it from this very host and over TLS only
    /// (RFC 6265bis, section 4.1.3.2).
    pub(super) over_tls: &'static str,
    /// Over plain HTTP no browser would keep the other.
    pub(super) plain: &'static str,
}

/// Of the cookie that keeps somebody signed in.
const SESSION: CookieName = CookieName { over_tls: "__Host-hookyard", plain: "hookyard" };
/// Of a portal's that is shown in a frame. Another name, so that a browser which
/// does not keep frames' cookies apart puts it beside the other, not in its place.
const FRAMED: CookieName = CookieName { over_tls: "__Host-hookyard-framed", plain: "hookyard-framed" };
/// A browser may have some of other places and times.
const MOST_COOKIES: usize = 4;

/// Who is at the browser that sent these headers, if they are signed in.
pub(super) async fn visitor(app: &App, headers: &HeaderMap) -> Option<Visitor> {
    let (session, visitor) = newest(app, headers).await?;
    let now = app.clock.now();
    if let Some(lapses_at) = session.seen(now)
        && is_somebody_there(headers)
        && let Err(error) = app.people.prolong_session(session.hash, lapses_at).await
    {
        tracing::warn!(error = %Chain(&error), "that somebody was seen was not written down");
    }
    Some(visitor)
}

/// The session that was opened last, of those that the browser sent. A person's goes
/// before a portal's: whoever has been somebody stays it until they say otherwise.
async fn newest(app: &App, headers: &HeaderMap) -> Option<(Session, Visitor)> {
    let mut found: Option<(Session, Visitor)> = None;
    for token in tokens(app, headers) {
        let known = match opened(app, token.hash()).await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a session could not be read");
                None
            }
        };
        if let Some(known) = known
            && found.as_ref().is_none_or(|(session, _)| rank(session) < rank(&known.0))
        {
            found = Some(known);
        }
    }
    found
}

fn rank(session: &Session) -> (bool, Timestamp) {
    (!matches!(session.holder, Holder::Portal(..)), session.created_at)
}

/// A page that is open asks by itself whether something is new: nobody need sit
/// before it.
fn is_somebody_there(headers: &HeaderMap) -> bool {
    let has = |name: &str, value: &str| headers.get(name).is_some_and(|given| given.as_bytes() == value.as_bytes());
    let is_stream = has(ACCEPT.as_str(), "text/event-stream");
    !is_stream && (!headers.contains_key("sec-fetch-mode") || has("sec-fetch-mode", "navigate"))
}

/// What the browser shows, at most a few.
pub(super) fn tokens(app: &App, headers: &HeaderMap) -> Vec<TokenText> {
    [&SESSION, &FRAMED].into_iter().flat_map(|name| shown(app, headers, name)).collect()
}

/// What it shows in cookies of this name, at most a few.
pub(super) fn shown(app: &App, headers: &HeaderMap, name: &CookieName) -> Vec<TokenText> {
    let name = if is_secure(app) { name.over_tls } else { name.plain };
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| TokenText::given(value)).take(MOST_COOKIES).collect()
}

/// The session with this token and who holds it, if it is not over and its user
/// or key is still there, or whoever made the portal.
pub(super) async fn opened(app: &App, hash: TokenHash) -> Result<Option<(Session, Visitor)>, StoreError> {
    let Some((session, user)) = app.people.session(hash).await? else { return Ok(None) };
    if session.is_over(app.clock.now()) {
        return Ok(None);
    }
    let visitor = match (&session.holder, user) {
        (Holder::User(whose, _), Some(user)) => of_user(app, &session, *whose, &user),
        (Holder::User(..), None) => None,
        (Holder::Key(Whose::Operator, key), _) => {
            let is_key: bool = app.operator.0.ct_eq(&key.0).into();
            is_key.then(|| of_operator(app, &session, "operator"))
        }
        (Holder::Key(Whose::Tenant(tenant), key), _) => of_key(app, &session, *tenant, key),
        (Holder::Portal(tenant, scope, maker), _) => match may_still_make(app, *tenant, *maker).await? {
            true => of_portal(app, &session, *tenant, scope),
            false => None,
        },
    };
    Ok(visitor.map(|visitor| (session, visitor)))
}

fn of_user(app: &App, session: &Session, whose: Whose, user: &User) -> Option<Visitor> {
    let Whose::Tenant(tenant) = whose else { return Some(of_operator(app, session, &user.name)) };
    let who = Who::Tenant { tenant, role: user.role, author: Author::of_user(user), key: None, scope: None };
    in_tenant(app, session, ("user", &user.name), who)
}

fn of_key(app: &App, session: &Session, tenant: TenantId, hash: &KeyHash) -> Option<Visitor> {
    let (owner, key) = app.picture.tenant_by_key(hash)?;
    if owner != tenant || key.expired_at(app.clock.now()).is_some() {
        return None;
    }
    let who = Who::Tenant { tenant, role: key.role, author: Author::of(&key), key: Some(key.id), scope: None };
    let id = key.id.to_string();
    in_tenant(app, session, ("key", key.name.as_deref().unwrap_or(&id)), who)
}

/// Whether who made a portal's link may still make one.
async fn may_still_make(app: &App, tenant: TenantId, maker: Option<Maker>) -> Result<bool, StoreError> {
    let role = match maker {
        None => return Ok(true),
        Some(Maker::User(id)) => app.people.user(Whose::Tenant(tenant), id).await?.map(|user| user.role),
        Some(Maker::Key(id)) => app.picture.tenant(tenant).and_then(|part| {
            let (_, key) = part.keys.iter().find(|(_, key)| key.id == id)?;
            key.expired_at(app.clock.now()).is_none().then_some(key.role)
        }),
    };
    Ok(role.is_some_and(|role| role.covers(Role::Member)))
}

fn of_portal(app: &App, session: &Session, tenant: TenantId, scope: &PortalScope) -> Option<Visitor> {
    let role = if scope.can_write() { Role::Member } else { Role::Viewer };
    let author = Author::Portal { account: scope.account.clone() };
    let who = Who::Tenant { tenant, role, author, key: None, scope: Some(scope.clone().into()) };
    in_tenant(app, session, ("portal", scope.account.as_deref().unwrap_or_default()), who)
}

/// In a tenant that they have entered, or outside of all. A tenant that is gone
/// was left.
fn of_operator(app: &App, session: &Session, name: &str) -> Visitor {
    let entered = session.entered.and_then(|tenant| {
        let who = Who::Tenant { tenant, role: Role::Admin, author: Author::Operator, key: None, scope: None };
        in_tenant(app, session, ("operator", name), who)
    });
    entered.unwrap_or_else(|| {
        let me = json!({
            "kind": "operator", "name": name, "role": null, "tenant": null, "account": null, "can_write": true,
            "is_admin": true, "is_operator": true, "capabilities": [],
        });
        let author = match session.holder {
            Holder::User(_, id) => Author::User { id, name: Some(name.to_owned()) },
            Holder::Key(..) | Holder::Portal(..) => Author::Operator,
        };
        let signed_in = SignedIn { who: Who::Operator(author), session: session.hash };
        let session = label(session);
        Visitor { signed_in, me, session, frame_ancestors: None }
    })
}

fn in_tenant(app: &App, session: &Session, (kind, name): (&str, &str), who: Who) -> Option<Visitor> {
    let Who::Tenant { tenant, role, scope, .. } = &who else { return None };
    let part = app.picture.tenant(*tenant)?;
    let capabilities: Vec<&str> = match scope {
        Some(scope) => Capability::ALL.into_iter().filter(|one| scope.can(*one)).map(Capability::as_str).collect(),
        None if role.covers(Role::Member) => Capability::ALL.map(Capability::as_str).to_vec(),
        None => vec![Capability::View.as_str()],
    };
    let me: Value = json!({
        "kind": kind, "name": name, "role": role.as_str(),
        "tenant": {"id": part.tenant.id, "name": part.tenant.name},
        "account": scope.as_ref().and_then(|scope| scope.account.clone()),
        "can_write": role.covers(Role::Member), "is_admin": *role == Role::Admin, "is_operator": kind == "operator",
        "capabilities": capabilities,
    });
    let frame_ancestors = scope.as_ref().and_then(|scope| frame_ancestors(scope));
    let signed_in = SignedIn { who, session: session.hash };
    Some(Visitor { me, session: label(session), frame_ancestors, signed_in })
}

/// Who may show a portal's pages in a frame, as the policy has it.
fn frame_ancestors(scope: &PortalScope) -> Option<String> {
    let origins: Vec<&str> = scope.embed_origins.iter().map(|origin| origin.as_str()).collect();
    (!origins.is_empty()).then(|| origins.join(" "))
}

/// Tells sessions apart, and opens none.
fn label(session: &Session) -> String {
    session.hash.0[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether browsers come here over TLS.
pub(super) fn is_secure(app: &App) -> bool {
    app.public_url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// The cookie that keeps somebody signed in, until `lasts` has passed at most.
pub(super) fn cookie(app: &App, token: &TokenText, lasts: Duration) -> HeaderValue {
    lax_cookie(app, &SESSION, token, lasts)
}

/// One that comes along when a link or a redirect of another site leads here, and
/// with nothing else that other sites do.
pub(super) fn lax_cookie(app: &App, name: &CookieName, token: &TokenText, lasts: Duration) -> HeaderValue {
    let (name, secure) = if is_secure(app) { (name.over_tls, " Secure;") } else { (name.plain, "") };
    written(&format!("{name}={}; Path=/; Max-Age={};{secure} HttpOnly; SameSite=Lax", token.reveal(), lasts.as_secs()))
}

/// The same for a page that others show in a frame. A browser that blocks cookies
/// of third parties keeps it apart for each page around it (CHIPS); over plain
/// HTTP there is no such thing.
pub(super) fn framed_cookie(app: &App, token: &TokenText, lasts: Duration) -> HeaderValue {
    match is_secure(app) {
        true => written(&format!(
            "{}={}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=None; Partitioned",
            FRAMED.over_tls,
            token.reveal(),
            lasts.as_secs()
        )),
        false => lax_cookie(app, &FRAMED, token, lasts),
    }
}

/// Takes away whatever there may be.
pub(super) fn no_cookies(app: &App) -> [HeaderValue; 2] {
    let none = TokenText::given("");
    [cookie(app, &none, Duration::ZERO), framed_cookie(app, &none, Duration::ZERO)]
}

fn written(cookie: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(cookie).expect("a token is letters, digits, `-` and `_`");
    value.set_sensitive(true);
    value
}
