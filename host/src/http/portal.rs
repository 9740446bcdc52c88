//! What a portal's visitor reaches: the one place that judges their calls before
//! they are made and narrows their answers after.
//!
//! What is not on the list is refused, and so is every call of theirs that did not
//! come through here ([`Judged`] can only be made in this file).

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use tower::ServiceExt as _;

use self::account::Within;
use super::App;
use super::auth::SignedIn;
use super::error::ApiError;
use crate::domain::session::{Capability, PortalScope};

mod account;
mod answer;
mod pages;

/// This call was judged.
#[derive(Clone)]
pub(super) struct Judged(());

/// A call of the API for somebody who is signed in. `api` has the routes under
/// `/v1`.
pub(super) async fn call(app: &App, api: &Router, signed_in: &SignedIn, request: Request) -> Response {
    let Some(scope) = signed_in.scope() else { return make(api, signed_in, request).await };
    let (route, id) = match judge(scope, request.method(), request.uri().path()) {
        Ok((rule, id)) => (rule.about, id.to_owned()),
        Err(refused) => return refused.into_response(),
    };
    let within = Within { app, api, signed_in, scope };
    within.answer(route, &id, request).await.unwrap_or_else(ApiError::into_response)
}

async fn make(api: &Router, signed_in: &SignedIn, mut request: Request<Body>) -> Response {
    request.extensions_mut().insert(signed_in.clone());
    let Ok(response) = api.clone().oneshot(request).await;
    response
}

/// A call of a portal's, once it is known to be allowed.
async fn make_judged(api: &Router, signed_in: &SignedIn, mut request: Request<Body>) -> Response {
    request.extensions_mut().insert(Judged(()));
    make(api, signed_in, request).await
}

/// What a call is about, and so what has to be asked beside the capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// What is the same for everybody in the tenant.
    Catalogue,
    /// Numbers of all accounts together: not for a portal of one.
    Whole,
    Endpoints,
    NewEndpoint,
    Endpoint,
    ChangedEndpoint,
    Test,
    Deliveries,
    Delivery,
    Events,
    Event,
    Replays,
    Replay,
    NewReplay,
}

struct Rule {
    method: &'static str,
    /// Under `/v1`.
    route: &'static str,
    needs: Capability,
    about: About,
}

const fn rule(method: &'static str, route: &'static str, needs: Capability, about: About) -> Rule {
    Rule { method, route, needs, about }
}

/// All that there is for a portal.
const RULES: &[Rule] = &[
    rule("GET", "/endpoints", Capability::View, About::Endpoints),
    rule("GET", "/endpoints/{id}", Capability::View, About::Endpoint),
    rule("GET", "/deliveries", Capability::View, About::Deliveries),
    rule("GET", "/deliveries/{id}", Capability::View, About::Delivery),
    rule("GET", "/events", Capability::View, About::Events),
    rule("GET", "/events/{id}", Capability::View, About::Event),
    rule("GET", "/event-types", Capability::View, About::Catalogue),
    rule("GET", "/dialects", Capability::View, About::Catalogue),
    rule("GET", "/dialects/{id}", Capability::View, About::Catalogue),
    rule("GET", "/activity", Capability::View, About::Whole),
    rule("GET", "/replays", Capability::View, About::Replays),
    rule("GET", "/replays/{id}", Capability::View, About::Replay),
    rule("POST", "/endpoints", Capability::Endpoints, About::NewEndpoint),
    rule("PATCH", "/endpoints/{id}", Capability::Endpoints, About::ChangedEndpoint),
    rule("DELETE", "/endpoints/{id}", Capability::Endpoints, About::Endpoint),
    rule("POST", "/endpoints/{id}/pause", Capability::Endpoints, About::Endpoint),
    rule("POST", "/endpoints/{id}/resume", Capability::Endpoints, About::Endpoint),
    rule("POST", "/endpoints/{id}/rotate-secret", Capability::Endpoints, About::Endpoint),
    rule("POST", "/endpoints/{id}/verify", Capability::Endpoints, About::Endpoint),
    rule("POST", "/endpoints/{id}/replay", Capability::Replay, About::NewReplay),
    rule("POST", "/deliveries/{id}/retry", Capability::Replay, About::Delivery),
    rule("POST", "/replays/{id}/cancel", Capability::Replay, About::Replay),
    rule("POST", "/endpoints/{id}/test", Capability::Test, About::Test),
];

