//! A browser as far as these tests need one.

use hookyard_tests::Host;
use hookyard_tests::api::client_that_stays;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// A browser with one page open: it keeps cookies, follows nothing by itself and
/// says where a request comes from.
pub(super) struct Tab {
    client: Client,
    base: String,
    pub(super) cookie: Option<String>,
}

/// What it was shown.
pub(super) struct Shown {
    pub(super) status: StatusCode,
    pub(super) location: String,
    pub(super) set_cookie: Vec<String>,
    pub(super) policy: String,
    pub(super) body: String,
}

impl Tab {
    pub(super) fn at(host: &Host) -> Self {
        Self::of(host.operator.base())
    }

    pub(super) fn of(base: &str) -> Self {
        Self { client: client_that_stays(), base: base.to_owned(), cookie: None }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.request(method, url);
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    pub(super) async fn send(&mut self, request: RequestBuilder) -> Shown {
        let response = request.send().await.expect("the server answers");
        let headers = response.headers().clone();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
        let one = |name| headers.get(name).map(text).unwrap_or_default();
        let shown = Shown {
            status: response.status(),
            location: one(LOCATION.as_str()),
            set_cookie: headers.get_all(SET_COOKIE).iter().map(text).collect(),
            policy: one("content-security-policy"),
            body: response.text().await.expect("a whole answer"),
        };
        for cookie in &shown.set_cookie {
            let pair = cookie.split(';').next().unwrap_or_default();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        shown
    }

    pub(super) async fn get(&mut self, path: &str) -> Shown {
        self.send(self.request(Method::GET, path)).await
    }

    /// As a page of the server's own does it.
    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin").body(form(fields));
        self.send(request).await
    }

    pub(super) async fn sign_in(&mut self, email: &str, password: &str) -> Shown {
        self.post("/sign-in", &[("email", email), ("password", password)]).await
    }

    /// The same through a proxy that says where they are.
    pub(super) async fn sign_in_from(&mut self, address: &str, email: &str, password: &str) -> Shown {
        let fields = form(&[("email", email), ("password", password)]);
        let request = self.request(Method::POST, "/sign-in").header("sec-fetch-site", "same-origin");
        self.send(request.header("x-forwarded-for", address).body(fields)).await
    }

    /// Whether it is shown a page, and not where to sign in.
    pub(super) async fn is_in(&mut self) -> bool {
        let shown = self.get("/endpoints").await;
        assert!(shown.status == 200 || shown.location.starts_with("/sign-in?then="), "{} {}", shown.status, shown.body);
        shown.status == 200
    }

    /// A call of the API by a page of the dashboard.
    pub(super) async fn ask(&mut self, call: &str, body: Value) -> (u16, Value) {
        let (method, target) = call.split_once(' ').expect("a method and a target");
        let call: String = url::form_urlencoded::byte_serialize(format!("{method} {target}").as_bytes()).collect();
        let request = self.request(Method::POST, &format!("/ask?call={call}")).header("sec-fetch-site", "same-origin");
        let shown = self.send(request.header("content-type", "application/json").body(body.to_string())).await;
        (shown.status.as_u16(), serde_json::from_str(&shown.body).unwrap_or(Value::Null))
    }

    /// A form of the dashboard that changes something: 303 and the id of what was
    /// made, or the page that says why not.
    pub(super) async fn change(&mut self, call: &str, body: Value) -> (u16, String) {
        let then = if call.ends_with("/test") { "/done/{event_id}" } else { "/done/{id}" };
        let mut fields = vec![("_call".to_owned(), call.to_owned()), ("_then".to_owned(), then.to_owned())];
        for (name, value) in body.as_object().into_iter().flatten() {
            fields.push((format!("{name}:json"), value.to_string()));
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let shown = self.post("/endpoints", &fields).await;
        match shown.status.as_u16() {
            303 => (303, shown.location.strip_prefix("/done/").unwrap_or_default().to_owned()),
            status => (status, shown.body),
        }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
