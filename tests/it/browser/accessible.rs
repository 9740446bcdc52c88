//! Everybody can use every page: by axe-core's rules, by keyboard alone, in the dark,
//! on a phone; and nothing jumps.

use hookyard_tests::host::OPERATOR_KEY;
use hookyard_tests::{Browser, Page, figures};

use super::everything::Everything;
use super::{pages, sign_in};

/// Whoever looks, and at what.
async fn visitors(browser: &Browser, everything: &Everything) -> [(Page, Vec<String>); 3] {
    let base = everything.tenant.base();
    let (tenant, operator) = (browser.page(base).await, browser.page(base).await);
    sign_in(&tenant, everything.tenant.key()).await;
    sign_in(&operator, OPERATOR_KEY).await;
    let filled = |pages: Vec<String>| pages.iter().map(|page| everything.fill(page)).collect();
    [
        (tenant, filled(pages::of_tenants())),
        (operator, filled(pages::of_the_operator())),
        (browser.page(base).await, vec!["/sign-in".to_owned()]),
    ]
}

#[tokio::test]
async fn every_page_keeps_the_rules_by_day_and_by_night_on_a_desk_and_on_a_phone() {
    let everything = Everything::with(str::to_owned).await;
    let browser = Browser::start().await;
    let mut found = Vec::new();
    for (page, paths) in visitors(&browser, &everything).await {
        for (width, scheme) in [("desk", "light"), ("desk", "dark"), ("phone", "light"), ("phone", "dark")] {
            if width == "phone" {
                page.phone().await
            } else {
                page.desktop().await
            }
            page.scheme(scheme).await;
            for path in &paths {
                page.goto(path).await;
                page.settled().await;
                let mut here = page.moved().await;
                here.extend(page.violations().await);
                here.extend(page.overflow().await);
                found.extend(here.into_iter().map(|problem| format!("{path} ({width}, {scheme}): {problem}")));
            }
        }
    }
    assert!(found.is_empty(), "{} problems: {found:#?}", found.len());
}

#[tokio::test]
async fn everything_is_reached_by_keyboard_and_shows_that_it_is() {
    let everything = Everything::with(str::to_owned).await;
    let browser = Browser::start().await;
    let mut found = Vec::new();
    for (page, paths) in visitors(&browser, &everything).await {
        for path in paths {
            page.goto(&path).await;
            page.settled().await;
            found.extend(page.unreachable().await.into_iter().map(|problem| format!("{path}: {problem}")));
        }
    }
    assert!(found.is_empty(), "{} problems: {found:#?}", found.len());
}

#[tokio::test]
async fn a_first_look_weighs_at_most_150_kib() {
    let everything = Everything::with(str::to_owned).await;
    let browser = Browser::start().await;
    let page = browser.page(everything.tenant.base()).await;
    sign_in(&page, everything.tenant.key()).await;
    let bytes = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .reduce((sum, entry) => sum + entry.transferSize, 0)";
    page.without_cache().await;
    let mut weights = Vec::new();
    for path in pages::of_tenants() {
        page.goto(&everything.fill(&path)).await;
        page.settled().await;
        let weight = page.evaluate(bytes).await.as_u64().expect("a number of bytes");
        assert!(weight > 1024, "{path}: {weight} bytes were counted, so they were not counted");
        weights.push((weight, path));
    }
    weights.sort();
    figures(format_args!("{} bytes in the middle, {:?} at most", weights[weights.len() / 2].0, weights.last()));
    weights.retain(|(weight, _)| *weight > 150 << 10);
    assert!(weights.is_empty(), "too heavy: {weights:?}");
}
