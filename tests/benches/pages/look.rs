//! Somebody who is signed in and looks at pages: how long the server takes, and what
//! comes.

use std::cell::Cell;

use hookyard_tests::{Api, api};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, StatusCode};
use tokio::time::Instant;

pub(super) struct Visitor {
    client: Client,
    base: String,
    cookie: String,
    heaviest: Cell<usize>,
}

/// Looks at one page.
pub(super) struct Looks {
    /// Milliseconds, sorted.
    times: Vec<f64>,
    /// Of the page alone.
    pub(super) bytes: usize,
}

impl Looks {
    /// The percentile that is `share` of all.
    pub(super) fn at(&self, share: f64) -> f64 {
        self.times[((self.times.len() as f64 * share) as usize).min(self.times.len() - 1)]
    }
}

impl Visitor {
    /// With a key, as the form of the page to sign in does it.
    pub(super) async fn signed_in(tenant: &Api) -> Self {
        // Chooses the provider for both.
        let _of_the_api = api::client();
        let client = Client::builder().no_proxy().http1_only().redirect(reqwest::redirect::Policy::none());
        let client = client.build().expect("a client with a TLS provider can be built");
        let form = format!("key={}", tenant.key());
        let request = client.post(format!("{}/sign-in", tenant.base())).header("sec-fetch-site", "same-origin");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await.expect("the server answers");
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "signed in, to {:?}", answer.headers().get(LOCATION));
        let cookie = answer.headers()[SET_COOKIE].to_str().expect("text");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { client, base: tenant.base().to_owned(), cookie, heaviest: Cell::new(0) }
    }

    pub(super) async fn look(&self, path: &str, times: u64) -> Looks {
        let mut looks = Looks { times: Vec::new(), bytes: 0 };
        let mut page = String::new();
        for _ in 0..times {
            let started = Instant::now();
            page = self.get(path).await;
            looks.times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        looks.bytes = page.len();
        looks.times.sort_by(f64::total_cmp);
        self.weigh(&page).await;
        looks
    }

    /// The most that came of one page with all that it names.
    pub(super) fn heaviest(&self) -> usize {
        self.heaviest.get()
    }

    async fn weigh(&self, page: &str) {
        let mut weight = page.len();
        for rest in page.split("\"/assets/").skip(1) {
            let name = rest.split('"').next().unwrap_or_default().replace("&amp;", "&");
            weight += self.get(&format!("/assets/{name}")).await.len();
        }
        self.heaviest.set(self.heaviest.get().max(weight));
    }

    async fn get(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let answer = request.send().await.expect("the server answers");
        assert_eq!(answer.status(), StatusCode::OK, "{path}: {:?}", answer.headers().get(LOCATION));
        answer.text().await.expect("the page is whole")
    }
}
