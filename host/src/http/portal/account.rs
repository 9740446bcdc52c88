//! Calls of a portal that are allowed: kept to an account, where the portal is one
//! account's, and without what is the tenant's own.
//!
//! An account's endpoints are those that select this account and no other, its
//! events those that carry it, its deliveries those of its events to its endpoints.
//! Whose events they were is asked each time: the endpoint may have been another
//! account's when they were delivered.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::super::App;
use super::super::auth::{SignedIn, Who};
use super::super::error::ApiError;
use super::super::input::{self, MAX_BODY};
use super::super::page;
use super::answer;
use super::pages::Pages;
use super::{About, make_judged};
use crate::domain::id::{DeliveryId, EndpointId, ReplayId};
use crate::domain::session::PortalScope;

/// More endpoints than this are looked at one by one, and a visitor makes no more:
/// each is a question to the store whenever somebody looks.
const TOGETHER: usize = 50;

/// What a visitor may set of an endpoint. Not its steps: they run with what the
/// tenant grants its own plugins.
const OWN_FIELDS: &[&str] = &[
    "name",
    "url",
    "event_types",
    "accounts",
    "tags",
    "dialect",
    "headers",
    "auth",
    "tls",
    "secret",
    "signature",
    "active",
    "retry",
    "rate_limit",
    "max_in_flight",
    "timeout_seconds",
    "ordered",
];
const TEST_FIELDS: &[&str] = &["type", "data", "subject", "account", "tags"];
const REPLAY_FIELDS: &[&str] = &["since", "until", "states", "event_types", "types", "account", "pipeline", "dry_run"];

/// A visitor, and the way to the API.
pub(super) struct Within<'a> {
    pub(super) app: &'a App,
    pub(super) api: &'a Router,
    pub(super) signed_in: &'a SignedIn,
    pub(super) scope: &'a PortalScope,
}

