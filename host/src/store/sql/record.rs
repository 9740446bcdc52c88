//! Recordings: requests, events and deliveries, many callers' at once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::QueryBuilder;

use super::bulk::{Many, Together, Values};
use super::db::{Connection, Db};
use super::replays;
use super::rows::Columns;
use super::settle::{MessageRow, bind_message, message_statement};
use super::spans::Span;
use super::words::{LINES, TURNS};
use crate::domain::event::Event;
use crate::domain::id::{EndpointId, EventId, SourceId};
use crate::domain::request::Fate;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::ledger::{
    FreshDelivery, IDEMPOTENCY_WINDOW, Idempotency, Received, Recorded, Recording, Start, UNPROVEN_KEPT,
};
use crate::store::text::{id_text, json};

/// The statements that record.
pub(crate) struct RecordStatements {
    requests: Many,
    events: Many,
    deliveries: Many,
    messages: Many,
    turns: Option<Many>,
    lines: Option<Many>,
    known_keys: Many,
    keys: Many,
    living: Many,
}

impl RecordStatements {
    pub(crate) fn new() -> Self {
        Self {
            requests: Many::insert(
                "requests",
                "tenant_id text, id text, source_id text, received_at int, method text, query text, headers text,
                 body bytes, state text, reason text, steps text, events text",
                "",
                "",
            ),
            events: Many::insert(
                "events",
                "tenant_id text, id text, type text, occurred_at int, received_at int, deliver_at int, subject text,
                 account text, tags text, data text, request_id text, traceparent text",
                "",
                "",
            ),
            deliveries: Many::insert(
                "deliveries",
                "tenant_id text, id text, event_id text, endpoint_id text, due_at int, claim int, updated_at int,
                 replay_of text, line text, turn int",
                "state 'pending', attempts 0",
                "",
            ),
            messages: message_statement(),
            lines: LINES.map(|statement| Many::with("asked", "endpoint_id text, line text", statement)),
            turns: TURNS.map(|statement| Many::with("asked", "tenant_id text, key text", statement)),
            known_keys: Many::with(
                "wanted",
                "tenant_id text, key text",
                concat!(
                    "SELECT idempotency.tenant_id, idempotency.key, fingerprint, events, expires_at FROM wanted",
                    each!("idempotency", "idempotency.tenant_id = wanted.tenant_id AND idempotency.key = wanted.key")
                ),
            ),
            keys: Many::insert(
                "idempotency",
                "tenant_id text, key text, fingerprint bytes, events text, expires_at int",
                "",
                "ON CONFLICT (tenant_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,
                 events = excluded.events, expires_at = excluded.expires_at",
            ),
            living: Many::with(
                "wanted",
                "id text",
                concat!(
                    "SELECT tenants.id FROM wanted",
                    each!("tenants", "tenants.id = wanted.id AND tenants.deleted_at IS NULL")
                ),
            ),
        }
    }
}

/// A recording with its tenant's id as text, which all of its rows share.
struct Part<'a> {
    tenant: Arc<str>,
    recording: &'a Recording,
}

