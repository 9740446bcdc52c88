//! Which pages there are, a file for each of their kinds.

use super::page::Page;

mod admin;
pub(super) mod docs;
mod flow;
pub(super) mod people;
mod setup;

const PAGES: &[&[Page]] = &[admin::PAGES, flow::PAGES, people::PAGES, setup::PAGES];

const TEMPLATES: &[&[(&str, &str)]] =
    &[SHARED, admin::TEMPLATES, docs::TEMPLATES, flow::TEMPLATES, people::TEMPLATES, setup::TEMPLATES];

const SHARED: &[(&str, &str)] = &[
    ("layout.html", include_str!("../templates/layout.html")),
    ("layout_bare.html", include_str!("../templates/layout_bare.html")),
    ("macros.html", include_str!("../templates/macros.html")),
    ("error.html", include_str!("../templates/error.html")),
    ("nowhere.html", include_str!("../templates/nowhere.html")),
    ("refused.html", include_str!("../templates/refused.html")),
];

pub(super) fn all() -> impl Iterator<Item = &'static Page> {
    PAGES.iter().copied().flatten()
}

pub(super) fn templates() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEMPLATES.iter().copied().flatten().copied()
}
