//! Settlements: what attempts came to, many workers' at once.

use std::sync::Arc;

use super::bulk::{Many, Together, Values};
use super::db::Connection;
use super::health;
use super::words::LINES_OF;
use crate::domain::attempt::Attempt;
use crate::domain::delivery::Outcome;
use crate::domain::id::DeliveryId;
use crate::domain::message::Message;
use crate::domain::pipeline::StepReport;
use crate::store::StoreError;
use crate::store::ledger::Settlement;
use crate::store::text::id_text;

/// The statements that settle.
pub(crate) struct SettleStatements {
    lines: Option<Many>,
    deliveries: Many,
    messages: Many,
    attempts: Many,
}

impl SettleStatements {
    pub(crate) fn new() -> Self {
        Self {
            lines: LINES_OF.map(|statement| Many::with("asked", "tenant_id text, id text", statement)),
            // The claim is the fence: a delivery that was taken over has another.
            deliveries: Many::with(
                "settled",
                "tenant_id text, id text, claim int, state text, reason text, attempts int, due_at int, updated_at int",
                concat!(
                    update!(),
                    "deliveries SET state = settled.state, reason = settled.reason,
                     attempts = coalesce(settled.attempts, deliveries.attempts), due_at = settled.due_at, claim = NULL,
                     updated_at = settled.updated_at",
                    held_by!("settled")
                ),
            ),
            messages: message_statement(),
            attempts: Many::insert(
                "attempts",
                "delivery_id text, tenant_id text, number int, id text, started_at int, duration_us int, url text,
                 signed_headers text, outcome text, status int, error text, answer_headers text, answer_body bytes,
                 answer_cut int",
                "",
                "",
            ),
        }
    }
}

/// A settlement with its ids as text, which its rows share.
struct Part<'a> {
    tenant: Arc<str>,
    delivery: Arc<str>,
    settlement: &'a Settlement,
}

impl<'a> Part<'a> {
    fn of(settlement: &'a Settlement) -> Self {
        Self { tenant: id_text(&settlement.tenant), delivery: id_text(&settlement.delivery), settlement }
    }
}

/// Writes all of `settlements` in the open transaction. Answers whether every
/// claim was still held; when one was not, the transaction must not be committed.
pub(crate) async fn settle(
    conn: &mut Connection,
    statements: &SettleStatements,
    settlements: &[&Settlement],
) -> Result<bool, StoreError> {
    if settlements.is_empty() {
        return Ok(true);
    }
    let parts: Vec<Part<'_>> = settlements.iter().copied().map(Part::of).collect();
    take_lines(conn, statements, &parts).await?;
    let mut together = Together::default();
    add_messages(&mut together, &statements.messages, &parts);
    together.add(&statements.attempts, &attempts(&parts), bind_attempt);
    let held = together.and_change(conn, (&statements.deliveries, &parts), bind_delivery).await?;
    if held != parts.len() as u64 {
        return Ok(false);
    }
    health::write(conn, settlements).await?;
    Ok(true)
}

/// Writes a settlement whose claim may have been taken over, if it was not: then
/// nothing was changed.
pub(crate) async fn settle_one(
    conn: &mut Connection,
    statements: &SettleStatements,
    settlement: &Settlement,
) -> Result<bool, StoreError> {
    let parts = [Part::of(settlement)];
    take_lines(conn, statements, &parts).await?;
    if statements.deliveries.write(conn, &parts, bind_delivery).await? == 0 {
        return Ok(false);
    }
    let mut together = Together::default();
    add_messages(&mut together, &statements.messages, &parts);
    together.and_change(conn, (&statements.attempts, &attempts(&parts)), bind_attempt).await?;
    health::write(conn, &[settlement]).await?;
    Ok(true)
}

