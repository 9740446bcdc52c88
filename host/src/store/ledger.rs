//! What happened: requests, events, deliveries and attempts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Figures, Keeping, Reply};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::claim::{Claim, ClaimToken};
use crate::domain::delivery::{Next, State};
use crate::domain::event::Event;
use crate::domain::header::Header;
use crate::domain::health::Health;
use crate::domain::id::{AttemptId, DeliveryId, EndpointId, EventId, ReplayId, RequestId, SourceId, TenantId};
use crate::domain::message::Message;
use crate::domain::pipeline::StepReport;
use crate::domain::place::PlaceId;
use crate::domain::replay::{Progress, Replay};
use crate::domain::request::{Fate, Request};
use crate::domain::state::{Entry, StateError, StepRef};
use crate::domain::subscription::TypePattern;
use crate::domain::time::Timestamp;
use crate::domain::usage::{Counted, Day, PluginUse};

/// Events and what became of them.
///
/// Promises that every engine keeps, and `tests/it/store_contract.rs` checks:
/// what a method has answered is on the disk; a recording is stored whole or
/// not at all; a rerun only while its request is in the state that it was read
/// in; a tenant sees only its own rows; a delivery is held by one claim at a
/// time; a settlement whose claim is no longer held changes nothing; of two
/// changes to a step's value that expect the same revision, one is made.
///
/// Without a tenant id, because they serve every tenant: [`Self::due`],
/// [`Self::claim`], [`Self::take_over`], [`Self::healths`], [`Self::running_replays`],
/// [`Self::add_plugin_use`], [`Self::add_event_counts`], [`Self::event_counts`],
/// and settlements and [`Self::release`], which name the claim they come from.
pub trait Ledger: Keeping + Figures {
    /// Stores a request with its events and their deliveries, in one
    /// transaction that callers of the same moment share. Refused with
    /// [`super::StoreError::Gone`] when it has a delivery of an earlier event
    /// whose data is not kept any more.
    fn record(&self, recording: Recording) -> Reply<'_, Recorded>;

    /// What the caller's key was used for, where it is known still.
    fn repeated<'a>(&'a self, tenant: TenantId, asked: &'a Idempotency) -> Reply<'a, Option<Recorded>>;

    /// Every endpoint with deliveries that are due or whose claim ran out.
    fn due(&self, now: Timestamp) -> Reply<'_, Vec<(TenantId, EndpointId)>>;

    /// Takes of each endpoint up to its share of what is due or whose claim ran
    /// out, the longest due first, and holds it until `until`.
    fn claim(&self, now: Timestamp, until: Timestamp, shares: Vec<Share>) -> Reply<'_, Vec<Claim>>;

    /// Writes down what an attempt came to and where its delivery rests next.
    /// Answers whether the claim was still held.
    fn settle(&self, settlement: Settlement) -> Reply<'_, bool>;

    /// Makes what is held by these claims, and not settled, due at once: whoever has
    /// claimed it does not attempt it. Answers how much was still held.
    fn release(&self, claims: Vec<Unbegun>, now: Timestamp) -> Reply<'_, u64>;

    /// Makes every claimed delivery due at once. Only for a host that knows itself
    /// to be the only one: whoever held those claims is dead.
    fn take_over(&self, now: Timestamp) -> Reply<'_, u64>;

    /// Makes a pending or dead delivery due now, or as soon as those before it in
    /// its line have come to rest. Answers its state where that forbids it;
    /// [`super::StoreError::Gone`] when what it would send is not kept any more.
    fn retry(&self, tenant: TenantId, delivery: DeliveryId, now: Timestamp) -> Reply<'_, Result<(), State>>;

    /// Lets up to `limit` of an endpoint's deliveries out of their lines; answers
    /// whether there are more.
    fn release_lines(&self, tenant: TenantId, endpoint: EndpointId, limit: u32) -> Reply<'_, bool>;

