//! The API's document holds: it has every route and no other, says for whom each
//! is as the authorization matrix does, its examples work, and answers are as
//! they are described. It is read from a running server, like its users do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use hookyard_tests::{Answer, Api, Host, Receiver, list, text};
use jsonschema::Draft;
use reqwest::Method;
use serde_json::{Value, json};

use crate::matrix::{For, ROUTES, Things, things_of};

/// The document, and what it says of answers.
struct Document {
    whole: Value,
    /// Its components, in which no object has a member that is not described.
    strict: Value,
}

/// One operation of it.
#[derive(Clone, Copy)]
struct Operation<'d> {
    method: &'d str,
    path: &'d str,
    says: &'d Value,
}

impl Document {
    async fn of(host: &Host) -> Self {
        let whole = host.operator.with_key(None).get("/openapi.json").await.expect(200);
        let mut strict = whole["components"].clone();
        for schema in strict["schemas"].as_object_mut().expect("there are schemas").values_mut() {
            // It may be a part of another; where it stands by itself it is closed.
            close(schema, false, &whole);
        }
        Self { whole, strict }
    }

    fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.whole["paths"].as_object().expect("there are paths");
        paths.iter().flat_map(|(path, item)| {
            let item = item.as_object().expect("a path has operations");
            item.iter().map(move |(method, says)| Operation { method, path, says })
        })
    }

    /// What is wrong with an answer, if anything is.
    fn misfit(&self, operation: Operation<'_>, answer: &Answer) -> Option<String> {
        let status = answer.status.as_str();
        let Some(mut described) = operation.says["responses"].get(status) else {
            return Some(format!("{status} is not described: {}", answer.body));
        };
        if let Some(shared) = described["$ref"].as_str() {
            described = self.whole.pointer(&shared[1..]).expect("a reference leads somewhere");
        }
        let Some(content) = described["content"].as_object() else {
            return (answer.body != "").then(|| format!("{status} is described without a body: {}", answer.body));
        };
        let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        let Some(media) = content.get(kind) else { return Some(format!("{status} is described without {kind}")) };
        let mut schema = media["schema"].clone();
        close(&mut schema, true, &self.whole);
        let document = json!({"allOf": [schema], "components": self.strict});
        let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&document);
        let validator = validator.unwrap_or_else(|error| panic!("{} {}: {error}", operation.method, operation.path));
        let errors: Vec<String> =
            validator.iter_errors(&answer.body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        (!errors.is_empty()).then(|| format!("{status}: {}\n{}", errors.join("\n"), answer.body))
    }
}

/// Forbids what is not described. A part of another schema cannot, because it does
/// not know the rest.
fn close(schema: &mut Value, whole: bool, document: &Value) {
    let has_members = is_object(schema, document);
    let Value::Object(map) = schema else { return };
    if whole && has_members && !map.contains_key("additionalProperties") {
        map.insert("unevaluatedProperties".to_owned(), json!(false));
    }
    for (keyword, below) in map.iter_mut() {
        match (keyword.as_str(), below) {
            ("allOf", Value::Array(parts)) => parts.iter_mut().for_each(|part| close(part, false, document)),
            ("oneOf" | "anyOf", Value::Array(parts)) => parts.iter_mut().for_each(|part| close(part, whole, document)),
            ("properties", Value::Object(parts)) => parts.values_mut().for_each(|part| close(part, true, document)),
            ("items" | "additionalProperties", part) => close(part, true, document),
            _ => {}
        }
    }
}

fn is_object(schema: &Value, document: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        let known = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} is nowhere"));
        return is_object(known, document);
    }
    let parts = || ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|how| schema[how].as_array()).flatten();
    schema["properties"].is_object() || parts().any(|part| is_object(part, document))
}

