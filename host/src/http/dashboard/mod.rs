//! The dashboard: pages for people, made of what the API answers.
//!
//! It is a client of the API, in this process: nothing here names the store, the
//! picture or the sandbox. `page.rs` has what a page is, `pages/` which there
//! are, `client.rs` the calls, `form.rs` what forms become.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;
use super::input::read_body;
use assets::Assets;
use client::{Answer, Client, Visitor};
use form::Form;
use live::Viewers;
use page::{Page, Visit, Whom};
use views::Views;

mod assets;
mod chart;
pub(super) mod client;
pub(super) mod form;
mod live;
mod page;
mod pages;
mod views;

/// At most this many bytes in a form: a schema or a script may be pasted.
const MAX_FORM: usize = 2 * 1024 * 1024;

/// What the dashboard works with.
pub(super) struct Parts {
    pub(super) app: App,
    client: Client,
    views: Views,
    assets: Assets,
    viewers: Viewers,
}

/// The state of every page.
pub(super) type Desk = Arc<Parts>;

/// What came before a page that is shown.
#[derive(Default)]
struct Before {
    /// What was typed, by field.
    form: Option<Value>,
    /// What was wrong with it.
    problem: Option<Value>,
    /// What was done, where its answer is to be shown.
    done: Option<Value>,
}

/// Every page, and what is at no address. `api` answers what is asked for under
/// `/v1`.
pub(super) fn routes(app: App, api: Router) -> Router<App> {
    let assets = Assets::new();
    let views = Views::new(pages::templates());
    let viewers = Viewers::default();
    let client = Client::new(app.clone(), api);
    let desk: Desk = Arc::new(Parts { app, client, views, assets, viewers });
    let mut router = Router::new()
        .route("/assets/{name}", get(asset))
        .route("/live", get(live::watch))
        .route("/ask", post(ask))
        .merge(pages::docs::routes())
        .merge(pages::people::routes());
    for page in pages::all() {
        let looked_at = move |desk, path, query, headers| look(desk, page, path, query, headers);
        let sent = move |desk, path, query, headers, request| submit(desk, page, (path, query), headers, request);
        router = router.route(page.path, get(looked_at).post(sent));
    }
    router.fallback(nowhere).with_state(desk)
}

type Params = Path<BTreeMap<String, String>>;

/// `GET` of a page.
async fn look(
    State(desk): State<Desk>,
    page: &'static Page,
    Path(path): Params,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let visit = Visit::new(page, path, query.as_deref());
    match super::session::visitor(&desk.app, &headers).await {
        Some(visitor) => desk.page(page, &visitor, &visit, StatusCode::OK, Before::default()).await,
        None => to_sign_in(&visit.here),
    }
}

/// `POST` of one of a page's forms: a call of the API.
async fn submit(
    State(desk): State<Desk>,
    page: &'static Page,
    (Path(path), RawQuery(query)): (Params, RawQuery),
    headers: HeaderMap,
    request: Request,
) -> Response {
    let visit = Visit::new(page, path, query.as_deref());
    if !form::same_origin(&headers) {
        return desk.refusal(StatusCode::FORBIDDEN, form::ELSEWHERE);
    }
    let Some(visitor) = super::session::visitor(&desk.app, &headers).await else { return to_sign_in(&visit.here) };
    let body = match read_body(request.into_body(), MAX_FORM).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let form = Form::parse(&body);
    let call = match form.call(desk.app.clock.now()) {
        Ok(call) => call,
        Err(problem) => {
            let before = Before { form: Some(form.typed()), problem: Some(json!(problem)), done: None };
            return desk.page(page, &visitor, &visit, StatusCode::UNPROCESSABLE_ENTITY, before).await;
        }
    };
    let answer = desk.client.call(&visitor, call.method.clone(), &call.target, Some(call.body)).await;
    match answer.status {
        StatusCode::UNAUTHORIZED => to_sign_in(&visit.here),
        status if !status.is_success() => {
            let before = Before { form: Some(form.typed()), problem: Some(answer.body), done: None };
            desk.page(page, &visitor, &visit, status, before).await
        }
        _ if form.is_shown() => {
            let call = format!("{} {}", call.method, call.target);
            let done = json!({"call": call, "answer": answer.body});
            let before = Before { form: Some(form.typed()), problem: None, done: Some(done) };
            desk.page(page, &visitor, &visit, StatusCode::OK, before).await
        }
        _ => {
            let next = form.next(&answer.body).unwrap_or(visit.here);
            Redirect::to(&format!("{next}{}", told(&call.method))).into_response()
        }
    }
}

/// The place of every page that says what was done: a form that stays where it is
/// would look as if nothing had happened.
fn told(done: &Method) -> &'static str {
    match *done {
        Method::PATCH | Method::PUT => "#saved",
        Method::DELETE => "#deleted",
        // What it made or did is what the page shows.
        _ => "",
    }
}