    /// Cancels pending deliveries that are not being attempted at this moment;
    /// answers how many.
    fn cancel(&self, tenant: TenantId, which: Which, now: Timestamp) -> Reply<'_, u64>;

    /// Refused with [`super::StoreError::OverLimit`] when `most` of the tenant's run
    /// already.
    fn create_replay<'a>(&'a self, replay: &'a Replay, most: u32) -> Reply<'a, ()>;

    /// Ends a replay that runs; answers whether it did.
    fn end_replay(&self, tenant: TenantId, id: ReplayId, progress: Progress, now: Timestamp) -> Reply<'_, bool>;

    fn replay(&self, tenant: TenantId, id: ReplayId) -> Reply<'_, Option<Replay>>;

    fn replays(&self, tenant: TenantId, query: ReplayQuery) -> Reply<'_, Vec<Replay>>;

    /// Every tenant's, the oldest first.
    fn running_replays(&self) -> Reply<'_, Vec<Replay>>;

    /// What settlements have said of endpoints that are not well.
    fn healths(&self) -> Reply<'_, Vec<(EndpointId, Health)>>;

    /// Takes over what is known of an endpoint's receiver; of one that is well it keeps
    /// nothing.
    fn remember_health(&self, tenant: TenantId, endpoint: EndpointId, health: Health) -> Reply<'_, ()>;

    /// Deletes up to `limit` rows of a tenant that was deleted; answers whether
    /// there are more.
    fn purge(&self, tenant: TenantId, limit: u32) -> Reply<'_, bool>;

    fn request(&self, tenant: TenantId, id: RequestId) -> Reply<'_, Option<StoredRequest>>;

    /// Newest first, as every list. What no index finds is looked for in so many
    /// requests at most.
    fn requests(&self, tenant: TenantId, query: RequestQuery) -> Reply<'_, Searched<LoggedRequest, RequestId>>;

    /// The oldest first, unlike lists: those after it may need what it becomes.
    /// Ids alone, because requests are large and one is run at a time.
    fn requests_to_rerun(&self, tenant: TenantId, query: RerunQuery) -> Reply<'_, Vec<RequestId>>;

    fn event(&self, tenant: TenantId, id: EventId) -> Reply<'_, Option<Event>>;

    /// What no index finds is looked for in so many events at most, and a page ends
    /// where their data become [`MAX_PAGE`] bytes.
    fn events(&self, tenant: TenantId, query: EventQuery) -> Reply<'_, Searched<Event, EventId>>;

    /// The events that a request became.
    fn events_of(&self, tenant: TenantId, request: RequestId) -> Reply<'_, Vec<EventId>>;

    fn delivery(&self, tenant: TenantId, id: DeliveryId) -> Reply<'_, Option<Delivery>>;

    fn deliveries(&self, tenant: TenantId, query: DeliveryQuery) -> Reply<'_, Vec<Delivery>>;

    /// A page of the delivery log. What no index finds is looked for in so many
    /// deliveries at most.
    fn delivery_log(&self, tenant: TenantId, query: LogQuery) -> Reply<'_, Searched<Logged, DeliveryId>>;

    /// How many deliveries `query` finds, its limit aside.
    fn count_deliveries(&self, tenant: TenantId, query: DeliveryQuery) -> Reply<'_, u64>;

    /// What the pipeline made for a delivery, once it has run.
    fn prepared(&self, tenant: TenantId, delivery: DeliveryId) -> Reply<'_, Option<Prepared>>;

    /// Oldest first.
    fn attempts(&self, tenant: TenantId, delivery: DeliveryId) -> Reply<'_, Vec<StoredAttempt>>;

    /// Adds to what plugins used on a day, of any tenants.
    fn add_plugin_use(&self, day: Day, uses: Vec<PluginUse>) -> Reply<'_, ()>;

    /// What one tenant's plugins used on `from` and after, by day.
    fn plugin_use(&self, tenant: TenantId, from: Day) -> Reply<'_, Vec<(Day, PluginUse)>>;

