//! `/sign-in/oidc`: sign-in by the operator's OpenID provider. Whoever it vouches
//! for has to be a user already: nobody is made here.
//!
//! What is on its way is tied to the browser by a cookie, because the return is a
//! link that anybody can be sent (login CSRF). The cookie is `Lax`: coming back is
//! a redirect of another site's, on which `Strict` would not come along.

use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::answers::{self, Fields};
use super::credentials::{MAX_PLACES, place};
use super::{ApiError, App, Desk, Holder, Typed, enter, not_kept, page, problem, random};
use crate::domain::oidc::{self, Answer};
use crate::domain::session::TokenText;
use crate::domain::user::{Email, User};
use crate::http::guesses::Tried;
use crate::http::session::{self, CookieName};
use crate::oidc::{Provider, Return};

mod begun;
mod refusal;

pub use begun::Begun;
use begun::{Asked, PATIENCE, SignIn, Stage};
use refusal::Refusal;

const COOKIE: CookieName = CookieName { over_tls: "__Host-hookyard-oidc", plain: "hookyard-oidc" };

/// Where the provider sends people back to, as its administrator has to allow.
fn redirect_uri(app: &App) -> String {
    format!("{}/sign-in/oidc/callback", app.public_url)
}

/// `GET /sign-in/oidc?then=/endpoints`: to the provider. A link and no form: the
/// pages' policy lets forms lead nowhere else.
pub(super) async fn begin(State(desk): State<Desk>, RawQuery(query): RawQuery, request: Request) -> Response {
    let then = Fields::parse(query.unwrap_or_default().as_bytes()).then();
    let Some(provider) = &desk.app.provider else { return Redirect::to("/sign-in").into_response() };
    let (parts, _) = request.into_parts();
    match sent(&desk.app, provider, &parts, &then).await {
        Ok((url, cookie)) => {
            let mut response = Redirect::to(url.as_str()).into_response();
            let cookie = session::lax_cookie(&desk.app, &COOKIE, &cookie, PATIENCE);
            response.headers_mut().append(SET_COOKIE, cookie);
            not_kept(response)
        }
        Err(refusal) => refusal.page(&desk, &parts, &then),
    }
}

/// The URL at the provider, and the cookie by which the browser is known when it
/// comes back.
async fn sent(app: &App, provider: &Provider, parts: &Parts, then: &str) -> Result<(url::Url, TokenText), Refusal> {
    let now = app.clock.now();
    app.guesses.begin(&tries(app, parts), now).map_err(Refusal::Wait)?;
    let metadata = provider.metadata(now).await?;
    let [state, nonce, verifier] = std::array::from_fn(|_| TokenText::new(random()));
    let redirect_uri = redirect_uri(app);
    let asked = oidc::Asked { redirect_uri: &redirect_uri, state: &state, nonce: &nonce, verifier: &verifier };
    let url = provider.settings.question(&metadata, &asked);
    let stage = Stage::Asked(Asked { nonce, verifier });
    Ok((url, app.begun.begin(&state, SignIn { then: then.to_owned(), stage }, now)))
}

/// Beginning is counted by address, and forgotten once it leads in: a stranger
/// cannot have the provider asked without end.
fn tries(app: &App, parts: &Parts) -> Vec<Tried> {
    app.guesses.address(parts).map(Tried::Begun).into_iter().collect()
}

/// `GET /sign-in/oidc/callback?state=...&code=...`: back from the provider.
pub(super) async fn come_back(State(desk): State<Desk>, RawQuery(query): RawQuery, request: Request) -> Response {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let (parts, _) = request.into_parts();
    let Some(sign_in) = taken(&desk.app, fields.get("state"), &parts.headers) else {
        return Refusal::Stale.page(&desk, &parts, "/");
    };
    let SignIn { then, stage } = sign_in;
    match vouched(&desk.app, stage, &fields).await {
        Ok((email, users)) => {
            desk.app.guesses.succeeded(&tries(&desk.app, &parts));
            match users.as_slice() {
                [user] => let_in(&desk, &parts, user, &then).await,
                _ => which(&desk, then, email, &users),
            }
        }
        Err(refusal) => without_cookie(&desk.app, refusal.page(&desk, &parts, &then)),
    }
}

