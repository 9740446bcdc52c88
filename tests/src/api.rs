//! The API, as a program of a tenant or of the operator uses it.

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// Calls with one key.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
    key: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The body, once the status is what was expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// A problem with this status and field; answers its detail.
    #[track_caller]
    pub fn problem(self, status: u16, field: &str) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{:?}", self.body);
        assert_eq!(self.body["status"], status, "{}", self.body);
        assert_eq!(self.body["field"].as_str().unwrap_or_default(), field, "{}", self.body);
        let detail = self.expect(status)["detail"].clone();
        detail.as_str().expect("a problem has a detail").to_owned()
    }
}

impl Api {
    pub fn new(base: impl Into<String>, key: Option<&str>) -> Self {
        let client = client();
        Self { client, base: base.into(), key: key.map(str::to_owned) }
    }

    /// The same server with another key, or none.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// A request that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.expect("the answer is whole");
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_bytes(path, body.to_string()).await
    }

    pub async fn post_bytes(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(Method::POST, path).body(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).body(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// An endpoint at `url` for every event, changed by what `more` names.
    pub async fn endpoint(&self, url: &str, more: Value) -> Value {
        let mut form = json!({"name": format!("to {url}"), "url": url, "event_types": ["*"]});
        merge(&mut form, more);
        self.post("/v1/endpoints", form).await.expect(201)
    }

    /// Publishes an event, answers its id.
    pub async fn publish(&self, event: Value) -> String {
        let answer = self.post("/v1/events", event).await.expect(202);
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The only delivery of an event, once it is in `state`.
    pub async fn delivery_in(&self, event: &str, state: &str) -> Value {
        self.delivery_at(&format!("/v1/deliveries?event={event}&state={state}"), event, state).await
    }

    /// The delivery of an event to one endpoint, once it is in `state`.
    pub async fn delivery_to(&self, event: &str, endpoint: &str, state: &str) -> Value {
        let path = format!("/v1/deliveries?event={event}&endpoint={endpoint}&state={state}");
        self.delivery_at(&path, event, state).await
    }

    async fn delivery_at(&self, path: &str, event: &str, state: &str) -> Value {
        let what = format!("a delivery of {event} in state {state}");
        let found = crate::eventually(&what, async || self.get(path).await.expect(200)["items"].get(0).cloned()).await;
        let id = found["id"].as_str().expect("an id").to_owned();
        self.get(&format!("/v1/deliveries/{id}")).await.expect(200)
    }
}

/// An HTTP client for loopback.
pub fn client() -> Client {
    client_by(Policy::default())
}

/// One that goes nowhere by itself: for tests of where somebody is sent.
pub fn client_that_stays() -> Client {
    client_by(Policy::none())
}

fn client_by(redirects: Policy) -> Client {
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().http1_only().redirect(redirects).build();
    client.expect("a client with a TLS provider can be built")
}

fn merge(form: &mut Value, more: Value) {
    let (Value::Object(form), Value::Object(more)) = (form, more) else { return };
    form.extend(more);
}
