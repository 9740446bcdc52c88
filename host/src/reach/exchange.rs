//! One HTTP exchange for a plugin. Where it may go is decided by `dial`, as for
//! deliveries; how long it may take, by whoever waits for it.

use crate::dial::{Dialler, Reply};
use crate::domain::delivery::Unreachable;
use crate::domain::header::{Header, MAX_HEADERS};
use crate::domain::outgoing::{HttpError, Incoming, MAX_ANSWER, Outgoing};

pub(super) async fn exchange(dialler: &Dialler, request: &Outgoing) -> Result<Incoming, HttpError> {
    let Outgoing { method, url, headers, body } = request;
    let headers: Vec<&Header> = headers.iter().collect();
    let mut response = dialler.send(method, url, &headers, body.clone()).await.map_err(refused)?;
    let status = response.status().as_u16();
    let headers = headers_of(&response)?;
    let body = read(&mut response).await?;
    Ok(Incoming { status, headers, body })
}

/// In a word.
pub(super) fn outcome(answer: &Result<Incoming, HttpError>) -> &'static str {
    match answer {
        Ok(_) => "answered",
        Err(HttpError::Denied(_)) => "denied",
        Err(HttpError::Timeout) => "timeout",
        Err(HttpError::TooLarge(_)) => "too large",
        Err(HttpError::Failed(_)) => "failed",
    }
}

fn refused(reason: Unreachable) -> HttpError {
    match reason {
        Unreachable::Forbidden(_) => HttpError::Denied(reason.to_string()),
        Unreachable::TimedOut(_) => HttpError::Timeout,
        other => HttpError::Failed(other.to_string()),
    }
}

fn headers_of(response: &Reply) -> Result<Vec<Header>, HttpError> {
    let headers = response.headers();
    if headers.len() > MAX_HEADERS {
        let problem = format!("{} headers came back, at most {MAX_HEADERS} are taken", headers.len());
        return Err(HttpError::TooLarge(problem));
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(headers.iter().map(|(name, value)| Header { name: name.as_str().to_owned(), value: text(value) }).collect())
}

async fn read(response: &mut Reply) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(refused)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(HttpError::TooLarge(format!("over {MAX_ANSWER} bytes came back")));
        }
    }
    Ok(body)
}
