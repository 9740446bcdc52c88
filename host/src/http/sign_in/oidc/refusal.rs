//! Why somebody who came by the provider is not let in: a page that says what they
//! can do about it, and a line in the log for whoever can do something here.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

use super::super::{ApiError, Desk, Typed, not_kept, page, problem};
use crate::domain::claims::NoAddress;
use crate::domain::oidc::{NoCode, Unusable};
use crate::domain::user::Email;
use crate::oidc::Failure;
use crate::telemetry::Chain;

pub(super) enum Refusal {
    /// No sign-in that this would be the end of was begun at this browser, or it
    /// has ended.
    Stale,
    /// They said no at the provider, or it did.
    Declined,
    /// The provider's answer was not its own, or makes no sense.
    Answer(Unusable),
    /// It could not be asked, or cannot be believed.
    Provider(Failure),
    Address(NoAddress),
    /// Nobody here has their address.
    Nobody(Email),
    /// So often was tried that this long nothing is begun.
    Wait(Duration),
    Failed(ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Provider(failure)
    }
}

impl From<NoAddress> for Refusal {
    fn from(why: NoAddress) -> Self {
        Self::Address(why)
    }
}

impl From<NoCode> for Refusal {
    fn from(why: NoCode) -> Self {
        match why {
            NoCode::Declined => Self::Declined,
            NoCode::Unusable(why) => Self::Answer(why),
        }
    }
}

impl Refusal {
    /// The page where one signs in, which says why and has every other way.
    pub(super) fn page(self, desk: &Desk, parts: &Parts, then: &str) -> Response {
        self.log(desk.app.guesses.address(parts));
        let provider = desk.app.provider.as_ref().map_or("", |provider| provider.settings.name.as_str());
        let (status, detail) = match self {
            Self::Failed(error) => return error.into_response(),
            Self::Stale => (
                StatusCode::BAD_REQUEST,
                "That sign-in was begun in another browser, took too long or is over. Begin again.".to_owned(),
            ),
            Self::Declined => {
                (StatusCode::FORBIDDEN, format!("{provider} did not let you in. Try again, or sign in another way."))
            }
            Self::Answer(_) | Self::Provider(_) => (
                StatusCode::BAD_GATEWAY,
                format!(
                    "{provider} could not tell who you are. Try again in a minute, or sign in another way; the \
                     operator's log has the cause."
                ),
            ),
            Self::Address(NoAddress::Missing) => (
                StatusCode::FORBIDDEN,
                format!(
                    "{provider} did not say what your e-mail address is. Ask whoever runs it, or sign in another way."
                ),
            ),
            Self::Address(NoAddress::Unverified) => (
                StatusCode::FORBIDDEN,
                format!("{provider} has not verified your e-mail address. Have it verified there and sign in again."),
            ),
            // It is theirs, so that they may know that nobody has it.
            Self::Nobody(email) => (
                StatusCode::FORBIDDEN,
                format!("Nobody here has the address {email}. Ask an admin to add you under Members."),
            ),
            Self::Wait(wait) => {
                let minutes = wait.as_secs().div_ceil(60).max(1);
                (StatusCode::TOO_MANY_REQUESTS, format!("Too many tries. Try again in {minutes} min."))
            }
        };
        let typed = Typed { then: then.to_owned(), problem: problem("", detail), ..Typed::default() };
        not_kept(page(desk, status, typed))
    }

    /// Without whom it was about: their e-mail address is no business of whoever reads
    /// logs.
    fn log(&self, address: Option<IpAddr>) {
        let why = match self {
            // It says for itself what there is to say; and tries that are not looked at
            // are not worth a line each.
            Self::Failed(_) | Self::Wait(_) => return,
            Self::Provider(failure) => Chain(failure).to_string(),
            Self::Answer(why) => format!("what came back: {why}"),
            Self::Stale => "no such sign-in was begun at that browser, or it is over".to_owned(),
            Self::Declined => "the provider says that it was declined".to_owned(),
            Self::Address(NoAddress::Missing) => "the claim that names the e-mail address is not there".to_owned(),
            Self::Address(NoAddress::Unverified) => "the provider does not say `email_verified`".to_owned(),
            Self::Nobody(_) => "no user has the address".to_owned(),
        };
        let address = address.map(tracing::field::display);
        tracing::warn!(why, address, "somebody could not sign in by the provider");
    }
}