    /// Adds to how many events came in on a day, of any tenants.
    fn add_event_counts(&self, counts: Vec<(TenantId, Day, Counted)>) -> Reply<'_, ()>;

    /// Every tenant's count of each day, `from` and after.
    fn event_counts(&self, from: Day) -> Reply<'_, Vec<(TenantId, Day, Counted)>>;

    /// What a step keeps under a key.
    fn step_entry<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
        key: &'a str,
    ) -> Reply<'a, Option<Entry>>;

    /// All that a step keeps.
    fn step_entries<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
    ) -> Reply<'a, BTreeMap<String, Entry>>;

    /// Keeps a value where there is room and what is there was expected;
    /// answers its revision. Nothing is kept for a place that is not there.
    fn put_step_entry<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
        key: &'a str,
        value: Vec<u8>,
        expected: Option<u32>,
    ) -> Reply<'a, Result<u32, StateError>>;

    /// Forgets a value, where it is the one that was expected.
    fn delete_step_entry<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
        key: &'a str,
        expected: Option<u32>,
    ) -> Reply<'a, Result<(), StateError>>;

    /// Whether a write goes through: for readiness.
    fn ping(&self) -> Reply<'_, ()>;
}

/// How many of an endpoint's deliveries are to be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub tenant: TenantId,
    pub endpoint: EndpointId,
    pub limit: u32,
}

/// A claim of which nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbegun {
    pub tenant: TenantId,
    pub delivery: DeliveryId,
    pub token: ClaimToken,
}

impl From<&Claim> for Unbegun {
    fn from(claim: &Claim) -> Self {
        Self { tenant: claim.tenant, delivery: claim.delivery, token: claim.token }
    }
}

/// What is stored together or not at all. All of it is one tenant's.
pub struct Recording {
    pub tenant: TenantId,
    pub received: Option<Received>,
    pub events: Vec<Arc<Event>>,
    pub deliveries: Vec<FreshDelivery>,
    pub idempotency: Option<Idempotency>,
    pub portion: Option<Portion>,
}

impl Recording {
    /// How many bytes it brings along, about.
    pub(crate) fn bytes(&self) -> usize {
        /// A delivery's ids and times.
        const OF_A_DELIVERY: usize = 200;
        let received = self.received.as_ref().map_or(0, |received| received.request.body.len());
        let events: usize = self.events.iter().map(|event| event.data.get().len()).sum();
        let messages = self.deliveries.iter().filter_map(|delivery| delivery.message.as_ref());
        let messages: usize = messages.map(|message| message.body.len()).sum();
        received + events + messages + OF_A_DELIVERY * self.deliveries.len()
    }
}

/// The part of a replay that a recording is. Nothing is stored when the replay
/// does not run any more or stands elsewhere, which is [`super::StoreError::Changed`].
pub struct Portion {
    pub replay: ReplayId,
    /// Where the replay stood before; it is another's portion otherwise.
    pub from: Option<DeliveryId>,
    /// The last delivery that it came to.
    pub after: DeliveryId,
    pub made: u64,
    pub is_last: bool,
    pub now: Timestamp,
}

/// A request, and what the source's pipeline made of it.
pub struct Received {
    pub request: Request,
    pub fate: Fate,
    pub steps: Vec<StepReport>,
    /// The request is stored already and was run again. This is the fate that it
    /// had when it was read: only its fate changes, and only while that is its
    /// state; otherwise nothing is stored, which is
    /// [`super::StoreError::Changed`].
    pub rerun_of: Option<Fate>,
}

/// A delivery to be stored.
pub struct FreshDelivery {
    pub id: DeliveryId,
    pub event: EventId,
    pub endpoint: EndpointId,
    pub start: Start,
    /// Where the endpoint is ordered.
    pub place: Option<InLine>,
    /// A replay "as sent" brings its message along.
    pub message: Option<Arc<Message>>,
    pub replay_of: Option<DeliveryId>,
}

