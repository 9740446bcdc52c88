//! The ledger's promises.

use std::collections::BTreeMap;

use super::{
    Store, claimed, claims, delivery_log, event_log, health, reads, release, replays, request_log, state, upkeep, usage,
};
use crate::domain::claim::{Claim, ClaimToken};
use crate::domain::delivery::State;
use crate::domain::event::Event;
use crate::domain::health::Health;
use crate::domain::id::{DeliveryId, EndpointId, EventId, ReplayId, RequestId, TenantId};
use crate::domain::place::PlaceId;
use crate::domain::replay::{Progress, Replay};
use crate::domain::state::{Entry, StateError, StepRef};
use crate::domain::time::Timestamp;
use crate::domain::usage::{Counted, Day, PluginUse};
use crate::store::ledger::{
    Delivery, DeliveryQuery, EventQuery, Idempotency, Ledger, LogQuery, Logged, LoggedRequest, Prepared, Recorded,
    Recording, ReplayQuery, RequestQuery, RerunQuery, Searched, Settlement, Share, StoredAttempt, StoredRequest,
    Unbegun, Which,
};
use crate::store::{Reply, StoreError};

impl Ledger for Store {
    fn record(&self, recording: Recording) -> Reply<'_, Recorded> {
        Box::pin(self.put(recording))
    }

    fn repeated<'a>(&'a self, tenant: TenantId, asked: &'a Idempotency) -> Reply<'a, Option<Recorded>> {
        Box::pin(reads::repeated(&self.readers, tenant, asked))
    }

    fn due(&self, now: Timestamp) -> Reply<'_, Vec<(TenantId, EndpointId)>> {
        Box::pin(claims::due(&self.claiming, now))
    }

    fn claim(&self, now: Timestamp, until: Timestamp, shares: Vec<Share>) -> Reply<'_, Vec<Claim>> {
        Box::pin(async move {
            let token = random_token();
            let ids = self
                .promptly(move |conn| Box::pin(async move { claims::claim(conn, now, (until, token), &shares).await }))
                .await?;
            if ids.is_empty() { Ok(Vec::new()) } else { claimed::claimed(&self.claiming, (until, token), &ids).await }
        })
    }

    fn settle(&self, settlement: Settlement) -> Reply<'_, bool> {
        Box::pin(self.put_settlement(settlement))
    }

    fn release(&self, claims: Vec<Unbegun>, now: Timestamp) -> Reply<'_, u64> {
        self.promptly(move |conn| Box::pin(release::release(conn, claims, now)))
    }

    fn take_over(&self, now: Timestamp) -> Reply<'_, u64> {
        self.write(move |conn| Box::pin(upkeep::take_over(conn, now)))
    }

    fn retry(&self, tenant: TenantId, delivery: DeliveryId, now: Timestamp) -> Reply<'_, Result<(), State>> {
        self.write(move |conn| Box::pin(upkeep::retry(conn, tenant, delivery, now)))
    }

    fn release_lines(&self, tenant: TenantId, endpoint: EndpointId, limit: u32) -> Reply<'_, bool> {
        self.write(move |conn| Box::pin(upkeep::release_lines(conn, tenant, endpoint, limit)))
    }

    fn cancel(&self, tenant: TenantId, which: Which, now: Timestamp) -> Reply<'_, u64> {
        self.write(move |conn| Box::pin(upkeep::cancel(conn, tenant, which, now)))
    }

    fn create_replay<'a>(&'a self, replay: &'a Replay, most: u32) -> Reply<'a, ()> {
        let replay = replay.clone();
        self.change(move |conn| Box::pin(async move { replays::create(conn, &replay, most).await }))
    }

    fn end_replay(&self, tenant: TenantId, id: ReplayId, progress: Progress, now: Timestamp) -> Reply<'_, bool> {
        self.write(move |conn| Box::pin(replays::end(conn, (tenant, id), progress, now)))
    }

    fn replay(&self, tenant: TenantId, id: ReplayId) -> Reply<'_, Option<Replay>> {
        Box::pin(replays::one(&self.readers, tenant, id))
    }

    fn replays(&self, tenant: TenantId, query: ReplayQuery) -> Reply<'_, Vec<Replay>> {
        Box::pin(replays::list(&self.readers, tenant, query))
    }

    fn running_replays(&self) -> Reply<'_, Vec<Replay>> {
        Box::pin(replays::running(&self.readers))
    }

    fn healths(&self) -> Reply<'_, Vec<(EndpointId, Health)>> {
        Box::pin(health::all(&self.readers))
    }

    fn remember_health(&self, tenant: TenantId, endpoint: EndpointId, health: Health) -> Reply<'_, ()> {
        self.write(move |conn| Box::pin(health::set(conn, tenant, endpoint, health)))
    }

    fn purge(&self, tenant: TenantId, limit: u32) -> Reply<'_, bool> {
        self.write(move |conn| Box::pin(upkeep::purge(conn, tenant, limit)))
    }

    fn request(&self, tenant: TenantId, id: RequestId) -> Reply<'_, Option<StoredRequest>> {
        Box::pin(reads::request(&self.readers, tenant, id))
    }

    fn requests(&self, tenant: TenantId, query: RequestQuery) -> Reply<'_, Searched<LoggedRequest, RequestId>> {
        Box::pin(request_log::page(&self.readers, tenant, query))
    }

    fn requests_to_rerun(&self, tenant: TenantId, query: RerunQuery) -> Reply<'_, Vec<RequestId>> {
        Box::pin(reads::requests_to_rerun(&self.readers, tenant, query))
    }

    fn event(&self, tenant: TenantId, id: EventId) -> Reply<'_, Option<Event>> {
        Box::pin(reads::event(&self.readers, tenant, id))
    }

    fn events(&self, tenant: TenantId, query: EventQuery) -> Reply<'_, Searched<Event, EventId>> {
        Box::pin(event_log::page(&self.readers, tenant, query))
    }

    fn events_of(&self, tenant: TenantId, request: RequestId) -> Reply<'_, Vec<EventId>> {
        Box::pin(reads::events_of(&self.readers, tenant, request))
    }

    fn delivery(&self, tenant: TenantId, id: DeliveryId) -> Reply<'_, Option<Delivery>> {
        Box::pin(reads::delivery(&self.readers, tenant, id))
    }

    fn deliveries(&self, tenant: TenantId, query: DeliveryQuery) -> Reply<'_, Vec<Delivery>> {
        Box::pin(reads::deliveries(&self.readers, tenant, query))
    }

    fn delivery_log(&self, tenant: TenantId, query: LogQuery) -> Reply<'_, Searched<Logged, DeliveryId>> {
        Box::pin(delivery_log::page(&self.readers, tenant, query))
    }

    fn count_deliveries(&self, tenant: TenantId, query: DeliveryQuery) -> Reply<'_, u64> {
        Box::pin(reads::count_deliveries(&self.readers, tenant, query))
    }

    fn prepared(&self, tenant: TenantId, delivery: DeliveryId) -> Reply<'_, Option<Prepared>> {
        Box::pin(reads::prepared(&self.readers, tenant, delivery))
    }

    fn attempts(&self, tenant: TenantId, delivery: DeliveryId) -> Reply<'_, Vec<StoredAttempt>> {
        Box::pin(reads::attempts(&self.readers, tenant, delivery))
    }

    fn add_plugin_use(&self, day: Day, uses: Vec<PluginUse>) -> Reply<'_, ()> {
        self.write(move |conn| Box::pin(usage::add(conn, day, uses)))
    }

    fn add_event_counts(&self, counts: Vec<(TenantId, Day, Counted)>) -> Reply<'_, ()> {
        self.write(move |conn| Box::pin(usage::add_counts(conn, counts)))
    }

    fn event_counts(&self, from: Day) -> Reply<'_, Vec<(TenantId, Day, Counted)>> {
        Box::pin(usage::counts(&self.readers, from))
    }

    fn plugin_use(&self, tenant: TenantId, from: Day) -> Reply<'_, Vec<(Day, PluginUse)>> {
        Box::pin(usage::since(&self.readers, tenant, from))
    }

    fn step_entry<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
        key: &'a str,
    ) -> Reply<'a, Option<Entry>> {
        Box::pin(state::entry(&self.readers, (tenant, place, step), key))
    }

    fn step_entries<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
    ) -> Reply<'a, BTreeMap<String, Entry>> {
        Box::pin(state::entries(&self.readers, (tenant, place, step)))
    }

    fn put_step_entry<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
        key: &'a str,
        value: Vec<u8>,
        expected: Option<u32>,
    ) -> Reply<'a, Result<u32, StateError>> {
        let (step, key) = (step.clone(), key.to_owned());
        self.write(move |conn| {
            Box::pin(async move { state::put(conn, (tenant, place, &step), &key, &value, expected).await })
        })
    }

    fn delete_step_entry<'a>(
        &'a self,
        tenant: TenantId,
        place: PlaceId,
        step: &'a StepRef,
        key: &'a str,
        expected: Option<u32>,
    ) -> Reply<'a, Result<(), StateError>> {
        let (step, key) = (step.clone(), key.to_owned());
        self.write(move |conn| {
            Box::pin(async move { state::delete(conn, (tenant, place, &step), &key, expected).await })
        })
    }

    fn ping(&self) -> Reply<'_, ()> {
        const PING: &str = "
            INSERT INTO meta (name, value) VALUES ('ping', $1)
            ON CONFLICT (name) DO UPDATE SET value = CASE meta.value WHEN $1 THEN $2 ELSE $1 END";
        self.write(|conn| {
            Box::pin(async move {
                sqlx::query(PING).bind([0].as_slice()).bind([1].as_slice()).execute(conn).await?;
                Ok::<_, StoreError>(())
            })
        })
    }
}

fn random_token() -> ClaimToken {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    ClaimToken(i64::from_ne_bytes(bytes))
}