/// Writes all of `recordings` that are not repetitions, in the open transaction.
pub(crate) async fn record(
    conn: &mut Connection,
    statements: &RecordStatements,
    recordings: &[&Recording],
) -> Result<Vec<Recorded>, StoreError> {
    if recordings.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<Part<'_>> =
        recordings.iter().map(|recording| Part { tenant: id_text(&recording.tenant), recording }).collect();
    take_turns(conn, statements, &parts).await?;
    let answers = judge_keys(conn, statements, &parts).await?;
    for part in &parts {
        require_events(conn, part).await?;
    }
    let fresh = || parts.iter().zip(&answers).filter(|(_, answer)| **answer == Recorded::Stored).map(|(part, _)| part);
    let (again, requests): (Vec<_>, Vec<_>) = fresh()
        .filter_map(|part| Some((part, part.recording.received.as_ref()?)))
        .partition(|(_, received)| received.rerun_of.is_some());
    let events: Vec<(&Arc<str>, &Event)> =
        fresh().flat_map(|part| part.recording.events.iter().map(|event| (&part.tenant, &**event))).collect();
    let deliveries: Vec<(&Arc<str>, &FreshDelivery)> =
        fresh().flat_map(|part| part.recording.deliveries.iter().map(|delivery| (&part.tenant, delivery))).collect();
    let messages: Vec<MessageRow<'_>> = deliveries
        .iter()
        .filter_map(|(tenant, delivery)| {
            let message = Some(&**delivery.message.as_ref()?);
            Some(MessageRow { tenant, delivery: delivery.id, steps: &[], message })
        })
        .collect();
    let learnt = keyed(fresh());
    take_lines(conn, statements, &deliveries).await?;

    let mut together = Together::default();
    together.add(&statements.requests, &requests, bind_request);
    together.add(&statements.events, &events, bind_event);
    together.add(&statements.deliveries, &deliveries, bind_delivery);
    together.add(&statements.messages, &messages, bind_message);
    together.add(&statements.keys, &learnt, bind_key);
    // What is stored of a tenant that was deleted meanwhile, nobody would purge.
    let tenants: BTreeSet<&Arc<str>> = parts.iter().map(|part| &part.tenant).collect();
    let tenants: Vec<&Arc<str>> = tenants.into_iter().collect();
    let living = together.and_find(conn, (&statements.living, &tenants), |tenant, values| {
        values.shared(tenant);
    });
    if living.await? != tenants.len() as u64 {
        return Err(StoreError::NotFound);
    }
    forget_unproven(conn, &requests).await?;
    for (part, received) in again {
        write_rerun(conn, part, received).await?;
    }
    forget_keys(conn, &learnt).await?;
    for part in fresh() {
        if let Some(portion) = &part.recording.portion {
            replays::advance(conn, part.recording.tenant, portion).await?;
        }
    }
    Ok(answers)
}

/// What is replayed is still there: a delivery never outlives its event, and
/// nothing is sent of which the content is gone.
async fn require_events(conn: &mut Connection, part: &Part<'_>) -> Result<(), StoreError> {
    const IS_WHOLE: &str =
        concat!("SELECT 1 FROM events WHERE tenant_id = $1 AND id = $2 AND data_gone_at IS NULL", hold!("events"));
    let Recording { deliveries, events, .. } = part.recording;
    if deliveries.is_empty() || !events.is_empty() {
        // Of its own events; nobody replays while he publishes.
        return Ok(());
    }
    let earlier: BTreeSet<EventId> = deliveries.iter().map(|delivery| delivery.event).collect();
    for event in earlier {
        let found = sqlx::query(IS_WHOLE).bind(part.tenant.clone()).bind(id_text(&event));
        if found.fetch_optional(&mut *conn).await?.is_none() {
            return Err(StoreError::Gone);
        }
    }
    Ok(())
}

/// Two that join the same lines would otherwise wait for each other.
async fn take_lines(
    conn: &mut Connection,
    statements: &RecordStatements,
    deliveries: &[(&Arc<str>, &FreshDelivery)],
) -> Result<(), StoreError> {
    let Some(lines) = &statements.lines else { return Ok(()) };
    let joined: Vec<(EndpointId, &str)> = deliveries
        .iter()
        .filter_map(|(_, delivery)| Some((delivery.endpoint, delivery.place.as_ref()?.line.as_str())))
        .collect();
    if !joined.is_empty() {
        let taken = lines.write(conn, &joined, |(endpoint, line), values| {
            values.id(endpoint).text(line);
        });
        taken.await?;
    }
    Ok(())
}