/// How a delivery begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Held by the host that stores it, which attempts it without reading it.
    Claimed { token: ClaimToken, until: Timestamp },
    /// For whoever claims it first, once it is time.
    Due(Timestamp),
}

/// A delivery's place in a line of an ordered endpoint. Of a line, only the first
/// is ever due: the next becomes it in the transaction that takes the first out
/// of it, whatever does so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InLine {
    /// Which of the endpoint's lines.
    pub line: String,
    /// Microseconds since 1970. Of two with one place, the earlier event is before
    /// the other.
    pub place: i64,
}

/// A caller's promise that two recordings with one key are one.
#[derive(Clone, Debug)]
pub struct Idempotency {
    pub key: String,
    /// Of what was asked for: another request with the same key is a mistake.
    pub fingerprint: [u8; 32],
    pub now: Timestamp,
}

impl Idempotency {
    /// A request to a source that must not come twice. Callers' own keys are
    /// visible characters, so that none of them is ever this.
    pub fn once(source: SourceId, proof: [u8; 32], now: Timestamp) -> Self {
        let proof_text: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key: format!("\u{1}once {source} {proof_text}"), fingerprint: proof, now }
    }
}

/// How long a key is remembered.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// Of requests that proved nothing, each source keeps this many, the newest.
pub const UNPROVEN_KEPT: u32 = 1000;

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    Stored,
    /// The key was used for the same request; these are its events.
    Repeated(Vec<EventId>),
    /// The key was used for another request; nothing was stored.
    KeyReused,
}

/// What an attempt came to.
pub struct Settlement {
    pub tenant: TenantId,
    pub delivery: DeliveryId,
    pub token: ClaimToken,
    /// As the claim says.
    pub has_line: bool,
    /// What the pipeline made, when it ran for this attempt.
    pub prepared: Option<Prepared>,
    /// The exchange, when there was one.
    pub attempt: Option<Attempt>,
    pub next: Next,
    /// What is known of the receiver since, where that is something new.
    pub health: Option<(EndpointId, Health)>,
    pub now: Timestamp,
}

/// What a pipeline made of an event.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub steps: Vec<StepReport>,
    /// Absent when a step dropped or failed the event.
    pub message: Option<Arc<Message>>,
}

/// A request as it is kept.
#[derive(Clone, Debug)]
pub struct StoredRequest {
    pub request: Request,
    /// When its body went, which is empty since: retention said so.
    pub body_gone_at: Option<Timestamp>,
    pub fate: Fate,
    pub steps: Vec<StepReport>,
}

impl StoredRequest {
    /// As lists show it.
    pub fn logged(&self) -> LoggedRequest {
        LoggedRequest {
            id: self.request.id,
            source: self.request.source,
            received_at: self.request.received_at,
            method: self.request.method.clone(),
            fate: self.fate.clone(),
            bytes: self.request.body.len(),
            body_gone_at: self.body_gone_at,
        }
    }
}

/// A request as lists show it.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    pub id: RequestId,
    pub source: SourceId,
    pub received_at: Timestamp,
    pub method: String,
    pub fate: Fate,
    /// How many bytes its body has.
    pub bytes: usize,
    /// When its body went, which is empty since: retention said so.
    pub body_gone_at: Option<Timestamp>,
}

/// A delivery as it is kept.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub event: EventId,
    pub endpoint: EndpointId,
    pub state: State,
    pub reason: Option<String>,
    pub attempts: u32,
    /// When it is tried next; absent when it is not, is being tried now or waits
    /// in line.
    pub next_attempt_at: Option<Timestamp>,
    /// Others come before it.
    pub is_in_line: bool,
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    pub replay_of: Option<DeliveryId>,
}