/// `POST /ask?call=POST%20/v1/try`: the same for scripts of ours, which send a
/// body as the API takes it and are answered as it does.
async fn ask(State(desk): State<Desk>, RawQuery(query): RawQuery, headers: HeaderMap, request: Request) -> Response {
    if !form::same_origin(&headers) {
        return ApiError::Forbidden.into_response();
    }
    let Some(visitor) = super::session::visitor(&desk.app, &headers).await else {
        return ApiError::Unauthenticated.into_response();
    };
    let query = page::query_of(query.as_deref());
    match form::method_and_target(query.get("call").map_or("", String::as_str)) {
        Ok((method, target)) if !form::is_for_scripts(&method, &target) => {
            ApiError::invalid("call", "scripts read and preview; what changes something is a form").into_response()
        }
        Ok((method, target)) => {
            let content_type = headers.get(header::CONTENT_TYPE).cloned();
            let Answer { status, body } =
                desk.client.pass(&visitor, method, &target, content_type, request.into_body()).await;
            (status, axum::Json(body)).into_response()
        }
        Err(problem) => ApiError::invalid("call", problem.detail).into_response(),
    }
}

/// What is at no address: a page for people, and for programs what the API says.
async fn nowhere(State(desk): State<Desk>, uri: Uri, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    match accepted.contains("text/html") && !uri.path().starts_with("/v1/") {
        true => desk.bare("nowhere.html", json!({}), StatusCode::NOT_FOUND),
        false => super::error::no_such_route().await.into_response(),
    }
}

async fn asset(State(desk): State<Desk>, Path(name): Path<String>) -> Response {
    desk.assets.answer(&name)
}

/// To where one signs in, and back.
fn to_sign_in(here: &str) -> Response {
    Redirect::to(&format!("/sign-in?then={}", page::segment(here))).into_response()
}

impl Parts {
    /// A page with what it reads, or why it cannot be shown.
    async fn page(
        &self,
        page: &'static Page,
        visitor: &Visitor,
        visit: &Visit,
        status: StatusCode,
        before: Before,
    ) -> Response {
        let is_operator = visitor.me["is_operator"] == true && visitor.me["tenant"].is_null();
        if page.whom != Whom::Anybody && is_operator {
            return Redirect::to("/operator").into_response();
        }
        if page.whom == Whom::Member && (visitor.me["can_write"] != true || visitor.me["kind"] == "portal") {
            let problem = json!({"title": "That is not allowed", "detail": "this page is for members and admins"});
            let status = StatusCode::FORBIDDEN;
            let context = json!({"me": visitor.me, "here": visit.here, "problem": problem, "status": status.as_u16()});
            return self.html("error.html", context, status, visitor.frame_ancestors.as_deref());
        }
        let answers = match page.read(&self.client, visitor, visit, self.app.clock.now()).await {
            Ok(answers) => answers,
            Err(Answer { status: StatusCode::UNAUTHORIZED, .. }) => return to_sign_in(&visit.here),
            Err(Answer { status, body }) => {
                let context = json!({"me": visitor.me, "here": visit.here, "problem": body, "status": status.as_u16()});
                return self.html("error.html", context, status, visitor.frame_ancestors.as_deref());
            }
        };
        let mut context = answers;
        for (name, value) in [
            ("path", json!(visit.path)),
            ("query", json!(visit.query)),
            ("here", json!(visit.here)),
            ("me", visitor.me.clone()),
            ("form", json!(before.form)),
            ("problem", json!(before.problem)),
            ("done", json!(before.done)),
        ] {
            context.insert(name.to_owned(), value);
        }
        self.html(page.template, Value::Object(context), status, visitor.frame_ancestors.as_deref())
    }

    /// A page for whoever is not signed in.
    pub(super) fn bare(&self, template: &str, context: Value, status: StatusCode) -> Response {
        self.html(template, context, status, None)
    }

    /// A page that says no, to whomever.
    fn refusal(&self, status: StatusCode, detail: &str) -> Response {
        let problem = json!({"title": "That was refused", "detail": detail});
        self.bare("refused.html", json!({"problem": problem, "status": status.as_u16()}), status)
    }

    fn html(&self, template: &str, mut context: Value, status: StatusCode, ancestors: Option<&str>) -> Response {
        context["assets"] = self.assets.urls();
        let (status, text) = match self.views.render(template, &context) {
            Ok(text) => (status, text),
            Err(error) => {
                tracing::error!(template, error = %error, "a page could not be made");
                (StatusCode::INTERNAL_SERVER_ERROR, FAILED.to_owned())
            }
        };
        let mut response = (status, Body::from(text)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        // What is on it is a tenant's, and may be different the next time.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Not `no-referrer`: forms would come without their origin.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(header::CONTENT_SECURITY_POLICY, policy(ancestors));
        response
    }
}

const FAILED: &str = "<!doctype html><html lang=\"en\"><title>Hookyard</title><h1>This page could not be made</h1>\
    <p>The operator's log has the cause. <a href=\"/\">Overview</a></p></html>";

/// What a page may load: its own, and nothing that stands in it.
fn policy(ancestors: Option<&str>) -> HeaderValue {
    let ancestors = ancestors.unwrap_or("'none'");
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    );
    // Only what a session allows can be no header; nobody may frame it then.
    HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}
