//! What somebody typed, and the pages that say no.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use url::form_urlencoded;

use super::{ApiError, Desk, MAX_FORM, is_local_path, read_body, same_origin};

/// The fields of a form. Has no `Debug`: there are passwords in it.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The field, where it is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// Where to go once all is well: a place in here.
    pub(super) fn then(&self) -> String {
        self.get("then").filter(|path| is_local_path(path)).unwrap_or("/").to_owned()
    }
}

/// Why a form was not looked at.
pub(super) enum Refusal {
    /// It was sent by a page of somebody else's.
    Elsewhere,
    Unread(ApiError),
}

impl Refusal {
    pub(super) fn page(self, desk: &Desk) -> Response {
        match self {
            Self::Elsewhere => elsewhere(desk),
            Self::Unread(error) => error.into_response(),
        }
    }
}

/// The form that a page of ours sent, and what came with it.
pub(super) async fn read(request: Request) -> Result<(Fields, Parts), Refusal> {
    let (parts, body) = request.into_parts();
    if !same_origin(&parts.headers) {
        return Err(Refusal::Elsewhere);
    }
    let body = read_body(body, MAX_FORM).await.map_err(Refusal::Unread)?;
    Ok((Fields::parse(&body), parts))
}

pub(super) fn elsewhere(desk: &Desk) -> Response {
    let detail = "Your browser says that another site sent this. Go to the page yourself and do it there.";
    let problem = json!({"title": "That was refused", "detail": detail});
    desk.bare("refused.html", json!({"problem": problem, "status": 403}), StatusCode::FORBIDDEN)
}
