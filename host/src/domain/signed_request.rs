//! A message on its way: signed, with the headers that this attempt alone has.
//! What is sent is made here, and so is what a preview shows.

use std::time::Duration;

use super::dialect::Dialect;
use super::endpoint::Endpoint;
use super::event::Event;
use super::header::Header;
use super::message::Message;
use super::secret::Secret;
use super::signing::Unsigned;
use super::time::Timestamp;
use super::url::DeliveryUrl;

/// A signed message for one endpoint.
pub struct SignedRequest<'a> {
    pub url: DeliveryUrl,
    /// The dialect's own, the signature last. Made anew at every attempt: a
    /// receiver refuses an old timestamp.
    pub signature: Vec<Header>,
    pub message: &'a Message,
    pub endpoint: &'a Endpoint,
    pub deadline: Duration,
    pub sent_at: Timestamp,
}

impl<'a> SignedRequest<'a> {
    /// Nothing when a secret cannot sign.
    pub fn new<'s>(
        dialect: &Dialect,
        event: &Event,
        url: DeliveryUrl,
        message: &'a Message,
        endpoint: &'a Endpoint,
        secrets: impl Iterator<Item = &'s Secret>,
        (origin, sent_at): (&str, Timestamp),
    ) -> Option<Self> {
        let headers = dialect.headers_for(event, origin, sent_at);
        let deadline = endpoint.pace.timeout().unwrap_or_else(|| dialect.deadline());
        let beside = message.headers.iter().chain(&endpoint.headers).collect();
        let unsigned = Unsigned { method: message.method.as_str(), url: url.as_str(), body: &message.body, beside };
        let (signature, all_signed) = dialect.sign(headers, &unsigned, secrets, sent_at);
        all_signed.then_some(Self { url, signature, message, endpoint, deadline, sent_at })
    }

    /// What the endpoint's owner set goes over what a plugin set, and the
    /// signature over both: of two headers with one name, the later one is sent.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        self.message.headers.iter().chain(&self.endpoint.headers).chain(&self.signature)
    }
}
