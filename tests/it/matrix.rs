//! Who may take which route: every route of the server with every kind of key.
//!
//! The routes are read out of the sources, so that one which is missing here
//! fails the test. What is denied names real things and would change them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookyard_tests::{Answer, Api, Host, Receiver, list, text};
use reqwest::Method;
use serde_json::{Value, json};

/// For whom a route is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum For {
    /// Whoever can reach the server.
    All,
    /// The operator, and whoever may read in a tenant.
    Anybody,
    Operator,
    Viewer,
    Publish,
    Member,
    Admin,
}
use For::{Admin, All, Anybody, Member, Operator, Publish, Viewer};

/// A role of a tenant's key, and what it is enough for.
const ROLES: [(&str, &[For]); 4] = [
    ("admin", &[Anybody, Viewer, Publish, Member, Admin]),
    ("member", &[Anybody, Viewer, Publish, Member]),
    ("viewer", &[Anybody, Viewer]),
    ("publish", &[Publish]),
];

/// A method, a route, for whom it is, and a body with which it does something.
pub(crate) type Route = (&'static str, &'static str, For, &'static str);

pub(crate) const ROUTES: &[Route] = &[
    ("GET", "/healthz", All, ""),
    ("GET", "/readyz", All, ""),
    ("GET", "/openapi.json", All, ""),
    ("GET", "/metrics", Operator, ""),
    ("GET", "/.well-known/hookyard/{tenant}/jwks.json", All, ""),
    ("ANY", "/in/{token}", All, ""),
    ("ANY", "/api/webhooks/inbound/{token}", All, ""),
    ("GET", "/v1/activity", Viewer, ""),
    ("GET", "/v1/attention", Viewer, ""),
    ("GET", "/v1/audit", Admin, ""),
    ("GET", "/v1/deliveries", Viewer, ""),
    ("GET", "/v1/deliveries/{id}", Viewer, ""),
    ("POST", "/v1/deliveries/{id}/cancel", Member, ""),
    ("POST", "/v1/deliveries/{id}/retry", Member, ""),
    ("GET", "/v1/dialects", Anybody, ""),
    ("GET", "/v1/dialects/{name}", Anybody, ""),
    ("GET", "/v1/endpoints", Viewer, ""),
    ("POST", "/v1/endpoints", Member, r#"{"name": "new", "url": "https://example.com/", "event_types": ["*"]}"#),
    ("GET", "/v1/endpoints/{id}", Viewer, ""),
    ("PATCH", "/v1/endpoints/{id}", Member, r#"{"name": "stolen"}"#),
    ("DELETE", "/v1/endpoints/{id}", Member, ""),
    ("POST", "/v1/endpoints/{id}/pause", Member, ""),
    (
        "POST",
        "/v1/endpoints/{id}/replay",
        Member,
        r#"{"since": "2020-01-01T00:00:00Z", "states": ["delivered"], "pipeline": "current"}"#,
    ),
    ("POST", "/v1/endpoints/{id}/resume", Member, ""),
    ("POST", "/v1/endpoints/{id}/rotate-secret", Member, ""),
    ("POST", "/v1/endpoints/{id}/shadow", Viewer, r#"{"steps": [], "last": 1}"#),
    ("POST", "/v1/endpoints/{id}/test", Member, ""),
    ("POST", "/v1/endpoints/{id}/verify", Member, ""),
    ("GET", "/v1/erasures", Admin, ""),
    ("POST", "/v1/erasures", Admin, r#"{"subject": "jane"}"#),
    ("GET", "/v1/erasures/{id}", Admin, ""),
    ("GET", "/v1/event-types", Viewer, ""),
    ("PUT", "/v1/event-types/{type}", Member, r#"{"description": "stolen"}"#),
    ("DELETE", "/v1/event-types/{type}", Member, ""),
    ("GET", "/v1/events", Viewer, ""),
    ("POST", "/v1/events", Publish, r#"{"type": "a.b", "data": "stolen"}"#),
    ("GET", "/v1/events/{id}", Viewer, ""),
    ("POST", "/v1/events/{id}/cancel", Member, ""),
    ("GET", "/v1/events/{id}/explain", Viewer, ""),
    ("GET", "/v1/keys", Admin, ""),
    ("POST", "/v1/keys", Admin, ""),
    ("GET", "/v1/keys/{id}", Admin, ""),
    ("DELETE", "/v1/keys/{id}", Admin, ""),
    ("GET", "/v1/operator/audit", Operator, ""),
    ("GET", "/v1/operator/status", Operator, ""),
    ("GET", "/v1/operator/users", Operator, ""),
    ("POST", "/v1/operator/users", Operator, r#"{"email": "new@example.com"}"#),
    ("GET", "/v1/operator/users/{id}", Operator, ""),
    ("PATCH", "/v1/operator/users/{id}", Operator, r#"{"name": "stolen"}"#),
    ("DELETE", "/v1/operator/users/{id}", Operator, ""),
    ("POST", "/v1/operator/users/{id}/link", Operator, ""),
    ("POST", "/v1/portal-sessions", Member, ""),
    ("DELETE", "/v1/portal-sessions", Member, ""),
    ("GET", "/v1/plugins", Viewer, ""),
    ("POST", "/v1/plugins", Member, "no component"),
    ("GET", "/v1/plugins/{name}", Viewer, ""),
    ("DELETE", "/v1/plugins/{name}", Member, ""),
    ("POST", "/v1/plugins/{name}/rollback", Member, ""),
    ("POST", "/v1/plugins/{name}/upgrade", Member, ""),
    ("GET", "/v1/plugins/{name}/versions/{version}", Viewer, ""),
    ("DELETE", "/v1/plugins/{name}/versions/{version}", Member, ""),
    ("GET", "/v1/replays", Viewer, ""),
    ("GET", "/v1/replays/{id}", Viewer, ""),
    ("POST", "/v1/replays/{id}/cancel", Member, ""),
    ("GET", "/v1/requests", Viewer, ""),
    ("GET", "/v1/requests/{id}", Viewer, ""),
    ("POST", "/v1/requests/{id}/rerun", Member, ""),
    ("GET", "/v1/secrets", Viewer, ""),
    ("PUT", "/v1/secrets/{name}", Member, r#"{"value": "stolen"}"#),
    ("DELETE", "/v1/secrets/{name}", Member, ""),
    ("GET", "/v1/senders", Anybody, ""),
    ("GET", "/v1/sources", Viewer, ""),
    ("POST", "/v1/sources", Member, r#"{"name": "new"}"#),
    ("GET", "/v1/sources/{id}", Viewer, ""),
    ("PATCH", "/v1/sources/{id}", Member, r#"{"name": "stolen"}"#),
    ("DELETE", "/v1/sources/{id}", Member, ""),
    ("POST", "/v1/sources/{id}/rerun", Member, ""),
    ("GET", "/v1/stats", Viewer, ""),
    ("GET", "/v1/tenants", Operator, ""),
    ("POST", "/v1/tenants", Operator, r#"{"name": "new"}"#),
    ("GET", "/v1/tenants/{id}", Operator, ""),
    ("PATCH", "/v1/tenants/{id}", Operator, r#"{"name": "stolen"}"#),
    ("DELETE", "/v1/tenants/{id}", Operator, ""),
    ("GET", "/v1/tenants/{tenant}/audit", Operator, ""),
    ("GET", "/v1/tenants/{tenant}/keys", Operator, ""),
    ("POST", "/v1/tenants/{tenant}/keys", Operator, ""),
    ("GET", "/v1/tenants/{tenant}/keys/{id}", Operator, ""),
    ("DELETE", "/v1/tenants/{tenant}/keys/{id}", Operator, ""),
    ("GET", "/v1/tenants/{tenant}/users", Operator, ""),
    ("POST", "/v1/tenants/{tenant}/users", Operator, r#"{"email": "new@example.com"}"#),
    ("GET", "/v1/tenants/{tenant}/users/{id}", Operator, ""),
    ("PATCH", "/v1/tenants/{tenant}/users/{id}", Operator, r#"{"name": "stolen"}"#),
    ("DELETE", "/v1/tenants/{tenant}/users/{id}", Operator, ""),
    ("POST", "/v1/tenants/{tenant}/users/{id}/link", Operator, ""),
    ("POST", "/v1/try", Viewer, r#"{"event": {"type": "a.b", "data": 1}, "steps": []}"#),
    ("GET", "/v1/users", Admin, ""),
    ("POST", "/v1/users", Admin, r#"{"email": "new@example.com"}"#),
    ("GET", "/v1/users/{id}", Admin, ""),
    ("PATCH", "/v1/users/{id}", Admin, r#"{"name": "stolen"}"#),
    ("DELETE", "/v1/users/{id}", Admin, ""),
    ("POST", "/v1/users/{id}/link", Admin, ""),
];

/// What takes the place of `{...}` in a route, by what stands before it.
pub(crate) struct Things {
    ids: Vec<(&'static str, String)>,
}

impl Things {
    pub(crate) fn path(&self, route: &str) -> String {
        let mut path = String::new();
        for piece in route.split('/').skip(1) {
            let piece = match piece.starts_with('{') {
                true => {
                    let found = self.ids.iter().find(|(before, _)| path.ends_with(before));
                    found.map_or_else(|| panic!("{route} has something else behind {path}"), |(_, id)| id.as_str())
                }
                false => piece,
            };
            path = format!("{path}/{piece}");
        }
        match route {
            "/v1/plugins" => format!("{path}?name=mine"),
            // The same, whenever it is asked.
            "/v1/activity" => format!("{path}?since=2020-01-01T00:00:00Z&until=2020-01-01T01:00:00Z"),
            _ => path,
        }
    }

    /// The same kinds of things, of which there is none.
    pub(crate) fn missing() -> Self {
        let id = |kind: &str| format!("{kind}_01arz3ndektsv4rrffq69g5fav");
        let ids = [
            ("/tenants", id("ten")),
            ("/.well-known/hookyard", id("ten")),
            ("/keys", id("key")),
            ("/users", id("usr")),
            ("/endpoints", id("ep")),
            ("/sources", id("src")),
            ("/events", id("evt")),
            ("/requests", id("req")),
            ("/deliveries", id("dlv")),
            ("/replays", id("rpl")),
            ("/erasures", id("era")),
            ("/versions", "7".to_owned()),
            ("/plugins", "none".to_owned()),
            ("/secrets", "none".to_owned()),
            ("/event-types", "no.ne".to_owned()),
            ("/dialects", "none".to_owned()),
        ];
        Self { ids: ids.into() }
    }
}

/// One of each thing that a tenant can have.
pub(crate) async fn things_of(host: &Host, tenant: &Api, receiver: &Receiver) -> Things {
    let endpoint = tenant.endpoint(&receiver.url(), json!({})).await;
    let source = tenant.post("/v1/sources", json!({"name": "shop", "event_type": "a.b"})).await.expect(201);
    let receipt = tenant.post(text(&source["url"]), json!({"secret": "mine"})).await.expect(202);
    let event = text(&receipt["event_ids"][0]);
    let delivery = tenant.delivery_in(event, "delivered").await;
    tenant.post_bytes("/v1/plugins?name=mine", hookyard_tests::build::hostile()).await.expect(201);
    for (path, body) in [("/v1/secrets/mine", r#"{"value": "hush"}"#), ("/v1/event-types/a.b", r#"{"name": "mine"}"#)] {
        tenant.send(tenant.request(Method::PUT, path).body(body)).await.expect(200);
    }
    let replay = json!({"since": "2020-01-01T00:00:00Z", "pipeline": "current"});
    let replay = tenant.post(&format!("/v1/endpoints/{}/replay", text(&endpoint["id"])), replay).await.expect(202);
    let erasure = tenant.post("/v1/erasures", json!({"subject": "jane"})).await.expect(202);
    let erasure = hookyard_tests::eventually("the erasure", async || {
        let erasure = tenant.get(&format!("/v1/erasures/{}", text(&erasure["id"]))).await.expect(200);
        (erasure["state"] == "done").then_some(erasure)
    })
    .await;
    let user = tenant.post("/v1/users", json!({"email": "jane@example.com"})).await.expect(201);
    let operator = host.operator.post("/v1/operator/users", json!({"email": "me@example.com"})).await.expect(201);
    let key = tenant.get("/v1/keys").await.expect(200)["items"][0]["id"].clone();
    let tenants = host.operator.get("/v1/tenants").await.expect(200);
    let itself = list(&tenants["items"]).iter().find(|one| one["name"] == "owner").expect("it is listed");
    let ids = [
        ("/tenants", text(&itself["id"])),
        ("/keys", text(&key)),
        ("/operator/users", text(&operator["id"])),
        ("/users", text(&user["id"])),
        ("/endpoints", text(&endpoint["id"])),
        ("/sources", text(&source["id"])),
        ("/events", event),
        ("/requests", text(&receipt["request_id"])),
        ("/deliveries", text(&delivery["id"])),
        ("/replays", text(&replay["id"])),
        ("/erasures", text(&erasure["id"])),
        ("/versions", "1"),
        ("/plugins", "mine"),
        ("/secrets", "mine"),
        ("/event-types", "a.b"),
        ("/dialects", "standard-webhooks"),
    ];
    Things { ids: ids.map(|(before, id)| (before, id.to_owned())).into() }
}

/// These tell the time.
const CLOCKS: [&str; 2] = ["/v1/attention", "/v1/operator/status"];

/// All that the tenant and the operator can see of the tenant.
async fn export(host: &Host, admin: &Api, things: &Things) -> Value {
    let mut seen = Vec::new();
    for (method, route, who, _) in ROUTES {
        if *method == "GET" && route.starts_with("/v1") && !CLOCKS.contains(route) {
            let api = if *who == Operator { &host.operator } else { admin };
            seen.push(json!({"route": route, "body": api.get(&things.path(route)).await.expect(200)}));
        }
    }
    Value::Array(seen)
}

async fn call(api: &Api, (method, route, _, body): &Route, things: &Things) -> Answer {
    let method: Method = method.parse().expect("a method");
    api.send(api.request(method, &things.path(route)).body(*body)).await
}

/// What browsers go to, which no key opens: `people.rs` and `dashboard.rs` have
/// tests of their own.
const PAGES: [&str; 3] = ["dashboard", "sign_in", "sign_in.rs"];

/// Every method of every route that the sources have.
fn routes_of_the_sources() -> BTreeSet<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/http");
    let again = fs::read_to_string(root.join("api/mod.rs")).expect("a source is text");
    let again: Vec<(&str, &str)> = once_more(&again).collect();
    assert!(again.len() > 3, "the routes that stand in several places are not where they were: {again:?}");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut found = BTreeSet::new();
    for file in files {
        if PAGES.iter().any(|pages| file.starts_with(root.join(pages))) {
            continue;
        }
        let base = if file.starts_with(root.join("api")) { "/v1" } else { "" };
        let source = fs::read_to_string(&file).expect("a source is text");
        for route in source.split(".route(").skip(1) {
            let (path, handlers) = arguments(route);
            let path = path.trim().strip_prefix('"').and_then(|path| path.strip_suffix('"'));
            let path = path.unwrap_or_else(|| panic!("{} has a route whose path cannot be read", file.display()));
            let methods: Vec<String> = methods(handlers);
            assert!(!methods.is_empty(), "{} has no methods that can be read for {path}", file.display());
            found.extend(methods.into_iter().map(|method| (method, format!("{base}{path}"))));
        }
        if file.starts_with(root.join("api")) {
            let noun = file.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
            let places = again.iter().filter(|(_, of)| *of == noun).map(|(place, _)| *place);
            for place in std::iter::once("").chain(places) {
                found.extend(described(&source).map(|(method, path)| (method, format!("{base}{place}{path}"))));
            }
        }
        for other in ["nest_service", "route_service", "MethodFilter", "MethodRouter"] {
            assert!(!source.contains(other), "{} has routes that are not read: {other}", file.display());
        }
    }
    found
}

/// The methods and paths in `#[utoipa::path(get, path = "/endpoints", ...)]`.
fn described(source: &str) -> impl Iterator<Item = (String, &str)> {
    source.split("#[utoipa::path(").skip(1).map(|said| {
        let (method, rest) = said.split_once(',').expect("it begins with its method");
        let path = rest.split_once("path = \"").and_then(|(_, path)| path.split_once('"'));
        (method.trim().to_uppercase(), path.expect("it has a path").0)
    })
}

/// The places and the files in `below("/operator", users::routes())`: what stands
/// there as well.
fn once_more(source: &str) -> impl Iterator<Item = (&str, &str)> {
    source.split("below(\"").skip(1).map(|call| {
        let (place, rest) = call.split_once("\", ").expect("a place and routes");
        (place, rest.split_once("::routes()").expect("the routes of a file").0)
    })
}

/// The two arguments of a call, from behind its bracket.
fn arguments(rest: &str) -> (&str, &str) {
    let mut depth = 0;
    let end = rest.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0
    });
    rest[..end.expect("a bracket that is closed")].split_once(',').expect("a path and its handlers")
}

/// The methods in `get(list).post(create)`.
fn methods(handlers: &str) -> Vec<String> {
    let words = handlers.split('(').map(|before| before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next());
    let known = ["get", "post", "put", "patch", "delete", "any", "head", "options"];
    words.flatten().filter(|word| known.contains(word)).map(str::to_uppercase).collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the sources are there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_route_is_in_the_table() {
    let table: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, route, ..)| ((*method).to_owned(), (*route).to_owned())).collect();
    assert_eq!(table.len(), ROUTES.len(), "a route is twice in the table");
    let sources = routes_of_the_sources();
    let missing: Vec<_> = sources.difference(&table).collect();
    assert!(missing.is_empty(), "say in `ROUTES` for whom these are: {missing:?}");
    let stale: Vec<_> = table.difference(&sources).collect();
    assert!(stale.is_empty(), "these are no routes any more: {stale:?}");
}

#[test]
fn routes_are_read_as_they_are_written() {
    assert_eq!(arguments(r#""/a", get(b).delete(c)).route("/d", e)"#), ("\"/a\"", " get(b).delete(c)"));
    assert_eq!(methods("get(show).patch(change).delete(delete)"), ["GET", "PATCH", "DELETE"]);
    assert_eq!(methods("get(async || \"ok\")"), ["GET"]);
    assert_eq!(methods("post(shadow::shadow)"), ["POST"]);
    let annotation = "#[utoipa::path(\n    get,\n    path = \"/a/{id}\",\n    tag = \"a\")]";
    assert_eq!(described(annotation).collect::<Vec<_>>(), [("GET".to_owned(), "/a/{id}")]);
    let calls = ".merge(below(\"/x/{y}\", a::routes()))\n.merge(b::routes())";
    assert_eq!(once_more(calls).collect::<Vec<_>>(), [("/x/{y}", "a")]);
}

/// The keys of one tenant by their roles, and two that open nothing any more.
struct Keys {
    roles: Vec<(&'static str, Api)>,
    expired: Api,
    revoked: Api,
}

impl Keys {
    async fn of(host: &Host, admin: &Api) -> Self {
        let make = async |form: Value| {
            let key = admin.post("/v1/keys", form).await.expect(201);
            (text(&key["id"]).to_owned(), admin.with_key(key["key"].as_str()))
        };
        let mut roles = Vec::new();
        for (role, _) in ROLES {
            roles.push((role, make(json!({"role": role})).await.1));
        }
        let hour = Duration::from_secs(60 * 60);
        let (_, expired) = make(json!({"expires_at": (host.now() + hour).to_string()})).await;
        let (id, revoked) = make(json!({})).await;
        // The control: they did open everything.
        expired.get("/v1/keys").await.expect(200);
        revoked.get("/v1/keys").await.expect(200);
        host.clock.advance(hour);
        admin.delete(&format!("/v1/keys/{id}")).await.expect(204);
        Self { roles, expired, revoked }
    }
}

#[tokio::test]
async fn what_is_denied_is_denied_and_changes_nothing() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let admin = host.tenant("owner").await;
    let things = things_of(&host, &admin, &receiver).await;
    let keys = Keys::of(&host, &admin).await;
    let strangers = [
        ("no key", admin.with_key(None)),
        ("a garbage key", admin.with_key(Some("hk_garbage"))),
        ("an expired key", keys.expired.clone()),
        ("a revoked key", keys.revoked.clone()),
    ];
    let before = export(&host, &admin, &things).await;
    let mut denied = 0;
    for route in ROUTES.iter().filter(|(_, _, who, _)| *who != All) {
        let (method, path, who, _) = route;
        let mut check = |answer: Answer, status: u16, whose: &str| {
            assert_eq!(answer.status.as_u16(), status, "{method} {path} with {whose}: {}", answer.body);
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path} with {whose}");
            denied += 1;
        };
        for (whose, stranger) in &strangers {
            check(call(stranger, route, &things).await, 401, whose);
        }
        for ((role, api), (_, enough)) in keys.roles.iter().zip(ROLES) {
            if !enough.contains(who) {
                check(call(api, route, &things).await, 403, role);
            }
        }
        if ![Operator, Anybody].contains(who) {
            check(call(&host.operator, route, &things).await, 403, "the operator's key");
        }
    }
    assert!(denied > 4 * ROUTES.len(), "{denied}");
    assert_eq!(export(&host, &admin, &things).await, before);
    // The control: an export has what a call can change.
    let rename = ROUTES.iter().find(|(method, path, ..)| (*method, *path) == ("PATCH", "/v1/endpoints/{id}"));
    call(&admin, rename.expect("it is in the table"), &things).await.expect(200);
    assert_ne!(export(&host, &admin, &things).await, before);
}

#[tokio::test]
async fn another_tenants_admin_finds_nothing_and_changes_nothing() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let admin = host.tenant("owner").await;
    let things = things_of(&host, &admin, &receiver).await;
    let missing = Things::missing();
    let other = host.tenant("other").await;
    let before = export(&host, &admin, &things).await;
    // What it makes under names that the owner has is its own; last, so that
    // there is nothing of its own to be found before.
    let (puts, rest): (Vec<&Route>, Vec<&Route>) = ROUTES.iter().partition(|(method, ..)| *method == "PUT");
    for route in rest.into_iter().chain(puts).filter(|(_, _, who, _)| *who != All) {
        let (method, path, who, _) = route;
        let answer = call(&other, route, &things).await;
        let told = format!("{method} {path}: {} {}", answer.status, answer.body);
        if *who == Operator {
            assert_eq!(answer.status, 403, "{told}");
            continue;
        }
        // Names are each tenant's own, and a dialect is nobody's.
        if path.contains("{id}") {
            assert_eq!(answer.status, 404, "{told}");
        }
        if *method != "PUT" && path.contains('{') && *who != Anybody {
            // Nor does the answer tell it from what is not there.
            let none = call(&other, route, &missing).await;
            let same = |body: &Value| body.to_string().replace("`none`", "`mine`");
            assert_eq!((none.status, same(&none.body)), (answer.status, same(&answer.body)), "{told}");
        }
        let body = answer.body.to_string();
        for id in things.ids.iter().map(|(_, id)| id).filter(|id| id.contains('_')) {
            assert!(!body.contains(id.as_str()), "{told} has {id}");
        }
    }
    assert_eq!(export(&host, &admin, &things).await, before);
    // The control: its owner finds all of it.
    for (_, id) in things.ids.iter().filter(|(before, id)| id.contains('_') && *before != "/tenants") {
        assert!(before.to_string().contains(id.as_str()), "{id}");
    }
}

#[tokio::test]
async fn what_is_allowed_is_allowed() {
    let host = Host::start().await;
    let admin = host.tenant("owner").await;
    let keys = Keys::of(&host, &admin).await;
    // So that nothing is in the way of the next call.
    let missing = Things::missing();
    for route in ROUTES.iter().filter(|(method, ..)| *method != "ANY") {
        let (method, path, who, _) = route;
        let operator = [Operator, Anybody].contains(who).then_some(("operator", &host.operator));
        let roles = keys.roles.iter().zip(ROLES).filter(|(_, (_, enough))| enough.contains(who) || *who == All);
        let roles = roles.map(|((role, api), _)| (*role, api));
        let mut takers = 0;
        for (whose, api) in roles.chain(operator) {
            let answer = call(api, route, &missing).await;
            let status = answer.status.as_u16();
            let is_taken = ![401, 403, 405].contains(&status) && status < 500;
            assert!(is_taken, "{method} {path} with {whose}: {status} {}", answer.body);
            takers += 1;
        }
        assert!(takers > 0, "{method} {path} is for nobody");
    }
}