/// The sign-in that came back, once.
fn taken(app: &App, key: Option<&str>, headers: &HeaderMap) -> Option<SignIn> {
    let cookies = session::shown(app, headers, &COOKIE);
    app.begun.take(&TokenText::given(key?), &cookies, app.clock.now())
}

/// The address that the provider vouches for, and who has it: one at least.
async fn vouched(app: &App, stage: Stage, fields: &Fields) -> Result<(Email, Vec<User>), Refusal> {
    let (Some(provider), Stage::Asked(asked)) = (&app.provider, stage) else { return Err(Refusal::Stale) };
    let answer = Answer { code: fields.get("code"), iss: fields.get("iss"), error: fields.get("error") };
    let metadata = provider.metadata(app.clock.now()).await?;
    let code = metadata.code(&provider.settings.issuer, answer)?;
    let came = Return {
        metadata: &metadata,
        code,
        redirect_uri: &redirect_uri(app),
        nonce: &asked.nonce,
        verifier: &asked.verifier,
        now: app.clock.now(),
    };
    let email = provider.vouched(&came).await??;
    let users = users(app, &email).await?;
    if users.is_empty() { Err(Refusal::Nobody(email)) } else { Ok((email, users)) }
}

async fn users(app: &App, email: &Email) -> Result<Vec<User>, ApiError> {
    Ok(app.people.by_email(email, MAX_PLACES).await?)
}

/// Asks somebody of several tenants which they want, as the form with a password
/// does. The provider need not be asked again.
fn which(desk: &Desk, then: String, email: Email, users: &[User]) -> Response {
    let proof = TokenText::new(random());
    let tenants = users.iter().map(|user| place(&desk.app, user)).collect();
    let detail = "You belong to more than one: choose where to go.";
    let typed = Typed { problem: problem("tenant", detail), tenants, proof: Some(&proof), ..Typed::default() };
    let mut response = page(desk, StatusCode::CONFLICT, typed);
    let cookie = desk.app.begun.begin(&proof, SignIn { then, stage: Stage::Vouched(email) }, desk.app.clock.now());
    let cookie = session::lax_cookie(&desk.app, &COOKIE, &cookie, PATIENCE);
    response.headers_mut().append(SET_COOKIE, cookie);
    not_kept(response)
}

/// `POST /sign-in/oidc`: with a `tenant`, of those that somebody was asked about.
pub(super) async fn choose(State(desk): State<Desk>, request: Request) -> Response {
    let (fields, parts) = match answers::read(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal.page(&desk),
    };
    let sign_in = taken(&desk.app, fields.get("proof"), &parts.headers);
    let Some(SignIn { then, stage: Stage::Vouched(email), .. }) = sign_in else {
        return Refusal::Stale.page(&desk, &parts, "/");
    };
    let users = match users(&desk.app, &email).await {
        Ok(users) => users,
        Err(error) => return error.into_response(),
    };
    let chosen = fields.text("tenant");
    match users.iter().find(|user| place(&desk.app, user) == chosen) {
        Some(user) => let_in(&desk, &parts, user, &then).await,
        // They are not there any more, or never were.
        None => without_cookie(&desk.app, Refusal::Nobody(email).page(&desk, &parts, &then)),
    }
}

async fn let_in(desk: &Desk, parts: &Parts, user: &User, then: &str) -> Response {
    let holder = Holder::User(user.whose, user.id);
    let address = desk.app.guesses.address(parts).map(tracing::field::display);
    tracing::info!(whose = %user.whose, who = %holder.who(), address, "somebody signed in by the provider");
    let response = enter(desk, &parts.headers, holder, then).await;
    without_cookie(&desk.app, response)
}

fn without_cookie(app: &App, mut response: Response) -> Response {
    let none = session::lax_cookie(app, &COOKIE, &TokenText::given(""), Duration::ZERO);
    response.headers_mut().append(SET_COOKIE, none);
    response
}
