//! The first ten minutes, by clicking alone: from the link that the first start
//! prints to a delivery that failed, was tried again, and was replayed.
//!
//! The pictures of the README are taken here: `HOOKYARD_SCREENSHOTS=$PWD/host/screenshots
//! cargo test --test it browser::story`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::Response;
use hookyard_tests::{Browser, HostProcess, Page, Receiver, Role, TempDir};
use serde_json::json;

#[tokio::test]
async fn a_newcomer_maps_delivers_breaks_mends_and_replays() {
    let data = TempDir::new();
    let host = HostProcess::start(data.path()).await;
    let mut receiver = Receiver::start().await;
    let is_broken = breakable(&receiver);
    let browser = Browser::start().await;
    let page = browser.page(host.operator.base()).await;

    come_in(&page, host.first_link()).await;
    make_a_source(&page).await;
    send_a_sample(&page).await;
    map_its_fields(&page).await;
    make_an_endpoint(&page, &receiver.url()).await;

    page.click(Role::Link, "Sources").await;
    page.click(Role::Link, "Shop orders").await;
    send_a_sample(&page).await;
    let data = json!({"contact": {"phone": "+12025551234"}, "total": 49.99});
    assert_eq!(receiver.next().await.json()["data"], data);
    page.click(Role::Link, "Deliveries").await;
    page.see("delivered").await;

    is_broken.store(true, Ordering::SeqCst);
    page.click(Role::Link, "Sources").await;
    page.click(Role::Link, "Shop orders").await;
    send_a_sample(&page).await;
    page.click(Role::Link, "Deliveries").await;
    page.see("pending").await;
    page.click_css("#list tbody tr:first-child a").await;
    page.see("Attempt 1 refused 500").await;
    // Nobody asks for it: it appears.
    page.see("Attempt 2 refused 500").await;
    page.screenshot("failing").await;

    is_broken.store(false, Ordering::SeqCst);
    page.click(Role::Button, "Retry now").await;
    page.see("Attempt 3 delivered 200").await;
    page.wait_for("what it can be asked for changes too", "!document.querySelector('#acts button')").await;
    page.screenshot_for_readme("delivery").await;

    replay(&page).await;
    page.click(Role::Link, "Deliveries").await;
    page.see("replayed").await;
    page.wait_for("nothing is pending", "!document.querySelector('#list').innerText.includes('pending')").await;
    page.screenshot_for_readme("deliveries").await;
    page.click(Role::Link, "Overview").await;
    page.see("Newest deliveries").await;
    page.screenshot_for_readme("overview").await;
}

/// Answers 500 while what this gives is true.
fn breakable(receiver: &Receiver) -> Arc<AtomicBool> {
    let is_broken = Arc::new(AtomicBool::new(false));
    let asked = is_broken.clone();
    receiver.answer_by(move |_| {
        let (status, body) = if asked.load(Ordering::SeqCst) { (500, "out of order") } else { (200, "thank you") };
        Some(Response::builder().status(status).body(body.to_owned()).expect("an answer"))
    });
    is_broken
}

async fn come_in(page: &Page, link: &str) {
    page.goto(link).await;
    page.fill("E-mail", "jane@example.com").await;
    page.fill("Name", "Jane").await;
    page.fill("Password", "correct horse battery staple").await;
    page.screenshot("link").await;
    page.click(Role::Button, "Become the operator").await;
    page.click(Role::Link, "Create the first tenant").await;
    page.fill("Name", "Acme").await;
    page.click(Role::Button, "Create the tenant").await;
    page.click(Role::Button, "Open Acme").await;
    page.see("First steps").await;
}

async fn make_a_source(page: &Page) {
    page.click(Role::Link, "Create a source").await;
    page.fill("Name", "Shop orders").await;
    page.click(Role::Button, "Create the source").await;
    page.see("Nothing has arrived yet").await;
}

async fn send_a_sample(page: &Page) {
    page.click(Role::Button, "Send the sample").await;
    page.see("It was taken and became").await;
    page.wait_for("the request appears", "!!document.querySelector('#requests tbody tr')").await;
    page.screenshot("source").await;
}

async fn map_its_fields(page: &Page) {
    // A preview of what is half typed is refused.
    page.expect_complaint("/ask?call=");
    page.click(Role::Link, "Map fields").await;
    for (rule, field, to, conversion) in [(1, "phone", "contact.phone", "phone"), (2, "total", "total", "number")] {
        page.click(Role::Button, "Add a rule").await;
        page.click(Role::Anything, field).await;
        page.fill(&format!("Rule {rule}: to"), to).await;
        page.choose(&format!("Rule {rule}: convert"), conversion).await;
    }
    page.see("+12025551234").await;
    page.screenshot_for_readme("mapping").await;
    page.click(Role::Button, "Save the pipeline").await;
    page.see("Saved.").await;
    page.find_a(Role::Field, "Rule 2: to").await;
}

async fn make_an_endpoint(page: &Page, url: &str) {
    page.click(Role::Link, "Endpoints").await;
    page.click(Role::Link, "Create").await;
    page.fill("Name", "Warehouse").await;
    page.fill("URL", url).await;
    page.fill("Patterns, one on each line", "order.*").await;
    page.click(Role::Summary, "Pace, order and retries").await;
    page.fill("Retry delays in seconds", "1 300").await;
    page.click(Role::Button, "Create").await;
    page.see("Its secret, shown this once").await;
    page.screenshot("secret").await;
    page.click(Role::Link, "Go to the endpoint").await;
    page.see("active").await;
}

/// Counted first, then done.
async fn replay(page: &Page) {
    page.click(Role::Link, "Endpoints").await;
    page.click(Role::Link, "Warehouse").await;
    page.click(Role::Checkbox, "delivered").await;
    page.click(Role::Button, "Count them first").await;
    page.see("would be made again").await;
    page.screenshot("replay").await;
    page.click(Role::Button, "Replay 2").await;
    page.see("done").await;
}
