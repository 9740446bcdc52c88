//! Rows become the house's own types again. A row that means nothing is
//! [`StoreError::Corrupt`], with the column's name and without its content.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::Row as _;

use super::db::Row;
use crate::domain::attempt::Answer;
use crate::domain::delivery::State;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, TenantId};
use crate::domain::message::{Message, Method};
use crate::domain::request::{Fate, Request};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{Delivery, Prepared, StoredAttempt, StoredRequest};

/// A row, by the names of its columns.
pub(crate) struct Columns<'r>(pub(crate) &'r Row);

impl<'r> Columns<'r> {
    pub(crate) fn text(&self, name: &'static str) -> Result<&'r str, StoreError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn maybe_text(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn bytes(&self, name: &'static str) -> Result<&'r [u8], StoreError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn maybe_bytes(&self, name: &'static str) -> Result<Option<&'r [u8]>, StoreError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn int<N: TryFrom<i64>>(&self, name: &'static str) -> Result<N, StoreError> {
        let number: i64 = self.0.try_get(name)?;
        number.try_into().map_err(|_| corrupt(name))
    }

    pub(crate) fn maybe_int<N: TryFrom<i64>>(&self, name: &'static str) -> Result<Option<N>, StoreError> {
        let number: Option<i64> = self.0.try_get(name)?;
        number.map(|number| number.try_into().map_err(|_| corrupt(name))).transpose()
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, StoreError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn at(&self, name: &'static str) -> Result<Timestamp, StoreError> {
        self.int(name).map(Timestamp::from_millis)
    }

    pub(crate) fn maybe_at(&self, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_int(name)?.map(Timestamp::from_millis))
    }

    /// Anything that the house reads from a text: an id, a name, a digest.
    pub(crate) fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        self.text(name)?.parse().map_err(|_| corrupt(name))
    }

    pub(crate) fn maybe_parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.0.try_get(name)?;
        text.map(|text| text.parse().map_err(|_| corrupt(name))).transpose()
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(name)?).map_err(|_| corrupt(name))
    }

    pub(crate) fn maybe_json<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.0.try_get(name)?;
        text.map(|text| serde_json::from_str(text).map_err(|_| corrupt(name))).transpose()
    }
}

pub(crate) use crate::store::corrupt;

/// The columns of a request.
pub(crate) const REQUEST: &str = "id, source_id, received_at, method, query, headers, body, state, reason, steps,
    body_gone_at";

pub(crate) fn request(tenant: TenantId, row: &Row) -> Result<StoredRequest, StoreError> {
    let row = Columns(row);
    let fate = fate(&row)?;
    let request = Request {
        id: row.parsed("id")?,
        tenant,
        source: row.parsed("source_id")?,
        received_at: row.at("received_at")?,
        method: row.text("method")?.to_owned(),
        query: row.text("query")?.to_owned(),
        headers: row.json("headers")?,
        body: row.bytes("body")?.to_vec().into(),
    };
    Ok(StoredRequest { request, body_gone_at: row.maybe_at("body_gone_at")?, fate, steps: row.json("steps")? })
}

pub(crate) fn fate(row: &Columns<'_>) -> Result<Fate, StoreError> {
    Fate::from_parts(row.text("state")?, row.maybe_text("reason")?).ok_or_else(|| corrupt("requests.state"))
}

/// The columns of an event; `tags` and the like are not the delivery's or the
/// message's when they are joined.
pub(crate) const EVENT: &str =
    "events.id, events.type, events.occurred_at, events.received_at, events.deliver_at, events.subject,
    events.account, events.tags, events.data, events.request_id, events.traceparent,
    events.data_gone_at";

pub(crate) fn event(tenant: TenantId, row: &Row) -> Result<Event, StoreError> {
    let row = Columns(row);
    let data = RawValue::from_string(row.text("data")?.to_owned()).map_err(|_| corrupt("events.data"))?;
    Ok(Event {
        id: row.parsed("id")?,
        tenant,
        event_type: row.parsed("type")?,
        occurred_at: row.at("occurred_at")?,
        received_at: row.at("received_at")?,
        deliver_at: row.maybe_at("deliver_at")?,
        subject: row.maybe_text("subject")?,
        account: row.maybe_text("account")?,
        tags: row.json("tags")?,
        data: data.into(),
        request_id: row.maybe_parsed("request_id")?,
        traceparent: row.maybe_parsed("traceparent")?,
        data_gone_at: row.maybe_at("data_gone_at")?,
    })
}

/// The columns of a delivery.
pub(crate) const DELIVERY: &str =
    "id, event_id, endpoint_id, state, reason, attempts, due_at, claim, updated_at, replay_of";

pub(crate) fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    let row = Columns(row);
    let id: DeliveryId = row.parsed("id")?;
    let state = State::parse(row.text("state")?).ok_or_else(|| corrupt("deliveries.state"))?;
    let due_at = row.maybe_at("due_at")?;
    // While it is claimed, the column says when the claim ends.
    let is_claimed = row.maybe_int::<i64>("claim")?.is_some();
    Ok(Delivery {
        id,
        event: row.parsed("event_id")?,
        endpoint: row.parsed("endpoint_id")?,
        state,
        reason: row.maybe_text("reason")?,
        attempts: row.int("attempts")?,
        next_attempt_at: due_at.filter(|_| !is_claimed),
        is_in_line: state == State::Pending && due_at.is_none(),
        created_at: id.minted_at(),
        updated_at: row.at("updated_at")?,
        replay_of: row.maybe_parsed("replay_of")?,
    })
}

/// The columns of a message, named apart so that it can be joined.
pub(crate) const MESSAGE: &str = "messages.method AS message_method, messages.target AS message_target,
    messages.headers AS message_headers, messages.body AS message_body";

pub(crate) fn message(row: &Row) -> Result<Option<Arc<Message>>, StoreError> {
    let row = Columns(row);
    let Some(method) = row.maybe_text("message_method")? else { return Ok(None) };
    Ok(Some(Arc::new(Message {
        method: Method::parse(&method).ok_or_else(|| corrupt("messages.method"))?,
        target: row.maybe_text("message_target")?,
        headers: row.json("message_headers")?,
        body: row.bytes("message_body")?.to_vec().into(),
    })))
}

pub(crate) fn prepared(row: &Row) -> Result<Prepared, StoreError> {
    Ok(Prepared { steps: Columns(row).json("steps")?, message: message(row)? })
}

/// The columns of an attempt.
pub(crate) const ATTEMPT: &str = "id, number, started_at, duration_us, url, signed_headers, outcome, status, error,
    answer_headers, answer_body, answer_cut";

pub(crate) fn attempt(row: &Row) -> Result<StoredAttempt, StoreError> {
    let row = Columns(row);
    let body: Option<Vec<u8>> = row.0.try_get("answer_body")?;
    let answer = match body {
        Some(body) => {
            Some(Answer { headers: row.json("answer_headers")?, body, cut: row.int::<i64>("answer_cut")? != 0 })
        }
        None => None,
    };
    Ok(StoredAttempt {
        id: row.parsed("id")?,
        number: row.int("number")?,
        started_at: row.at("started_at")?,
        duration: Duration::from_micros(row.int("duration_us")?),
        url: row.text("url")?.to_owned(),
        signed_headers: row.json("signed_headers")?,
        outcome: row.text("outcome")?.to_owned(),
        status: row.maybe_int("status")?,
        error: row.maybe_text("error")?,
        answer,
    })
}
