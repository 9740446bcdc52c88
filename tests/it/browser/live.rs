//! The delivery log shows what happens while somebody looks at it.

use hookyard_tests::{Browser, Host, Receiver, figures};
use serde_json::json;
use tokio::time::Instant;

use super::sign_in;

#[tokio::test]
async fn the_log_shows_a_new_attempt_without_a_reload() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let mut receiver = Receiver::start().await;
    tenant.endpoint(&receiver.url(), json!({})).await;
    let browser = Browser::start().await;
    let page = browser.page(tenant.base()).await;
    sign_in(&page, tenant.key()).await;
    page.goto("/deliveries").await;
    page.evaluate("window.stillTheSame = true").await;

    let mut times = Vec::new();
    for n in 0..8 {
        let event_type = format!("live.number-{n}");
        tenant.publish(json!({"type": event_type, "data": {}})).await;
        receiver.next().await;
        let attempted = Instant::now();
        page.see(&event_type).await;
        times.push(attempted.elapsed().as_millis());
    }

    page.wait_for("the same document", "window.stillTheSame === true").await;
    times.sort_unstable();
    figures(format_args!("shown {} ms after the attempt in the middle, {} ms at most", times[4], times[7]));
}

#[tokio::test]
async fn the_log_follows_a_delivery_from_failing_to_delivered() {
    let host = Host::start().await;
    let tenant = host.tenant("acme").await;
    let receiver = Receiver::start().await;
    receiver.answer(&[500]);
    tenant.endpoint(&receiver.url(), json!({"retry": {"schedule": [1]}})).await;
    let browser = Browser::start().await;
    let page = browser.page(tenant.base()).await;
    sign_in(&page, tenant.key()).await;
    page.goto("/deliveries").await;

    tenant.publish(json!({"type": "order.paid", "data": {}})).await;

    page.see("order.paid").await;
    page.see("delivered").await;
}
