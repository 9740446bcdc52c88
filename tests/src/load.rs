//! Publishers that go on whatever the server does to them, and what they were
//! told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::text;

/// An event that was answered with 202.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub event: String,
    /// What the mark was when the answer had come.
    pub mark: u64,
}

/// Another answer.
#[derive(Clone, Debug)]
pub struct Refused {
    pub status: u16,
    pub problem: String,
    pub retry_after: Option<String>,
}

/// What all publishers were told.
#[derive(Default)]
pub struct Told {
    pub acknowledged: Vec<Acknowledged>,
    pub refused: Vec<Refused>,
}

/// Publishers at work.
pub struct Load {
    told: Arc<Mutex<Told>>,
    /// A permit for each acknowledgement and refusal that nobody waited for yet.
    counts: Arc<(Semaphore, Semaphore)>,
    stop: Arc<AtomicBool>,
    publishers: JoinSet<()>,
}

/// Between a refusal and the next try. Decides nothing.
const AFTER_REFUSAL: Duration = Duration::from_millis(10);

impl Load {
    /// So many publishers of events with so many bytes of padding. What `mark`
    /// says when an answer has come is kept with it.
    pub fn start(
        tenant: &Api,
        publishers: usize,
        padding: usize,
        mark: impl Fn() -> u64 + Clone + Send + 'static,
    ) -> Self {
        let told: Arc<Mutex<Told>> = Arc::default();
        let counts = Arc::new((Semaphore::new(0), Semaphore::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let body: Arc<str> = json!({"type": "a.b", "data": {"padding": "x".repeat(padding)}}).to_string().into();
        let publisher = |_| {
            let (tenant, told, counts, stop) = (tenant.clone(), told.clone(), counts.clone(), stop.clone());
            let (body, mark) = (body.clone(), mark.clone());
            async move {
                while !stop.load(Ordering::SeqCst) {
                    let request = tenant.request(Method::POST, "/v1/events").body(body.to_string());
                    match exchange(request).await {
                        None => return,
                        Some(Ok(event)) => {
                            let acknowledged = Acknowledged { event, mark: mark() };
                            told.lock().unwrap_or_else(PoisonError::into_inner).acknowledged.push(acknowledged);
                            counts.0.add_permits(1);
                        }
                        Some(Err(refused)) => {
                            told.lock().unwrap_or_else(PoisonError::into_inner).refused.push(refused);
                            counts.1.add_permits(1);
                            tokio::time::sleep(AFTER_REFUSAL).await;
                        }
                    }
                }
            }
        };
        let publishers = (0..publishers).map(publisher).collect();
        Self { told, counts, stop, publishers }
    }

    /// Waits for so many more acknowledgements.
    pub async fn acknowledged(&self, more: u32) {
        wait(&self.counts.0, more, "acknowledged").await;
    }

    /// Waits for so many more refusals.
    pub async fn refused(&self, more: u32) {
        wait(&self.counts.1, more, "refused").await;
    }

    /// What came before this does not count as more.
    pub fn forget(&self) {
        self.counts.0.forget_permits(usize::MAX);
        self.counts.1.forget_permits(usize::MAX);
    }

    /// Stops; answers what was told. Where the server is gone, so are the
    /// publishers already.
    pub async fn end(mut self) -> Told {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(publisher) = self.publishers.join_next().await {
            publisher.expect("a publisher does not panic");
        }
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn wait(count: &Semaphore, more: u32, what: &str) {
    match tokio::time::timeout(crate::PATIENCE, count.acquire_many(more)).await {
        Ok(permits) => permits.expect("it is not closed").forget(),
        Err(_) => panic!("{more} events were not {what} within {:?}", crate::PATIENCE),
    }
}

/// Nothing when the server is gone.
async fn exchange(request: reqwest::RequestBuilder) -> Option<Result<String, Refused>> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answer: Value = serde_json::from_slice(&response.bytes().await.ok()?).expect("an answer is JSON");
    Some(match status {
        202 => Ok(text(&answer["id"]).to_owned()),
        _ => Err(Refused { status, problem: text(&answer["type"]).to_owned(), retry_after }),
    })
}

/// Events that the server has, and of these those with a delivery.
pub async fn kept(tenant: &Api) -> (BTreeSet<String>, BTreeSet<String>) {
    (column(tenant, "/v1/events?limit=250", "id").await, column(tenant, "/v1/deliveries?limit=250", "event_id").await)
}

async fn column(tenant: &Api, path: &str, field: &str) -> BTreeSet<String> {
    let (mut found, mut next) = (BTreeSet::new(), String::new());
    loop {
        let page = tenant.get(&format!("{path}{next}")).await.expect(200);
        found.extend(crate::list(&page["items"]).iter().map(|item| text(&item[field]).to_owned()));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return found,
        }
    }
}
