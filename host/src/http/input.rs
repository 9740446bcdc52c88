//! What callers send: bodies read up to a limit, JSON whose errors name the
//! field, identifiers in paths.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::error::ApiError;
use super::exchange::{NoRoom, TooSlow};

/// At most this many bytes in a body that is not a component.
pub(super) const MAX_BODY: usize = 1024 * 1024;

/// A body of at most `limit` bytes, refused while it streams.
pub(super) async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge { limit }),
        Err(error) if is::<TooSlow>(&*error) => Err(ApiError::TooSlow),
        Err(error) if is::<NoRoom>(&*error) => Err(ApiError::Busy),
        Err(error) => Err(ApiError::Malformed { field: None, problem: format!("the body could not be read: {error}") }),
    }
}

fn is<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<E>())
}

/// A JSON body; none at all is an empty object, so that what has optional fields
/// only can be asked for with nothing. The content type is not looked at: a key in a header is no
/// cookie, so no browser form can get here.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let body = read_body(request.into_body(), MAX_BODY).await?;
        parse(if body.is_empty() { b"{}" } else { &body }).map(Self)
    }
}

/// JSON text as a `T`, or the field that is wrong.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // The path is tracked only when there is something to report: tracking it
    // costs as much again as parsing.
    serde_json::from_slice(body).or_else(|_| {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let field = (path != ".").then_some(path);
            let inner = error.into_inner();
            match (inner.classify(), field) {
                (serde_json::error::Category::Data, field) => {
                    let problem = in_words(&inner);
                    ApiError::Invalid { field: whole_path(field, &problem), problem }
                }
                _ => not_json(&inner),
            }
        })?;
        // A second value behind the first would be dropped in silence.
        deserializer.end().map_err(|error| not_json(&error))?;
        Ok(parsed)
    })
}

/// What is wrong, without where in the text: the field says that.
fn in_words(error: &serde_json::Error) -> String {
    let problem = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    whole_numbers(problem.strip_suffix(&place).unwrap_or(&problem))
}

/// Of a number it matters that it is a whole one, not how many bits it has here.
fn whole_numbers(problem: &str) -> String {
    let bits = ["u8", "u16", "u32", "u64", "usize"];
    match problem.rsplit_once("expected ") {
        Some((before, expected)) if bits.contains(&expected) => format!("{before}expected a whole number from 0"),
        _ => problem.to_owned(),
    }
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::Malformed { field: None, problem: format!("the body is not JSON: {error}") }
}

/// The path of what is wrong. Of a field that is missing serde tells the place
/// where it should be, and its name in the message only.
fn whole_path(path: Option<String>, problem: &str) -> String {
    let missing = problem.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (path, missing) {
        (Some(path), Some(name)) => format!("{path}.{name}"),
        (Some(path), None) => path,
        (None, Some(name)) => name.to_owned(),
        (None, None) => problem.split('`').nth(1).unwrap_or_default().to_owned(),
    }
}

/// An identifier in the path, the last where there are several. What is none
/// cannot name anything: 404.
pub(super) struct Id<T>(pub(super) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let places = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::NotFound)?;
        let last = places.iter().last().and_then(|(_, text)| text.parse().ok());
        last.map(Self).ok_or(ApiError::NotFound)
    }
}

/// The query string.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        // Nothing that is kept has it in it, and not every engine could be asked for it.
        if let Some((name, _)) = pairs.clone().find(|(_, value)| value.contains('\0')) {
            return Err(ApiError::invalid(name.into_owned(), "it has U+0000 in it, which nothing here has"));
        }
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map(Self).map_err(|error| {
            let path = error.path().to_string();
            let problem = whole_numbers(&error.into_inner().to_string());
            ApiError::Invalid { field: whole_path((path != ".").then_some(path), &problem), problem }
        })
    }
}

/// A field of a PATCH: absent, `null`, or a value.
#[derive(Debug, Default)]
pub(super) enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    /// What an optional field is after the change.
    pub(super) fn over<U>(self, before: Option<U>, make: impl FnOnce(T) -> U) -> Option<U> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(make(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            Some(value) => Self::Set(value),
            None => Self::Clear,
        })
    }
}

/// `text` as a `T`, or what is wrong with the field.
pub(super) fn field<T>(name: &str, text: &str) -> Result<T, ApiError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|problem| ApiError::invalid(name, problem))
}

/// A name: some text that can be shown.
pub(super) fn name(text: String) -> Result<String, ApiError> {
    crate::domain::event::check_label(&text).map_err(|problem| ApiError::invalid("name", problem))?;
    Ok(text)
}
