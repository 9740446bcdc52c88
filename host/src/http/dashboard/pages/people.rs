//! How somebody comes in: signing in, a link to be taken, a portal that is over.
//! None of these is shown to who is in already.

use axum::Router;

use super::super::Desk;
use super::super::page::Page;

pub(in super::super) const PAGES: &[Page] = &[];

pub(in super::super) const TEMPLATES: &[(&str, &str)] = &[
    ("sign_in.html", include_str!("../templates/sign_in.html")),
    ("link.html", include_str!("../templates/link.html")),
    ("portal_gone.html", include_str!("../templates/portal_gone.html")),
    ("portal_open.html", include_str!("../templates/portal_open.html")),
];

pub(in super::super) fn routes() -> Router<Desk> {
    crate::http::sign_in::routes()
}