/// An attempt as it is kept.
#[derive(Clone, Debug)]
pub struct StoredAttempt {
    pub id: AttemptId,
    pub number: u32,
    pub started_at: Timestamp,
    pub duration: Duration,
    pub url: String,
    pub signed_headers: Vec<Header>,
    /// [`crate::domain::delivery::Outcome::name`].
    pub outcome: String,
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    pub answer: Option<Answer>,
}

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct RequestQuery {
    pub source: Option<SourceId>,
    /// [`Fate::state`].
    pub state: Option<String>,
    pub older_than: Option<RequestId>,
    pub limit: u32,
}

/// Which requests to run again.
#[derive(Clone, Debug)]
pub struct RerunQuery {
    pub source: SourceId,
    /// Each a [`Fate::state`].
    pub states: Vec<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Younger than this one, which is not before `since`.
    pub after: Option<RequestId>,
    pub limit: u32,
}

/// At most this many bytes of data are in a page of events, except where one
/// alone has more.
pub const MAX_PAGE: usize = 8 * 1024 * 1024;

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    pub event_type: Option<TypePattern>,
    pub tag: Option<String>,
    pub subject: Option<String>,
    pub account: Option<String>,
    /// None of an account.
    pub without_account: bool,
    /// None whose data is not kept any more.
    pub with_data: bool,
    /// None with more bytes of data.
    pub max_data: Option<u32>,
    /// Received at or after.
    pub after: Option<Timestamp>,
    /// Received before.
    pub before: Option<Timestamp>,
    pub older_than: Option<EventId>,
    pub limit: u32,
}

/// Which deliveries to cancel.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    One(DeliveryId),
    /// All of an event's.
    Of(EventId),
}

/// Which replays to list.
#[derive(Clone, Debug, Default)]
pub struct ReplayQuery {
    pub endpoint: Option<EndpointId>,
    /// Those of this account's events alone.
    pub account: Option<String>,
    pub older_than: Option<ReplayId>,
    pub limit: u32,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    pub event: Option<EventId>,
    pub endpoint: Option<EndpointId>,
    /// Empty: all.
    pub states: Vec<State>,
    /// Of events of such types; empty: all.
    pub event_types: Vec<TypePattern>,
    /// Of events of this account.
    pub account: Option<String>,
    /// None of an event whose data is not kept any more.
    pub with_data: bool,
    /// Created at or after.
    pub since: Option<Timestamp>,
    /// Created before.
    pub until: Option<Timestamp>,
    pub older_than: Option<DeliveryId>,
    /// The oldest first, behind `newer_than`, which is not before `since`.
    pub oldest_first: bool,
    pub newer_than: Option<DeliveryId>,
    pub limit: u32,
}

/// What is wanted of the delivery log.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    pub only: Option<DeliveryId>,
    pub event: Option<EventId>,
    pub endpoint: Option<EndpointId>,
    pub state: Option<State>,
    /// Of events of such types.
    pub event_type: Option<TypePattern>,
    /// Of events of this account.
    pub account: Option<String>,
    /// In an id, the event's type or subject, or the reason.
    pub text: Option<String>,
    /// Endpoints that the text stands for: those with such a name.
    pub endpoints_of_text: Vec<EndpointId>,
    /// Created at or after.
    pub since: Option<Timestamp>,
    /// Created before.
    pub until: Option<Timestamp>,
    pub older_than: Option<DeliveryId>,
    pub limit: u32,
}

/// A page of a list, the newest first, where not all may have been looked at.
#[derive(Clone, Debug)]
pub struct Searched<T, Id> {
    pub items: Vec<T>,
    /// Where to go on: behind the last of them, or behind the last that was looked
    /// at.
    pub next: Option<Id>,
    /// How many were looked at, at most, where that is bounded.
    pub searched: Option<u32>,
}

/// A delivery as the log shows it.
#[derive(Clone, Debug)]
pub struct Logged {
    pub delivery: Delivery,
    /// Absent where the event is gone.
    pub event_type: Option<String>,
    /// Of the last answer, where one came.
    pub last_status: Option<u16>,
}
