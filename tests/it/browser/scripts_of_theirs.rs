//! Text that others chose stays text: what a tenant, a sender, a plugin or a receiver
//! writes never runs in the browser of whoever looks at it.

use axum::http::Response;
use hookyard_tests::host::OPERATOR_KEY;
use hookyard_tests::{Browser, Receiver};
use serde_json::json;

use super::everything::Everything;
use super::{pages, sign_in};

/// Ends an attribute, an element, a string, a template; calls what every page has
/// for it.
fn hostile(place: &str) -> String {
    let call = format!("canary('{place}')");
    format!(
        r#"'"></textarea><img src=x onerror={call}><script>{call}</script><svg/onload={call}>{{{{{call}}}}}${{{call}}}"#
    )
}

const THEIRS: &str = "document.querySelectorAll('img[src=x], script:not([src]), [onerror], [onload]').length";
/// What is seen of it where it is shown as the text that it is.
const SHOWN: &str = "</textarea><img src=x onerror=";

#[tokio::test]
async fn no_page_runs_what_others_wrote() {
    let everything = Everything::with(hostile).await;
    let browser = Browser::start().await;
    let mut shown = 0;
    let tenants = (everything.tenant.key(), pages::of_tenants());
    for (key, paths) in [tenants, (OPERATOR_KEY, pages::of_the_operator())] {
        let page = browser.page(everything.tenant.base()).await;
        sign_in(&page, key).await;
        for path in paths {
            let path = everything.fill(&path);
            page.goto(&path).await;
            // Whatever was to run has run when this is answered, and fails it.
            page.settled().await;
            let complaints = page.complaints().await;
            assert!(complaints.is_empty(), "{path}: {complaints:#?}");
            let theirs = page.evaluate(THEIRS).await;
            assert_eq!(theirs, json!(0), "{path} has an element of theirs");
            shown += usize::from(page.text().await.contains(SHOWN));
        }
    }
    assert!(shown >= 12, "only {shown} pages show what was written");
}

#[tokio::test]
async fn where_it_is_not_kept_from_running_it_is_noticed() {
    let browser = Browser::start().await;
    let receiver = Receiver::start().await;
    receiver.answer_by(|arrived| {
        let place = arrived.uri.path().trim_start_matches('/').to_owned();
        let html = Response::builder().header("content-type", "text/html");
        Some(html.body(format!("<body>{}", hostile(&place))).expect("an answer"))
    });
    let page = browser.page(&format!("http://{}", receiver.address())).await;
    page.goto_regardless("/control").await;
    let complaints = page.complaints().await;
    let heard = complaints.iter().filter(|complaint| complaint.contains("a script of theirs")).count();
    assert!(heard >= 2, "{complaints:#?}");
}