impl Within<'_> {
    /// What the API answers, or why it is not asked.
    pub(super) async fn answer(&self, about: About, id: &str, request: Request) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        match about {
            About::Catalogue | About::Whole => Ok(self.make(parts, body).await),
            About::Endpoints => self.endpoints(parts).await,
            About::Endpoint => {
                self.own_endpoint(id)?;
                answer::endpoint(self.scope, self.make(parts, body).await).await
            }
            About::NewEndpoint => {
                self.has_room()?;
                let body = self.own_fields(body, OWN_FIELDS, "accounts").await?;
                answer::endpoint(self.scope, self.make(parts, body).await).await
            }
            About::ChangedEndpoint => {
                self.own_endpoint(id)?;
                let body = self.own_fields(body, OWN_FIELDS, "accounts").await?;
                answer::endpoint(self.scope, self.make(parts, body).await).await
            }
            About::Test => {
                self.own_endpoint(id)?;
                let body = self.own_fields(body, TEST_FIELDS, "account").await?;
                Ok(self.make(parts, body).await)
            }
            About::Deliveries => self.listed::<DeliveryId>(parts).await,
            About::Replays => self.listed::<ReplayId>(parts).await,
            About::Delivery => {
                self.own_delivery(id).await?;
                answer::delivery(self.make(parts, body).await).await
            }
            About::Replay => {
                self.own_replay(id).await?;
                Ok(self.make(parts, body).await)
            }
            About::NewReplay => {
                self.own_endpoint(id)?;
                let body = self.own_fields(body, REPLAY_FIELDS, "account").await?;
                Ok(self.make(parts, body).await)
            }
            About::Events => {
                let query = self.scope.account.as_deref().map(|account| with(parts.uri.query(), "account", account));
                let query = query.unwrap_or_else(|| parts.uri.query().unwrap_or_default().to_owned());
                answer::events(self.get(&format!("/v1/events?{query}")).await).await
            }
            About::Event => {
                self.own_event(id).await?;
                answer::event(self.make(parts, body).await).await
            }
        }
    }

    async fn make(&self, parts: Parts, body: Body) -> Response {
        make_judged(self.api, self.signed_in, Request::from_parts(parts, body)).await
    }

    async fn get(&self, target: &str) -> Response {
        match Request::builder().method(Method::GET).uri(target).body(Body::empty()) {
            Ok(request) => make_judged(self.api, self.signed_in, request).await,
            // An id that is no part of an address is nothing's.
            Err(_) => ApiError::NotFound.into_response(),
        }
    }

    /// What is there, or the answer that it is not.
    async fn read(&self, target: &str) -> Result<Value, ApiError> {
        match answer::parts(self.get(target).await).await {
            (StatusCode::OK, value) => Ok(value),
            _ => Err(ApiError::NotFound),
        }
    }

    /// The account's endpoints, the newest first; none where it is all of them.
    fn endpoints_of_account(&self) -> Option<Vec<EndpointId>> {
        let account = self.scope.account.as_deref()?;
        let Who::Tenant { tenant, .. } = &self.signed_in.who else { return Some(Vec::new()) };
        let part = self.app.picture.tenant(*tenant);
        let endpoints = part.iter().flat_map(|part| part.endpoints.values().rev()).map(|sealed| &sealed.endpoint);
        let own = endpoints.filter(|endpoint| endpoint.subscription.accounts == [account]);
        Some(own.map(|endpoint| endpoint.id).collect())
    }

    fn own_endpoint(&self, id: &str) -> Result<(), ApiError> {
        let is_own = |own: Vec<EndpointId>| id.parse().is_ok_and(|id| own.contains(&id));
        if self.endpoints_of_account().is_none_or(is_own) { Ok(()) } else { Err(ApiError::NotFound) }
    }

    fn has_room(&self) -> Result<(), ApiError> {
        match self.endpoints_of_account() {
            Some(own) if own.len() >= TOGETHER => Err(ApiError::Conflict {
                field: None,
                problem: format!("{TOGETHER} endpoints are there, and a portal makes no more; delete one first"),
            }),
            _ => Ok(()),
        }
    }

    /// A thing whose `endpoint_id` is an endpoint of the account's.
    async fn own(&self, target: &str) -> Result<Value, ApiError> {
        let thing = self.read(target).await?;
        self.own_endpoint(thing["endpoint_id"].as_str().unwrap_or_default())?;
        Ok(thing)
    }

    async fn own_delivery(&self, id: &str) -> Result<(), ApiError> {
        if self.scope.account.is_none() {
            return Ok(());
        }
        let delivery = self.own(&format!("/v1/deliveries/{id}")).await?;
        self.own_event(delivery["event_id"].as_str().unwrap_or_default()).await
    }

    async fn own_replay(&self, id: &str) -> Result<(), ApiError> {
        let Some(account) = &self.scope.account else { return Ok(()) };
        let replay = self.own(&format!("/v1/replays/{id}")).await?;
        if replay["account"] == **account { Ok(()) } else { Err(ApiError::NotFound) }
    }

    async fn own_event(&self, id: &str) -> Result<(), ApiError> {
        let Some(account) = &self.scope.account else { return Ok(()) };
        let event = self.read(&format!("/v1/events/{id}")).await?;
        if event["account"] == **account { Ok(()) } else { Err(ApiError::NotFound) }
    }

    /// The account's endpoints in the place of all.
    async fn endpoints(&self, parts: Parts) -> Result<Response, ApiError> {
        let Some(own) = self.endpoints_of_account() else {
            return answer::endpoints(self.scope, self.make(parts, Body::empty()).await).await;
        };
        let query = parts.uri.query();
        let limit = limit(query)?;
        let cursor = value_of(query, "cursor");
        let before: Option<EndpointId> = page::cursor(cursor.as_deref())?;
        let some = own.into_iter().filter(|id| before.is_none_or(|before| *id < before)).take(limit + 1);
        let mut pages = Pages::default();
        for id in some {
            // One that was deleted meanwhile is not there.
            if let Ok(endpoint) = self.read(&format!("/v1/endpoints/{id}")).await {
                pages.add(&json!({"items": [endpoint]}));
            }
        }
        answer::endpoints(self.scope, pages.laid(limit)).await
    }

    /// A list of things of the account's that each have an endpoint: that of the
    /// endpoint which is asked for, or those of all of its endpoints, laid together.
    async fn listed<Id: std::str::FromStr>(&self, parts: Parts) -> Result<Response, ApiError> {
        let (Some(account), Some(own)) = (&self.scope.account, self.endpoints_of_account()) else {
            return Ok(self.make(parts, Body::empty()).await);
        };
        let (path, asked) = (parts.uri.path(), with(parts.uri.query(), "account", account));
        let query = Some(asked.as_str());
        if let Some(endpoint) = value_of(query, "endpoint") {
            self.own_endpoint(&endpoint)?;
            return Ok(self.get(&format!("{path}?{asked}")).await);
        }
        let limit = limit(query)?;
        let _checked: Option<Id> = page::cursor(value_of(query, "cursor").as_deref())?;
        if own.len() > TOGETHER {
            let problem = format!("give one of the endpoints: there are more than {TOGETHER}");
            return Err(ApiError::invalid("endpoint", problem));
        }
        let mut pages = Pages::default();
        for id in own {
            let query = with(query, "endpoint", &id.to_string());
            let response = self.get(&format!("{path}?{query}")).await;
            if response.status() != StatusCode::OK {
                return Ok(response);
            }
            pages.add(&answer::parts(response).await.1);
        }
        Ok(pages.laid(limit))
    }

    /// The body with nothing in it but `fields`, and with the account's name in
    /// `account`.
    async fn own_fields(&self, body: Body, fields: &[&str], account: &str) -> Result<Body, ApiError> {
        let body = input::read_body(body, MAX_BODY).await?;
        let mut form: Map<String, Value> = input::parse(if body.is_empty() { b"{}" } else { &body })?;
        if let Some(foreign) = form.keys().find(|name| !fields.contains(&name.as_str())) {
            return Err(ApiError::invalid(foreign.clone(), "is not for a portal's visitors"));
        }
        if let Some(own) = &self.scope.account {
            let value = if account == "accounts" { json!([own]) } else { json!(own) };
            match form.insert(account.to_owned(), value.clone()) {
                Some(given) if given != value && !given.is_null() && given != json!([]) => {
                    return Err(ApiError::invalid(account, format!("this portal is for {own} alone")));
                }
                _ => {}
            }
        }
        Ok(Body::from(Value::Object(form).to_string()))
    }
}

fn limit(query: Option<&str>) -> Result<usize, ApiError> {
    let wrong = |_| ApiError::invalid("limit", "give a number");
    let asked = value_of(query, "limit").map(|text| text.parse::<u32>().map_err(wrong)).transpose()?;
    page::limit(asked).map(|limit| limit as usize)
}

fn value_of(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.filter(|(key, _)| key == name).last().map(|(_, value)| value.into_owned())
}

/// The query with one value for `name`, whatever it had.
fn with(query: Option<&str>, name: &str, value: &str) -> String {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).filter(|(key, _)| key != name);
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).append_pair(name, value).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_value_of_what_is_set() {
        assert_eq!(with(None, "account", "a b&c"), "account=a+b%26c");
        assert_eq!(with(Some("account=x&type=a.b&account=y"), "account", "z"), "type=a.b&account=z");
        // However it is spelt.
        assert_eq!(with(Some("%61ccount=x&limit=2"), "account", "z"), "limit=2&account=z");
        assert_eq!(value_of(Some("endpoint=a&endpoint=b"), "endpoint").as_deref(), Some("b"));
    }
}
