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
use super::trace::{TRACEPARENT, TraceParent};
use super::url::DeliveryUrl;

/// A signed message for one endpoint.
pub struct SignedRequest<'a> {
    pub url: DeliveryUrl,
    /// The dialect's own, the signature last. Made anew at every attempt: a
    /// receiver refuses an old timestamp.
    pub signature: Vec<Header>,
    /// Where this attempt is in its event's trace. Like the signature it is made
    /// anew at every attempt; unlike it, it goes under what others set, and is not
    /// signed: proxies on the way may put their own there (W3C Trace Context).
    pub trace: Option<Header>,
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
        all_signed.then_some(Self { url, signature, trace: None, message, endpoint, deadline, sent_at })
    }

    /// The same as a part of a trace, unless somebody has set that header.
    pub fn traced(self, parent: TraceParent) -> Self {
        let secret = self.endpoint.access.headers.iter().map(|header| &header.name);
        let is_set = self.headers().map(|header| &header.name).chain(secret).any(|name| name == TRACEPARENT);
        let trace = (!is_set).then(|| Header { name: TRACEPARENT.to_owned(), value: parent.to_string() });
        Self { trace, ..self }
    }

    /// What goes along beside what was made for the endpoint.
    pub fn into_own_headers(self) -> Vec<Header> {
        let mut headers = self.signature;
        headers.extend(self.trace);
        headers
    }

    /// What the endpoint's owner set goes over what a plugin set, and the
    /// signature over both: of two headers with one name, the later one is sent.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        self.trace.iter().chain(&self.message.headers).chain(&self.endpoint.headers).chain(&self.signature)
    }
}
