//! Somebody at a browser, as far as going to a provider and back needs one.

use hookyard_tests::Host;
use hookyard_tests::api::client_that_stays;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, StatusCode};
use url::Url;

/// Keeps cookies by host and path, and goes where it is sent.
pub(super) struct Visitor {
    client: Client,
    base: Url,
    cookies: Vec<Cookie>,
}

struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// What came of one request.
pub(super) struct Shown {
    pub(super) url: Url,
    pub(super) status: StatusCode,
    /// Absolute.
    pub(super) location: Option<Url>,
    pub(super) set_cookie: Vec<String>,
    pub(super) body: String,
}

impl Visitor {
    pub(super) fn at(host: &Host) -> Self {
        Self::of(host.operator.base())
    }

    pub(super) fn of(base: &str) -> Self {
        Self { client: client_that_stays(), base: base.parse().expect("a URL"), cookies: Vec::new() }
    }

    /// One request and no more, to a place of the host's or anywhere.
    pub(super) async fn step(&mut self, to: &str) -> Shown {
        let url = self.base.join(to).expect("a URL");
        self.send(Method::GET, url, String::new()).await
    }

    /// To wherever that leads in the end.
    pub(super) async fn go(&mut self, to: &str) -> Shown {
        let shown = self.step(to).await;
        self.follow(shown, "").await
    }

    /// The first form of the page that is shown, sent.
    pub(super) async fn fill(&mut self, shown: &Shown, more: &[(&str, &str)]) -> Shown {
        let form = shown.body.split("<form").nth(1).and_then(|rest| rest.split("</form>").next()).expect("a form");
        let action = attribute(form, "action").unwrap_or_default();
        let inputs = form.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
        let hidden = inputs.filter(|input| attribute(input, "type").as_deref() == Some("hidden"));
        let hidden = hidden.filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)));
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(hidden).extend_pairs(more);
        let url = shown.url.join(&action).expect("a URL");
        self.send(Method::POST, url, body.finish()).await
    }

    /// Wherever that leads, or until it leads to this path.
    pub(super) async fn follow(&mut self, mut shown: Shown, until: &str) -> Shown {
        for _ in 0..10 {
            match &shown.location {
                Some(location) if location.path() != until => shown = self.step(location.as_str()).await,
                _ => return shown,
            }
        }
        panic!("it leads in a circle: {}", shown.url);
    }

    pub(super) fn has_cookie(&self, name: &str) -> bool {
        self.cookies.iter().any(|cookie| cookie.name == name)
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.cookies.retain(|cookie| cookie.name != name);
    }

    /// Whether pages are shown to them.
    pub(super) async fn is_in(&mut self) -> bool {
        self.step("/endpoints").await.status == 200
    }

    async fn send(&mut self, method: Method, url: Url, body: String) -> Shown {
        let host = url.host_str().unwrap_or_default().to_owned();
        let fits = |cookie: &&Cookie| cookie.host == host && url.path().starts_with(&cookie.path);
        let pairs = self.cookies.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let pairs = pairs.collect::<Vec<_>>().join("; ");
        let mut request = self.client.request(method.clone(), url.clone()).header(COOKIE, pairs);
        if method == Method::POST {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
            request = request.header("sec-fetch-site", "same-origin");
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
        let location = response.headers().get(LOCATION).map(text);
        let set_cookie: Vec<String> = response.headers().get_all(SET_COOKIE).iter().map(text).collect();
        for cookie in &set_cookie {
            self.keep(&host, cookie);
        }
        Shown {
            status: response.status(),
            location: location.map(|location| url.join(&location).expect("a URL")),
            set_cookie,
            body: response.text().await.expect("a whole answer"),
            url,
        }
    }

    fn keep(&mut self, host: &str, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a name and a value");
        let path = parts.find_map(|part| part.split_once('=').filter(|(key, _)| key.eq_ignore_ascii_case("path")));
        let path = path.map_or("/", |(_, path)| path).to_owned();
        self.cookies.retain(|kept| (&*kept.host, &*kept.path, &*kept.name) != (host, &*path, name));
        if !value.is_empty() {
            let (name, value) = (name.to_owned(), value.to_owned());
            self.cookies.push(Cookie { host: host.to_owned(), path, name, value });
        }
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(plain(rest.split('"').next()?))
}

fn plain(text: &str) -> String {
    text.replace("&#x2f;", "/").replace("&#x27;", "'").replace("&amp;", "&")
}

/// The link on a page that leads to the provider.
pub(super) fn link(page: &Shown) -> String {
    let (_, rest) = page.body.split_once("href=\"/sign-in/oidc").expect("a link to the provider");
    format!("/sign-in/oidc{}", plain(rest.split('"').next().unwrap_or_default()))
}
