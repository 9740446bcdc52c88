//! The dashboard as people use it, in a real browser.

mod accessible;
mod editors;
mod everything;
mod live;
mod newcomer;
mod pages;
mod portal;
mod scripts_of_theirs;
mod story;

use hookyard_tests::{Page, Role};

/// Signs in with a key, as somebody does who has one.
async fn sign_in(page: &Page, key: &str) {
    page.goto("/sign-in").await;
    page.click(Role::Summary, "With an API key instead").await;
    page.fill("API key", key).await;
    page.click(Role::Button, "Sign in with the key").await;
    page.wait_for("another page", "!location.pathname.startsWith('/sign-in') && document.readyState === 'complete'")
        .await;
}
