//! The role that each route asks of a tenant's key. What is not named here is
//! for admins only: a new route opens to others when somebody has thought of it.

use axum::http::Method;

use crate::domain::role::Role;

/// The least role that may take `route`, given as the router has it.
pub(super) fn least(method: &Method, route: &str) -> Role {
    let is_in = |list: &[&str]| route.strip_prefix("/v1").is_some_and(|route| list.contains(&route));
    match method.as_str() {
        // HEAD is a GET without its body.
        "GET" | "HEAD" if is_in(READ) => Role::Viewer,
        "POST" if is_in(PREVIEWED) => Role::Viewer,
        "POST" if is_in(PUBLISHED) => Role::Publish,
        "POST" | "PUT" | "PATCH" | "DELETE" if is_in(CHANGED) => Role::Member,
        _ => Role::Admin,
    }
}

const READ: &[&str] = &[
    "/activity",
    "/attention",
    "/deliveries",
    "/deliveries/{id}",
    "/dialects",
    "/dialects/{name}",
    "/endpoints",
    "/endpoints/{id}",
    "/event-types",
    "/events",
    "/events/{id}",
    "/events/{id}/explain",
    "/plugins",
    "/plugins/{name}",
    "/plugins/{name}/versions/{version}",
    "/replays",
    "/replays/{id}",
    "/requests",
    "/requests/{id}",
    "/secrets",
    "/senders",
    "/sources",
    "/sources/{id}",
    "/stats",
];

/// These store nothing. What in them reaches further is asked of the caller
/// where it is read.
const PREVIEWED: &[&str] = &["/endpoints/{id}/shadow", "/try"];

const PUBLISHED: &[&str] = &["/events"];

const CHANGED: &[&str] = &[
    "/deliveries/{id}/cancel",
    "/deliveries/{id}/retry",
    "/endpoints",
    "/endpoints/{id}",
    "/endpoints/{id}/pause",
    "/endpoints/{id}/replay",
    "/endpoints/{id}/resume",
    "/endpoints/{id}/rotate-secret",
    "/endpoints/{id}/test",
    "/endpoints/{id}/verify",
    "/event-types/{type}",
    "/events/{id}/cancel",
    "/plugins",
    "/plugins/{name}",
    "/plugins/{name}/rollback",
    "/plugins/{name}/upgrade",
    "/plugins/{name}/versions/{version}",
    "/portal-sessions",
    "/replays/{id}/cancel",
    "/requests/{id}/rerun",
    "/secrets/{name}",
    "/sources",
    "/sources/{id}",
    "/sources/{id}/rerun",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_nobody_thought_of_is_for_admins() {
        assert_eq!(least(&Method::GET, "/v1/endpoints"), Role::Viewer);
        assert_eq!(least(&Method::HEAD, "/v1/endpoints"), Role::Viewer);
        assert_eq!(least(&Method::POST, "/v1/endpoints"), Role::Member);
        assert_eq!(least(&Method::POST, "/v1/events"), Role::Publish);
        for (method, route) in [
            (Method::GET, "/v1/keys"),
            (Method::GET, "/v1/audit"),
            (Method::POST, "/v1/keys"),
            (Method::GET, "/v1/whatever"),
            (Method::GET, "/endpoints"),
            (Method::GET, "/v1/try"),
            (Method::OPTIONS, "/v1/endpoints"),
            (Method::DELETE, "/v1/events"),
        ] {
            assert_eq!(least(&method, route), Role::Admin, "{method} {route}");
        }
    }
}