/// Whoever leaves lines and whoever joins them would otherwise wait for each other.
async fn take_lines(
    conn: &mut Connection,
    statements: &SettleStatements,
    parts: &[Part<'_>],
) -> Result<(), StoreError> {
    let Some(lines) = &statements.lines else { return Ok(()) };
    let with_line: Vec<&Part<'_>> = parts.iter().filter(|part| part.settlement.has_line).collect();
    lines
        .write(conn, &with_line, |part, values| {
            values.shared(&part.tenant).shared(&part.delivery);
        })
        .await?;
    Ok(())
}

fn add_messages(together: &mut Together, statement: &Many, parts: &[Part<'_>]) {
    let messages: Vec<MessageRow<'_>> = parts
        .iter()
        .filter_map(|part| {
            let prepared = part.settlement.prepared.as_ref()?;
            let message = prepared.message.as_deref();
            Some(MessageRow {
                tenant: &part.tenant,
                delivery: part.settlement.delivery,
                steps: &prepared.steps,
                message,
            })
        })
        .collect();
    together.add(statement, &messages, bind_message);
}

fn attempts<'p>(parts: &'p [Part<'p>]) -> Vec<(&'p Part<'p>, &'p Attempt)> {
    parts.iter().filter_map(|part| Some((part, part.settlement.attempt.as_ref()?))).collect()
}

fn bind_delivery(part: &Part<'_>, values: &mut Values) {
    let Settlement { token, next, attempt, now, .. } = part.settlement;
    values
        .shared(&part.tenant)
        .shared(&part.delivery)
        .int(token.0)
        .text(next.state().as_str())
        .maybe(next.reason(), |values, reason| values.text(&reason))
        .maybe(attempt.as_ref(), |values, attempt| values.int(attempt.number.into()))
        .maybe(next.due_at(), |values, at| values.at(at))
        .at(*now);
}

fn bind_attempt((part, attempt): &(&Part<'_>, &Attempt), values: &mut Values) {
    let error = match &attempt.outcome {
        Outcome::Unreachable(cause) => Some(cause.to_string()),
        Outcome::Accepted { .. } | Outcome::Refused { .. } => None,
    };
    let answer = attempt.answer.as_ref();
    values
        .shared(&part.delivery)
        .shared(&part.tenant)
        .int(attempt.number.into())
        .id(&attempt.id)
        .at(attempt.started_at)
        .int(i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX))
        .text(&attempt.url)
        .json(&attempt.signed_headers)
        .text(attempt.outcome.name())
        .maybe(attempt.outcome.status(), |values, status| values.int(status.into()))
        .maybe(error, |values, error| values.text(&error))
        .maybe(answer, |values, answer| values.json(&answer.headers))
        .maybe(answer, |values, answer| values.bytes(&answer.body))
        .int(answer.is_some_and(|answer| answer.cut).into());
}

/// What a pipeline made for a delivery.
pub(crate) struct MessageRow<'a> {
    pub(crate) tenant: &'a Arc<str>,
    pub(crate) delivery: DeliveryId,
    pub(crate) steps: &'a [StepReport],
    pub(crate) message: Option<&'a Message>,
}

/// A message is written once and sent at every retry. It is replaced only when
/// a delivery whose pipeline made none is retried by hand.
pub(crate) fn message_statement() -> Many {
    Many::insert(
        "messages",
        "delivery_id text, tenant_id text, steps text, method text, target text, headers text, body bytes",
        "",
        "ON CONFLICT (delivery_id, tenant_id) DO UPDATE SET steps = excluded.steps, method = excluded.method,
         target = excluded.target, headers = excluded.headers, body = excluded.body",
    )
}

pub(crate) fn bind_message(row: &MessageRow<'_>, values: &mut Values) {
    let message = row.message;
    values
        .id(&row.delivery)
        .shared(row.tenant)
        .json(&row.steps)
        .maybe(message, |values, message| values.text(message.method.as_str()))
        .maybe(message.and_then(|message| message.target.as_deref()), |values, target| values.text(target))
        .maybe(message, |values, message| values.json(&message.headers))
        .maybe(message, |values, message| values.bytes(&message.body));
}