/// Whoever knows a URL can send what proves nothing, for ever: of that, each
/// source keeps the newest.
async fn forget_unproven(conn: &mut Connection, new: &[(&Part<'_>, &Received)]) -> Result<(), StoreError> {
    // Written out: an index of some rows is only used for what names them.
    const UNPROVEN: &str =
        concat!(by!("requests_unproven"), " WHERE state IN ('refused', 'answered') AND tenant_id = ");
    let unproven = |received: &Received| matches!(received.fate, Fate::Refused { .. } | Fate::Answered);
    let sources: BTreeSet<(&Arc<str>, SourceId)> = new
        .iter()
        .filter(|(_, received)| unproven(received))
        .map(|(part, received)| (&part.tenant, received.request.source))
        .collect();
    for (tenant, source) in sources {
        let of_source = Span::default().of("source_id", source);
        let mut find = QueryBuilder::<Db>::new("SELECT id FROM requests");
        find.push(UNPROVEN).push_bind(tenant.clone());
        of_source.narrow(&mut find);
        of_source.newest_first(&mut find);
        find.push(" LIMIT 1 OFFSET ").push_bind(i64::from(UNPROVEN_KEPT));
        let Some(last) = find.build().fetch_optional(&mut *conn).await? else { continue };
        let mut forget = QueryBuilder::<Db>::new("DELETE FROM requests");
        forget.push(UNPROVEN).push_bind(tenant.clone());
        of_source.below(Some(format_args!("{} ", Columns(&last).text("id")?))).narrow(&mut forget);
        forget.build().execute(&mut *conn).await?;
    }
    Ok(())
}

fn bind_request((part, received): &(&Part<'_>, &Received), values: &mut Values) {
    let request = &received.request;
    values
        .shared(&part.tenant)
        .id(&request.id)
        .id(&request.source)
        .at(request.received_at)
        .text(&request.method)
        .text(&request.query)
        .json(&request.headers)
        .bytes(&request.body)
        .text(received.fate.state())
        .maybe(received.fate.reason(), |values, reason| values.text(reason))
        .json(&received.steps)
        .text(&event_list(part.recording));
}

async fn write_rerun(conn: &mut Connection, part: &Part<'_>, received: &Received) -> Result<(), StoreError> {
    const RERUN: &str = "
        UPDATE requests SET state = $1, reason = $2, steps = $3, events = events || $4
        WHERE tenant_id = $5 AND id = $6 AND state = $7 AND body_gone_at IS NULL";
    let updated = sqlx::query(RERUN)
        .bind(received.fate.state())
        .bind(received.fate.reason())
        .bind(json(&received.steps))
        .bind(event_list(part.recording))
        .bind(part.tenant.clone())
        .bind(id_text(&received.request.id))
        .bind(received.rerun_of.as_ref().map(Fate::state))
        .execute(conn)
        .await?;
    if updated.rows_affected() == 0 { Err(StoreError::Changed) } else { Ok(()) }
}

fn bind_event((tenant, event): &(&Arc<str>, &Event), values: &mut Values) {
    values
        .shared(tenant)
        .id(&event.id)
        .text(event.event_type.as_str())
        .at(event.occurred_at)
        .at(event.received_at)
        .maybe(event.deliver_at, |values, at| values.at(at))
        .maybe(event.subject.as_deref(), |values, subject| values.text(subject))
        .maybe(event.account.as_deref(), |values, account| values.text(account))
        .json(&event.tags)
        .text(event.data.get())
        .maybe(event.request_id, |values, id| values.id(&id))
        .maybe(event.traceparent, |values, trace| values.id(&trace));
}

fn bind_delivery((tenant, delivery): &(&Arc<str>, &FreshDelivery), values: &mut Values) {
    let (due_at, claim) = match delivery.start {
        Start::Claimed { token, until } => (until, Some(token.0)),
        Start::Due(at) => (at, None),
    };
    let place = delivery.place.as_ref();
    values
        .shared(tenant)
        .id(&delivery.id)
        .id(&delivery.event)
        .id(&delivery.endpoint)
        .at(due_at)
        .maybe(claim, |values, token| values.int(token))
        .at(delivery.id.minted_at())
        .maybe(delivery.replay_of, |values, id| values.id(&id))
        .maybe(place, |values, place| values.text(&place.line))
        .maybe(place, |values, place| values.int(place.place));
}

/// Of two that come with one key at the same time, one waits for the other's end: it
/// repeats it then.
async fn take_turns(
    conn: &mut Connection,
    statements: &RecordStatements,
    parts: &[Part<'_>],
) -> Result<(), StoreError> {
    let asked = keyed(parts.iter());
    if let Some(turns) = &statements.turns
        && !asked.is_empty()
    {
        let taken = turns.write(conn, &asked, |(part, asked), values| {
            values.shared(&part.tenant).text(&asked.key);
        });
        taken.await?;
    }
    Ok(())
}

/// What is known of a key.
struct Known {
    fingerprint: [u8; 32],
    events: Vec<EventId>,
    expires_at: Timestamp,
}

type Keys<'a> = HashMap<(Arc<str>, &'a str), Known>;

/// Which recordings are to be stored. Two with one key are one, also when they
/// arrive together: the first is stored, the second repeats it.
async fn judge_keys<'a>(
    conn: &mut Connection,
    statements: &RecordStatements,
    parts: &[Part<'a>],
) -> Result<Vec<Recorded>, StoreError> {
    let mut known = known_keys(conn, statements, parts).await?;
    let judge = |part: &Part<'a>| {
        let recording = part.recording;
        let Some(asked) = &recording.idempotency else { return Recorded::Stored };
        let fresh = Known {
            fingerprint: asked.fingerprint,
            events: recording.events.iter().map(|event| event.id).collect(),
            expires_at: expires_at(asked),
        };
        match known.entry((part.tenant.clone(), asked.key.as_str())) {
            Entry::Occupied(entry) if asked.now < entry.get().expires_at => {
                let before = entry.get();
                if before.fingerprint == asked.fingerprint {
                    Recorded::Repeated(before.events.clone())
                } else {
                    Recorded::KeyReused
                }
            }
            entry => {
                entry.insert_entry(fresh);
                Recorded::Stored
            }
        }
    };
    Ok(parts.iter().map(judge).collect())
}

async fn known_keys<'a>(
    conn: &mut Connection,
    statements: &RecordStatements,
    parts: &[Part<'a>],
) -> Result<Keys<'a>, StoreError> {
    let asked = keyed(parts.iter());
    let wanted: HashMap<(&str, &str), (&Arc<str>, &'a str)> = asked
        .iter()
        .map(|(part, asked)| ((&*part.tenant, asked.key.as_str()), (&part.tenant, asked.key.as_str())))
        .collect();
    let rows: Vec<(&Arc<str>, &str)> = wanted.values().copied().collect();
    let found: Vec<(String, String, Vec<u8>, String, i64)> = statements
        .known_keys
        .read(conn, &rows, |(tenant, key), values| {
            values.shared(tenant).text(key);
        })
        .await?;
    let mut known = Keys::new();
    for (tenant, key, fingerprint, events, expires_at) in found {
        let Some((tenant, key)) = wanted.get(&(tenant.as_str(), key.as_str())) else { continue };
        let fingerprint =
            fingerprint.try_into().map_err(|_| StoreError::Corrupt("idempotency.fingerprint".to_owned()))?;
        let expires_at = Timestamp::from_millis(expires_at);
        known.insert(((*tenant).clone(), key), Known { fingerprint, events: parse_event_list(&events)?, expires_at });
    }
    Ok(known)
}

/// Twice as many are forgotten as are learnt, so that no pile builds up and no caller
/// waits for a large one.
async fn forget_keys(conn: &mut Connection, learnt: &[(&Part<'_>, &Idempotency)]) -> Result<(), StoreError> {
    const FORGET: &str = concat!(
        "DELETE FROM idempotency WHERE ",
        rows!("idempotency", "tenant_id, key", " WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2")
    );
    let Some((_, first)) = learnt.first() else { return Ok(()) };
    let some = 2 * i64::try_from(learnt.len()).unwrap_or(i64::MAX / 2);
    sqlx::query(FORGET).bind(first.now.as_millis()).bind(some).execute(conn).await?;
    Ok(())
}

fn bind_key((part, asked): &(&Part<'_>, &Idempotency), values: &mut Values) {
    values
        .shared(&part.tenant)
        .text(&asked.key)
        .bytes(&asked.fingerprint)
        .text(&event_list(part.recording))
        .at(expires_at(asked));
}

fn keyed<'p, 'a: 'p>(parts: impl Iterator<Item = &'p Part<'a>>) -> Vec<(&'p Part<'a>, &'a Idempotency)> {
    parts.filter_map(|part| Some((part, part.recording.idempotency.as_ref()?))).collect()
}

fn expires_at(asked: &Idempotency) -> Timestamp {
    asked.now + IDEMPOTENCY_WINDOW
}

/// A space before each id, so that two lists joined are a list.
fn event_list(recording: &Recording) -> String {
    recording.events.iter().map(|event| format!(" {}", event.id)).collect()
}

/// The ids in a list that [`event_list`] wrote.
pub(crate) fn parse_event_list(list: &str) -> Result<Vec<EventId>, StoreError> {
    let corrupt = |_| StoreError::Corrupt("a list of event ids".to_owned());
    list.split_ascii_whitespace().map(|id| id.parse().map_err(corrupt)).collect()
}