/// The rule for a call and the id in it, or why there is none.
fn judge<'p>(scope: &PortalScope, method: &Method, path: &'p str) -> Result<(&'static Rule, &'p str), ApiError> {
    let path = path.strip_prefix("/v1").unwrap_or_default();
    let found = RULES.iter().find_map(|rule| {
        let id = (rule.method == method.as_str()).then(|| id_in(rule.route, path)).flatten()?;
        Some((rule, id))
    });
    let (rule, id) = found.ok_or(ApiError::OutsidePortal("this is not a part of the portal"))?;
    if !scope.can(rule.needs) {
        return Err(ApiError::OutsidePortal(missing(rule.needs)));
    }
    if rule.about == About::Whole && scope.account.is_some() {
        return Err(ApiError::OutsidePortal("this is not a part of an account's portal"));
    }
    Ok((rule, id))
}

fn missing(capability: Capability) -> &'static str {
    match capability {
        Capability::View => "this portal shows nothing",
        Capability::Endpoints => "this portal was not given the capability endpoints",
        Capability::Replay => "this portal was not given the capability replay",
        Capability::Test => "this portal was not given the capability test",
    }
}

/// What stands for `{id}` where the path is of the route; nothing where it has
/// none.
fn id_in<'p>(route: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, behind)) = route.split_once("{id}") else { return (route == path).then_some("") };
    let id = path.strip_prefix(before)?.strip_suffix(behind)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(account: Option<&str>, capabilities: &[Capability]) -> PortalScope {
        PortalScope {
            account: account.map(str::to_owned),
            capabilities: capabilities.iter().copied().collect(),
            embed_origins: Vec::new(),
        }
    }

    fn verdict(scope: &PortalScope, call: &str) -> String {
        let (method, path) = call.split_once(' ').expect("a method and a path");
        match judge(scope, &method.parse().expect("a method"), path) {
            Ok((rule, id)) => format!("{:?} {id}", rule.about).trim().to_owned(),
            Err(ApiError::OutsidePortal(why)) => why.to_owned(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(call: &str, expected: &str) {
        assert_eq!(verdict(&scope(Some("berlin"), &Capability::ALL), call), expected, "{call}");
    }

    const OUTSIDE: &str = "this is not a part of the portal";

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        check("GET /v1/endpoints", "Endpoints");
        check("GET /v1/endpoints/ep_1", "Endpoint ep_1");
        check("POST /v1/endpoints", "NewEndpoint");
        check("PATCH /v1/endpoints/ep_1", "ChangedEndpoint ep_1");
        check("POST /v1/endpoints/ep_1/test", "Test ep_1");
        check("POST /v1/deliveries/dlv_1/retry", "Delivery dlv_1");
        check("GET /v1/activity", "this is not a part of an account's portal");
        for call in [
            "GET /v1/sources",
            "GET /v1/requests",
            "GET /v1/keys",
            "GET /v1/users",
            "GET /v1/audit",
            "GET /v1/secrets",
            "GET /v1/plugins",
            "GET /v1/stats",
            "GET /v1/events/evt_1/explain",
            "GET /v1/tenants",
            "POST /v1/events",
            "POST /v1/try",
            "POST /v1/portal-sessions",
            "POST /v1/endpoints/ep_1/shadow",
            "POST /v1/deliveries/dlv_1/cancel",
            "PUT /v1/endpoints/ep_1",
            "DELETE /v1/endpoints",
            "HEAD /v1/endpoints",
            // Not what they seem.
            "GET /v1/endpoints/",
            "GET /v1/endpoints/ep_1/",
            "GET /v1/endpoints/ep_1/../../keys",
            "GET /v1//endpoints",
            "GET /endpoints",
            "POST /v1/endpoints//test",
        ] {
            check(call, OUTSIDE);
        }
    }

    #[test]
    fn a_portal_does_what_it_was_given() {
        let calls = [
            ("GET /v1/endpoints", Capability::View),
            ("DELETE /v1/endpoints/ep_1", Capability::Endpoints),
            ("POST /v1/endpoints/ep_1/rotate-secret", Capability::Endpoints),
            ("POST /v1/endpoints/ep_1/replay", Capability::Replay),
            ("POST /v1/replays/rpl_1/cancel", Capability::Replay),
            ("POST /v1/endpoints/ep_1/test", Capability::Test),
        ];
        for given in Capability::ALL {
            for (call, needs) in calls {
                let is_refused = verdict(&scope(None, &[given]), call) == missing(needs);
                assert_eq!(is_refused, needs != Capability::View && needs != given, "{call} with {given:?}");
            }
        }
        assert_eq!(verdict(&scope(None, &[]), "GET /v1/activity"), "Whole", "of the whole tenant");
    }

    #[test]
    fn no_rule_is_hidden_by_another() {
        for rule in RULES {
            let path = format!("/v1{}", rule.route.replace("{id}", "x_1"));
            let method = rule.method.parse().expect("a method");
            let (found, _) = judge(&scope(None, &Capability::ALL), &method, &path).expect("it is on the list");
            assert_eq!((found.method, found.route), (rule.method, rule.route));
        }
    }
}
