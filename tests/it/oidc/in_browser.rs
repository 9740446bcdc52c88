//! In a real browser, where the provider is another site: its cookies, its policies
//! and its redirects are what they are.

use hookyard_tests::{Browser, Host, Role};

use super::real::Provider;
use super::{JANE, add, host};

async fn vouched(page: &hookyard_tests::Page) {
    page.click(Role::Link, "Sign in with Example ID").await;
    page.wait_for("the provider", "location.hostname === 'localhost' && document.readyState === 'complete'").await;
    page.evaluate(&format!("document.querySelector('[name=login]').value = '{JANE}'")).await;
    page.evaluate("document.querySelector('[name=password]').value = 'any'").await;
    page.evaluate("document.querySelector('form').submit()").await;
    page.wait_for(
        "its other question",
        "!document.querySelector('[name=login]') && document.readyState === 'complete'",
    )
    .await;
    page.evaluate("document.querySelector('form').submit()").await;
}

async fn both() -> (Provider, Host) {
    let mut provider = Provider::start().await;
    let host = host(&provider.issuer).await;
    provider.know(host.operator.base(), "RS256", false).await;
    add(&host.tenant("acme").await, JANE).await;
    (provider, host)
}

#[tokio::test]
async fn a_browser_goes_there_and_comes_back() {
    let (_provider, host) = both().await;
    let browser = Browser::start().await;
    let page = browser.page(host.operator.base()).await;
    page.goto("/endpoints").await;
    page.settled().await;
    assert_eq!(page.violations().await, Vec::<String>::new());
    assert_eq!(page.unreachable().await, Vec::<String>::new());
    vouched(&page).await;
    page.wait_for("the page that was wanted", "location.pathname === '/endpoints'").await;
    page.see("acme").await;
}

#[tokio::test]
async fn a_browser_is_asked_where_to_go() {
    let (_provider, host) = both().await;
    add(&host.tenant("other").await, JANE).await;
    let browser = Browser::start().await;
    let page = browser.page(host.operator.base()).await;
    page.goto("/events").await;
    page.expect_complaint("409");
    vouched(&page).await;
    page.see("You belong to more than one").await;
    assert_eq!(page.violations().await, Vec::<String>::new());
    assert_eq!(page.unreachable().await, Vec::<String>::new());
    page.choose("Where to", "other").await;
    page.click(Role::Button, "Go on").await;
    page.wait_for("the page that was wanted", "location.pathname === '/events'").await;
    page.see("other").await;
}