impl<'d> Operation<'d> {
    fn example(&self) -> Option<&'d Value> {
        self.says["requestBody"]["content"]["application/json"].get("example")
    }

    fn has_body(&self) -> bool {
        self.says.get("requestBody").is_some()
    }

    /// Whose key is enough, as the matrix has it.
    fn whom(&self) -> For {
        let keys = list(&self.says["security"]);
        match keys.iter().map(|key| text(&key["key"][0])).collect::<Vec<_>>()[..] {
            [] => For::All,
            ["viewer", "operator"] => For::Anybody,
            ["operator"] => For::Operator,
            ["viewer"] => For::Viewer,
            ["publish"] => For::Publish,
            ["member"] => For::Member,
            ["admin"] => For::Admin,
            ref others => panic!("{} {} is for {others:?}", self.method, self.path),
        }
    }

    fn named(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else_is() {
    let host = Host::start().await;
    let document = Document::of(&host).await;
    let described: BTreeMap<String, For> =
        document.operations().map(|operation| (operation.named(), operation.whom())).collect();
    // Whatever method comes to an inbound URL, what it is there for is POST.
    let method = |method: &str| if method == "ANY" { "POST".to_owned() } else { method.to_owned() };
    let routes: BTreeMap<String, For> =
        ROUTES.iter().map(|(word, path, whom, _)| (format!("{} {path}", method(word)), *whom)).collect();
    let names = |map: &BTreeMap<String, For>| map.keys().cloned().collect::<BTreeSet<_>>();
    let (there, told) = (names(&routes), names(&described));
    assert_eq!(there.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "not described");
    assert_eq!(told.difference(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "described, and no routes");
    for (name, whom) in &routes {
        assert_eq!(described[name], *whom, "for whom {name} is");
    }
}

#[tokio::test]
async fn every_operation_says_what_it_does_and_shows_a_body_that_it_takes() {
    let host = Host::start().await;
    let document = Document::of(&host).await;
    assert_eq!(document.whole["openapi"], "3.1.0");
    let nouns: BTreeSet<&str> = list(&document.whole["tags"]).iter().map(|noun| text(&noun["name"])).collect();
    let mut ids = BTreeSet::new();
    for operation in document.operations() {
        let name = operation.named();
        assert!(!text(&operation.says["summary"]).is_empty(), "{name} has no summary");
        assert!(ids.insert(text(&operation.says["operationId"])), "{name} has another's id");
        assert!(nouns.contains(text(&operation.says["tags"][0])), "{name} is of no noun");
        for parameter in list(&operation.says["parameters"]) {
            assert!(parameter["description"].is_string(), "{name} does not say what {} is", parameter["name"]);
        }
        for (status, response) in operation.says["responses"].as_object().expect("it answers") {
            assert!(!text(&response["description"]).is_empty(), "{name} does not say what {status} means");
        }
        let content = &operation.says["requestBody"]["content"];
        if operation.has_body() && content.get("application/wasm").is_none() {
            let example = operation.example().unwrap_or_else(|| panic!("{name} shows no body"));
            let schema = json!({
                "allOf": [content["application/json"]["schema"]],
                "components": document.whole["components"],
            });
            let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&schema).expect("a schema");
            let errors: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {}", errors.join("\n"));
        }
    }
}

/// What an example may be answered with instead of 2xx, and why.
const OTHERWISE: [(&str, u16, &str); 4] = [
    ("POST /v1/plugins/{name}/rollback", 409, "nothing was upgraded that could be taken back"),
    ("DELETE /v1/plugins/{name}", 404, "its only version was deleted before"),
    ("POST /v1/tenants/{tenant}/users", 409, "the tenant made somebody with the address before"),
    ("DELETE /v1/tenants/{tenant}/users/{id}", 404, "the tenant deleted its user before"),
];

#[tokio::test]
async fn examples_work_and_every_answer_is_as_described() {
    let host = Host::start().await;
    let receiver = Receiver::start().await;
    let admin = host.tenant("owner").await;
    let things = things_of(&host, &admin, &receiver).await;
    let document = Document::of(&host).await;
    let walk = Walk { host: &host, admin: &admin, document: &document };
    let mut wrong = walk.rich_things(&receiver).await;
    wrong.extend(walk.refusals(&things).await);
    wrong.extend(walk.inbound().await);
    // What is deleted cannot be changed, and the tenant goes last.
    let mut operations: Vec<Operation<'_>> = document.operations().collect();
    operations.sort_by_key(|one| match one.method {
        "delete" => (true, one.whom() == For::Operator, Reverse(one.path.len())),
        _ => (false, false, Reverse(0)),
    });
    for operation in operations {
        wrong.extend(walk.usual(operation, &things).await);
    }
    walk.notices_what_is_not_described().await;
    assert!(wrong.is_empty(), "{} answers are not as described:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// A walk through the API, which says what it did not expect.
struct Walk<'a> {
    host: &'a Host,
    admin: &'a Api,
    document: &'a Document,
}

impl Walk<'_> {
    fn operation(&self, name: &str) -> Operation<'_> {
        let found = self.document.operations().find(|operation| operation.named() == name);
        found.unwrap_or_else(|| panic!("{name} is not described"))
    }

    async fn call(&self, api: &Api, operation: Operation<'_>, path: &str, body: &str) -> Answer {
        let method: Method = operation.method.to_uppercase().parse().expect("a method");
        api.send(api.request(method, path).body(body.to_owned())).await
    }

    fn caller(&self, operation: Operation<'_>) -> &Api {
        if operation.whom() == For::Operator { &self.host.operator } else { self.admin }
    }

    fn judge(&self, operation: Operation<'_>, answer: &Answer, is_expected: bool, why: &str) -> Option<String> {
        let told = |problem: &str| Some(format!("{} {why}: {problem}", operation.named()));
        match self.document.misfit(operation, answer) {
            Some(misfit) => told(&misfit),
            None if !is_expected => told(&format!("{} {}", answer.status, answer.body)),
            None => None,
        }
    }

    /// The control: an answer with one member more, in a part of a part, does not
    /// pass.
    async fn notices_what_is_not_described(&self) {
        let operation = self.operation("GET /v1/dialects");
        let mut answer = self.host.operator.get("/v1/dialects").await;
        assert_eq!(self.document.misfit(operation, &answer), None);
        answer.body["items"][0]["envelope"]["more"] = json!(1);
        assert!(self.document.misfit(operation, &answer).is_some());
    }

    /// As somebody who does what the document shows. Inbound URLs have a token
    /// that is nobody's id.
    async fn usual(&self, operation: Operation<'_>, things: &Things) -> Option<String> {
        let needs_something_else = operation.has_body() && operation.example().is_none();
        if operation.says["tags"][0] == "inbound" || needs_something_else {
            return None;
        }
        let body = operation.example().map(Value::to_string).unwrap_or_default();
        // Its place has another name in front than the tenant's own has.
        let path = match operation.path.strip_prefix("/.well-known/hookyard/{tenant}") {
            Some(rest) => things.path("/v1/tenants/{id}").replace("/v1/tenants", "/.well-known/hookyard") + rest,
            None => things.path(operation.path),
        };
        let answer = self.call(self.caller(operation), operation, &path, &body).await;
        let otherwise = OTHERWISE.iter().find(|(name, ..)| *name == operation.named()).map(|(_, status, _)| *status);
        // What is done to a thing may not be possible as it is; an example is.
        let is_possible = answer.status.is_success() || (operation.example().is_none() && answer.status == 409);
        let is_expected = otherwise.map_or(is_possible, |status| answer.status.as_u16() == status);
        self.judge(operation, &answer, is_expected, "as it is shown")
    }

    /// Callers without a key, with things that are not there and with bodies that
    /// make no sense.
    async fn refusals(&self, things: &Things) -> Vec<String> {
        let mut wrong = Vec::new();
        let missing = Things::missing();
        for operation in self.document.operations().filter(|one| one.path.starts_with("/v1")) {
            let api = self.caller(operation);
            let path = things.path(operation.path);
            let stranger = self.call(&self.admin.with_key(None), operation, &path, "").await;
            wrong.extend(self.judge(operation, &stranger, stranger.status == 401, "without a key"));
            if operation.method == "get" && operation.path.contains('{') {
                let answer = self.call(api, operation, &missing.path(operation.path), "").await;
                let is_expected = answer.status == 404 || answer.status == 200;
                wrong.extend(self.judge(operation, &answer, is_expected, "for what is not there"));
            }
            if operation.example().is_some() {
                for (body, status) in [("{\"nonsense\": 1}", 422), ("{", 400)] {
                    let answer = self.call(api, operation, &path, body).await;
                    wrong.extend(self.judge(operation, &answer, answer.status == status, body));
                }
            }
            let parameters = list(&operation.says["parameters"]);
            if parameters.iter().any(|parameter| parameter["name"] == "limit") {
                for (query, statuses) in [("limit=0", [422, 400]), ("limit=some", [400, 422])] {
                    let answer = self.call(api, operation, &format!("{path}?{query}"), "").await;
                    let is_expected = statuses.contains(&answer.status.as_u16());
                    wrong.extend(self.judge(operation, &answer, is_expected, query));
                }
            }
        }
        wrong
    }

    /// Things that have as much to be shown as things can have.
    async fn rich_things(&self, receiver: &Receiver) -> Vec<String> {
        let mut wrong = Vec::new();
        let filter = json!({"plugin": "tag-filter", "config": {"expression": "paid"}, "on_failure": "pass", "budget": {"fuel": 1_000_000}});
        let endpoint = json!({
            "name": "rich",
            "url": receiver.url(),
            "event_types": ["order.*"],
            "accounts": ["one"],
            "tags": ["paid"],
            "headers": {"x-shown": "a", "x-secret": {"value": "hush", "secret": true}},
            "auth": {"type": "oauth2", "token_url": receiver.url(), "client_id": "me", "client_secret": "hush"},
            "steps": [filter],
            "retry": {"schedule": [1, 2], "jitter": 0.1},
            "rate_limit": 10,
            "max_in_flight": 2,
            "timeout_seconds": 5,
            "ordered": "subject",
        });
        let source = json!({
            "name": "rich",
            "event_type": "order.paid",
            "verification": {"scheme": "hmac", "secret": "hush", "header": "x-signature", "hash": "sha256", "encoding": "hex"},
            "rate_limit": {"limit": 1000, "per": "hour"},
            "steps": [{"plugin": "field-mapper", "config": {"rules": [{"to": "id", "from": "id"}]}}],
        });
        let asleep = json!({
            "name": "asleep",
            "url": receiver.url(),
            "event_types": ["*"],
            "auth": {"type": "basic", "username": "me", "password": "hush"},
            "ordered": true,
            "active": false,
        });
        for (call, body) in
            [("POST /v1/endpoints", endpoint), ("POST /v1/endpoints", asleep), ("POST /v1/sources", source)]
        {
            let operation = self.operation(call);
            let answer = self.call(self.admin, operation, operation.path, &body.to_string()).await;
            wrong.extend(self.judge(operation, &answer, answer.status == 201, &body.to_string()));
        }
        let events = self.operation("POST /v1/events");
        let both = json!([
            {"type": "order.paid", "data": {"id": 1}, "subject": "a", "account": "one", "tags": ["paid"]},
            {"type": "order.lost", "data": null, "deliver_at": (self.host.now() + std::time::Duration::from_secs(3600)).to_string()},
        ]);
        let answer = self.call(self.admin, events, events.path, &both.to_string()).await;
        wrong.extend(self.judge(events, &answer, answer.status == 202, "two at once"));
        for (route, path) in self.below(&answer.body) {
            let operation = self.operation(&format!("GET {route}"));
            let answer = self.call(self.admin, operation, &path, "").await;
            wrong.extend(self.judge(operation, &answer, answer.status == 200, &path));
        }
        wrong
    }

    /// What is looked at of events that were published.
    fn below(&self, published: &Value) -> Vec<(&'static str, String)> {
        let ids = list(&published["ids"]).iter().map(text);
        ids.flat_map(|id| {
            [
                ("/v1/events/{id}", format!("/v1/events/{id}")),
                ("/v1/events/{id}/explain", format!("/v1/events/{id}/explain")),
                ("/v1/deliveries", format!("/v1/deliveries?event={id}")),
            ]
        })
        .collect()
    }

    /// Everything that can come to a source, and how it is shown afterwards.
    async fn inbound(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let operation = self.operation("POST /in/{token}");
        let make = async |form: Value| self.admin.post("/v1/sources", form).await.expect(201);
        let plain = make(json!({"name": "plain", "event_type": "a.b"})).await;
        let mapped = make(json!({
            "name": "mapped",
            "steps": [{"plugin": "field-mapper", "config": {"type": {"const": "a.b"}, "rules": [{"to": "id", "from": "id", "required": true}]}}],
        }));
        let proven = make(
            json!({"name": "proven", "event_type": "a.b", "verification": {"scheme": "bearer", "secret": "hush"}}),
        );
        let (mapped, proven) = (mapped.await, proven.await);
        let nowhere = json!({"url": format!("{}/in/none", self.admin.base())});
        let stranger = self.admin.with_key(None);
        for (source, body, status) in
            [(&plain, "{\"id\": 1}", 202), (&mapped, "{}", 202), (&proven, "{}", 401), (&nowhere, "{}", 404)]
        {
            let answer = self.call(&stranger, operation, text(&source["url"]), body).await;
            wrong.extend(self.judge(operation, &answer, answer.status == status, text(&source["url"])));
        }
        let binary = stranger.post_bytes(text(&plain["url"]), vec![0xff, 0xfe]).await;
        wrong.extend(self.judge(operation, &binary, binary.status == 202, "with bytes that are no text"));
        let (requests, request) = (self.operation("GET /v1/requests"), self.operation("GET /v1/requests/{id}"));
        let all = self.call(self.admin, requests, requests.path, "").await;
        wrong.extend(self.judge(requests, &all, all.status == 200, "with each kind of request"));
        for one in list(&all.body["items"]) {
            let answer = self.call(self.admin, request, &format!("/v1/requests/{}", text(&one["id"])), "").await;
            wrong.extend(self.judge(request, &answer, answer.status == 200, &one.to_string()));
        }
        wrong
    }
}

#[tokio::test]
async fn the_pages_show_every_operation_and_schema_and_ask_nobody_else() {
    let host = Host::start().await;
    let document = Document::of(&host).await;
    let operations = document.operations().map(|operation| text(&operation.says["operationId"]));
    check_page(&host, "/docs", operations).await;
    let schemas = document.whole["components"]["schemas"].as_object().expect("there are schemas");
    check_page(&host, "/docs/schemas", schemas.keys().map(String::as_str)).await;
}

/// Whoever comes may look, and nothing is loaded from elsewhere.
async fn check_page<'a>(host: &Host, path: &str, anchors: impl Iterator<Item = &'a str>) {
    let page = host.operator.with_key(None).get(path).await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let html = page.expect(200);
    let html = text(&html);
    for anchor in anchors {
        assert!(html.contains(&format!("id=\"{anchor}\"")), "{path} does not show {anchor}");
    }
    for outside in ["src=\"http", "href=\"http", "<style", "style=\"", "<script>", "onclick"] {
        assert!(!html.contains(outside), "{path} has {outside}");
    }
    assert!(html.len() < 110 * 1024, "{path} has {} bytes", html.len());
}
