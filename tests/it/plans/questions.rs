//! What is asked: every list of the API by everything that can be asked of it, what
//! whoever claims asks, and what upkeep does.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hookyard::domain::claim::Claim;
use hookyard::domain::delivery::{Next, State};
use hookyard::domain::event::Draft;
use hookyard::domain::id::{AuditId, DeliveryId, ErasureId, EventId, RequestId, SourceId, TenantId, TypedId as _};
use hookyard::domain::time::Timestamp;
use hookyard::domain::usage;
use hookyard::domain::user::Whose;
use hookyard::store::catalog::AuditQuery;
use hookyard::store::keeping::{Old, Sought, Sweep};
use hookyard::store::ledger::{
    DeliveryQuery, EventQuery, Idempotency, LogQuery, Recording, ReplayQuery, RequestQuery, RerunQuery, Settlement,
    Share, Which,
};
use serde_json::value::RawValue;

use super::filled::Asked;

type Answer<'a> = Pin<Box<dyn Future<Output = Option<u32>> + 'a>>;

/// What is asked of a store.
pub(super) struct Question {
    pub(super) name: String,
    ask: Box<dyn for<'a> Fn(&'a Asked) -> Answer<'a>>,
    most: u64,
    pub(super) often: usize,
}

/// A page, and what is read beside: one row of each day at least.
const MOST: u64 = 1_000;
const LIMIT: u32 = 50;

impl Question {
    fn new(name: impl Into<String>, ask: impl for<'a> Fn(&'a Asked) -> Answer<'a> + 'static) -> Self {
        Self { name: name.into(), ask: Box::new(ask), most: MOST, often: 1 }
    }

    /// Asked by somebody else.
    pub(super) fn named(name: &str) -> Self {
        Self::new(name, |_| Box::pin(async { None }))
    }

    /// It may read so many rows.
    fn reading(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// One statement for all values: asked so often, the server may have kept one plan for
    /// them, too.
    fn often(self) -> Self {
        Self { often: 7, ..self }
    }

    /// Answers how many rows the answer says that it has looked at.
    pub(super) async fn ask(&self, asked: &Asked) -> Option<u32> {
        (self.ask)(asked).await
    }

    /// What is looked at is read with what belongs to it, and once more for its end.
    pub(super) fn most(&self, looked_at: Option<u32>) -> u64 {
        self.most + 3 * u64::from(looked_at.unwrap_or(0))
    }
}

macro_rules! asking {
    ($name:expr, $wanted:ident, |$asked:ident| $answer:expr) => {
        Question::new($name, move |$asked: &Asked| {
            let $wanted = $wanted.clone();
            Box::pin(async move { $answer })
        })
    };
    ($name:expr, |$asked:ident| $answer:expr) => {
        Question::new($name, move |$asked: &Asked| Box::pin(async move { $answer }))
    };
}

/// Every list.
pub(super) fn questions(asked: &Asked) -> Vec<Question> {
    let mut all = Vec::new();
    delivery_log(asked, &mut all);
    events(asked, &mut all);
    requests(asked, &mut all);
    deliveries(asked, &mut all);
    all.extend(others(asked).into_iter().map(Question::often));
    all
}

fn delivery_log(asked: &Asked, all: &mut Vec<Question>) {
    let mut add = |name: &str, tenant: TenantId, wanted: LogQuery| {
        let wanted = LogQuery { limit: LIMIT, ..wanted };
        all.push(asking!(format!("delivery log {name}"), wanted, |asked| {
            asked.ledger.delivery_log(tenant, wanted).await.expect("it answers").searched
        }));
    };
    let at = asked.at(0.5);
    for ways in 0..32_u32 {
        for state in [None, Some(State::Pending), Some(State::Delivered), Some(State::Dead)] {
            let has = |bit: u32| ways & bit > 0;
            let wanted = LogQuery {
                event: has(1).then_some(asked.event),
                endpoint: has(2).then_some(asked.quiet_endpoint),
                text: has(4).then(|| "a_b%".to_owned()),
                event_type: has(4).then(|| "order.*".parse().expect("a pattern")),
                account: has(8).then(|| "elsewhere".to_owned()),
                endpoints_of_text: vec![asked.busy_endpoint; ways as usize],
                state,
                since: has(16).then_some(asked.at(0.1)),
                until: has(16).then_some(at),
                older_than: has(16).then(|| DeliveryId::floor(at)),
                ..LogQuery::default()
            };
            let name = format!("{ways:05b} {}", state.map_or("any", State::as_str));
            add(&name, asked.large, wanted);
        }
    }
    for (name, tenant) in [("small", asked.small), ("nobody", asked.nobody)] {
        add(&format!("of {name}, newest"), tenant, LogQuery::default());
        for state in [State::Pending, State::Dead, State::Cancelled] {
            add(
                &format!("of {name}, {}", state.as_str()),
                tenant,
                LogQuery { state: Some(state), ..LogQuery::default() },
            );
        }
    }
    let busy = LogQuery { endpoint: Some(asked.busy_endpoint), ..LogQuery::default() };
    add("of a busy endpoint", asked.large, busy.clone());
    add(
        "of a busy endpoint, further",
        asked.large,
        LogQuery { older_than: Some(DeliveryId::floor(at)), ..busy.clone() },
    );
    add("of a busy endpoint, dead", asked.large, LogQuery { state: Some(State::Dead), ..busy });
    add("one", asked.large, LogQuery { only: Some(asked.delivery), ..LogQuery::default() });
}

fn events(asked: &Asked, all: &mut Vec<Question>) {
    let mut add = |name: &str, tenant: TenantId, wanted: EventQuery| {
        let wanted = EventQuery { limit: LIMIT, ..wanted };
        all.push(asking!(format!("events {name}"), wanted, |asked| {
            asked.ledger.events(tenant, wanted).await.expect("it answers").searched
        }));
    };
    for ways in 0..64_u32 {
        let has = |bit: u32| ways & bit > 0;
        let wanted = EventQuery {
            event_type: has(1).then(|| "none.*".parse().expect("a pattern")),
            tag: has(2).then(|| "none".to_owned()),
            subject: has(4).then(|| "everybody".to_owned()),
            account: has(8).then(|| "elsewhere".to_owned()),
            without_account: has(16),
            after: has(32).then_some(asked.at(0.1)),
            before: has(32).then_some(asked.at(0.5)),
            older_than: has(32).then(|| EventId::floor(asked.at(0.5))),
            ..EventQuery::default()
        };
        add(&format!("{ways:06b}"), asked.large, wanted);
    }
    let history = EventQuery { with_data: true, max_data: Some(1 << 20), ..EventQuery::default() };
    for (name, subject) in [("everybody", "everybody"), ("nobody", "nobody"), ("somebody", "subject 7")] {
        let of = EventQuery { subject: Some(subject.to_owned()), ..EventQuery::default() };
        add(&format!("of the subject {name}, small"), asked.small, of.clone());
        add(&format!("of the subject {name}"), asked.large, of.clone());
        add(&format!("for a plugin, of {name}"), asked.large, EventQuery { subject: of.subject, ..history.clone() });
    }
    add("of a small tenant", asked.small, EventQuery::default());
    add("of nobody", asked.nobody, EventQuery::default());
}

fn requests(asked: &Asked, all: &mut Vec<Question>) {
    let states = [None, Some("accepted"), Some("quarantined"), Some("none")];
    for (name, source) in
        [("any source", None), ("a busy source", Some(asked.busy_source)), ("a quiet source", Some(asked.quiet_source))]
    {
        for state in states {
            for further in [false, true] {
                let older_than = further.then(|| RequestId::floor(asked.at(0.5)));
                let state_name = state.unwrap_or("any state");
                let name = format!("requests of {name}, {state_name}{}", if further { ", further" } else { "" });
                let wanted = RequestQuery { source, state: state.map(str::to_owned), older_than, limit: LIMIT };
                all.push(asking!(name.clone(), wanted, |asked| {
                    asked.ledger.requests(asked.large, wanted).await.expect("it answers").searched
                }));
                let wanted = RequestQuery { source: None, state: state.map(str::to_owned), older_than, limit: LIMIT };
                if source.is_none() {
                    all.push(asking!(format!("{name}, small"), wanted, |asked| {
                        asked.ledger.requests(asked.small, wanted).await.expect("it answers").searched
                    }));
                }
            }
        }
    }
    let rerun = |source: SourceId, after: Option<RequestId>, asked: &Asked| RerunQuery {
        source,
        states: vec!["accepted".to_owned(), "quarantined".to_owned()],
        since: Some(asked.at(0.3)),
        until: Some(asked.at(0.9)),
        after,
        limit: LIMIT,
    };
    for (name, source) in [("busy", asked.busy_source), ("quiet", asked.quiet_source)] {
        for after in [None, Some(RequestId::floor(asked.at(0.5)))] {
            all.push(asking!(format!("requests to run again of a {name} source"), |asked| {
                asked.ledger.requests_to_rerun(asked.large, rerun(source, after, asked)).await.expect("it answers");
                None
            }));
        }
    }
}

/// What replays, `explain` and whoever asks for one thing read.
fn deliveries(asked: &Asked, all: &mut Vec<Question>) {
    let mut add = |name: &str, wanted: DeliveryQuery| {
        let wanted = DeliveryQuery { limit: LIMIT, ..wanted };
        all.push(asking!(format!("deliveries {name}"), wanted, |asked| {
            asked.ledger.deliveries(asked.large, wanted).await.expect("it answers");
            None
        }));
    };
    let of_event = DeliveryQuery { event: Some(asked.event), ..DeliveryQuery::default() };
    add("of an event", of_event.clone());
    add("of an event to an endpoint", DeliveryQuery { endpoint: Some(asked.quiet_endpoint), ..of_event });
    let replayed = DeliveryQuery {
        endpoint: Some(asked.busy_endpoint),
        states: vec![State::Delivered],
        since: Some(asked.at(0.2)),
        until: Some(asked.at(0.9)),
        with_data: true,
        oldest_first: true,
        ..DeliveryQuery::default()
    };
    add("to be replayed", replayed.clone());
    add(
        "to be replayed, further",
        DeliveryQuery { newer_than: Some(DeliveryId::floor(asked.at(0.5))), ..replayed.clone() },
    );
    let narrowed = DeliveryQuery {
        event_types: vec!["order.*".parse().expect("a pattern")],
        account: Some("account 0".to_owned()),
        limit: 5,
        ..replayed
    };
    // One in fifty, on each day: there is no index for that.
    all.push(
        asking!("deliveries to be replayed, of a type and an account", narrowed, |asked| {
            asked.ledger.deliveries(asked.large, narrowed).await.expect("it answers");
            None
        })
        .reading(100_000),
    );
    let counted = DeliveryQuery {
        endpoint: Some(asked.quiet_endpoint),
        states: vec![State::Dead],
        since: Some(asked.begin),
        with_data: true,
        ..DeliveryQuery::default()
    };
    all.push(
        asking!("deliveries that a replay would find", counted, |asked| {
            asked.ledger.count_deliveries(asked.large, counted).await.expect("it answers");
            None
        })
        .reading(20_000),
    );
    all.push(
        asking!("one of each", |asked| {
            let (ledger, tenant) = (&asked.ledger, asked.large);
            assert!(ledger.event(tenant, asked.event).await.expect("it answers").is_some());
            assert!(ledger.request(tenant, asked.request).await.expect("it answers").is_some());
            assert!(ledger.delivery(tenant, asked.delivery).await.expect("it answers").is_some());
            assert!(ledger.prepared(tenant, asked.delivery).await.expect("it answers").is_some());
            assert!(!ledger.attempts(tenant, asked.delivery).await.expect("it answers").is_empty());
            ledger.events_of(tenant, asked.request).await.expect("it answers");
            None
        })
        .reading(50),
    );
}

fn others(asked: &Asked) -> Vec<Question> {
    let mut all = Vec::new();
    let whose = Whose::Tenant(asked.large);
    for (name, target) in [("", None), (" of what others have", Some("common")), (" of a target", Some("target 7"))] {
        for older_than in [None, Some(AuditId::floor(Timestamp::from_millis(asked.today.as_millis() - 3_599_000)))] {
            let wanted =
                AuditQuery { target: target.map(str::to_owned), older_than, limit: LIMIT, ..AuditQuery::default() };
            all.push(asking!(format!("audit{name}"), wanted, |asked| {
                asked.catalog.audit(whose, wanted).await.expect("it answers");
                None
            }));
        }
    }
    for endpoint in [None, Some(asked.quiet_endpoint)] {
        all.push(asking!("replays", |asked| {
            let wanted = ReplayQuery { endpoint, limit: LIMIT, ..ReplayQuery::default() };
            asked.ledger.replays(asked.large, wanted).await.expect("it answers");
            None
        }));
    }
    all.push(asking!("running replays", |asked| {
        asked.ledger.running_replays().await.expect("it answers");
        None
    }));
    all.push(asking!("erasures", |asked| {
        asked.ledger.erasures(asked.large, None, LIMIT).await.expect("it answers");
        asked.ledger.open_erasures().await.expect("it answers");
        None
    }));
    all.push(asking!("users", |asked| {
        asked.people.users(whose, None, LIMIT).await.expect("it answers");
        asked.people.by_email(&"somebody7@example.com".parse().expect("an address"), 10).await.expect("it answers");
        None
    }));
    all.push(asking!("sessions that are over", |asked| {
        asked.people.end_lapsed(asked.today, 10).await.expect("it answers");
        None
    }));
    all.push(
        asking!("dead and quarantined", |asked| {
            let (ledger, tenant) = (&asked.ledger, asked.large);
            ledger.count_dead(tenant, asked.at(0.5), 1_000).await.expect("it answers");
            ledger.count_quarantined(tenant, 1_000).await.expect("it answers");
            ledger.count_dead(asked.nobody, asked.at(0.5), 1_000).await.expect("it answers");
            ledger.count_quarantined(asked.nobody, 1_000).await.expect("it answers");
            None
        })
        .reading(3_000),
    );
    all.push(
        asking!("activity of a week", |asked| {
            let since = Timestamp::from_millis(asked.today.as_millis() - 7 * 24 * 60 * 60 * 1000);
            asked.ledger.activity(asked.large, since, asked.today).await.expect("it answers");
            None
        })
        .reading(3_000),
    );
    all.push(asking!("what plugins used", |asked| {
        asked.ledger.plugin_use(asked.large, usage::day(asked.at(0.5))).await.expect("it answers");
        None
    }));
    // Every tenant's, for the quotas.
    all.push(
        asking!("how many events came in", |asked| {
            asked.ledger.event_counts(usage::day(asked.today)).await.expect("it answers");
            None
        })
        .reading(20_000),
    );
    all.push(asking!("healths", |asked| {
        asked.ledger.healths().await.expect("it answers");
        None
    }));
    all.push(asking!("a key that was used", |asked| {
        let known = Idempotency { key: "key 7".to_owned(), fingerprint: [7; 32], now: asked.today };
        asked.ledger.repeated(asked.large, &known).await.expect("it answers");
        None
    }));
    all
}

/// What dispatch asks.
pub(super) fn claims(asked: &Asked) -> Vec<Question> {
    let (tenant, endpoint) = (asked.large, asked.waiting_endpoint);
    let all = [
        asking!("endpoints with something due", |asked| {
            assert!(!asked.ledger.due(asked.soon()).await.expect("it answers").is_empty());
            None
        })
        .reading(10_000),
        asking!("claim 100 of one endpoint", |asked| {
            let claimed = claim(asked, vec![Share { tenant, endpoint, limit: 100 }]).await;
            assert_eq!(claimed.len(), 100);
            None
        }),
        asking!("claim 100 of many endpoints", |asked| {
            let due = asked.ledger.due(asked.soon()).await.expect("it answers");
            let share = |(tenant, endpoint)| Share { tenant, endpoint, limit: 1 };
            let shares: Vec<Share> = due.into_iter().take(100).map(share).collect();
            let wanted = shares.len();
            assert!(claim(asked, shares).await.len() * 2 > wanted);
            None
        })
        .reading(10_000),
        asking!("the queue", |asked| {
            asked.ledger.queue(asked.soon()).await.expect("it answers");
            None
        })
        .reading(40_000),
    ];
    all.into_iter().map(Question::often).collect()
}

async fn claim(asked: &Asked, shares: Vec<Share>) -> Vec<Claim> {
    let until = asked.soon() + Duration::from_secs(60);
    asked.ledger.claim(asked.soon(), until, shares).await.expect("it answers")
}

/// What writes, in the order in which it may: the last ones take days away.
pub(super) fn changes(asked: &Asked) -> Vec<Question> {
    let (large, small) = (asked.large, asked.small);
    let mut all = vec![
        asking!("settle what was claimed", |asked| {
            let claimed =
                claim(asked, vec![Share { tenant: large, endpoint: asked.waiting_endpoint, limit: 20 }]).await;
            assert_eq!(claimed.len(), 20);
            for Claim { tenant, delivery, token, has_line, .. } in claimed {
                let settlement = Settlement {
                    tenant,
                    delivery,
                    token,
                    has_line,
                    prepared: None,
                    attempt: None,
                    next: Next::Delivered,
                    health: None,
                    now: asked.soon(),
                };
                assert!(asked.ledger.settle(settlement).await.expect("it answers"));
            }
            None
        }),
        asking!("record, with a key", |asked| {
            record(asked).await;
            None
        }),
        asking!("retry a dead one", |asked| {
            let dead = LogQuery { state: Some(State::Dead), limit: 1, ..LogQuery::default() };
            let found = asked.ledger.delivery_log(asked.other, dead).await.expect("it answers");
            let id = found.items.first().expect("it has some").delivery.id;
            asked.ledger.retry(asked.other, id, asked.soon()).await.expect("it answers").expect("it is dead");
            asked.ledger.cancel(asked.other, Which::One(id), asked.soon()).await.expect("it answers");
            None
        }),
        asking!("cancel an event's", |asked| {
            asked.ledger.cancel(large, Which::Of(asked.event), asked.soon()).await.expect("it answers");
            None
        }),
        asking!("let some out of their lines", |asked| {
            asked.ledger.release_lines(large, asked.ordered_endpoint, 50).await.expect("it answers");
            None
        }),
        asking!("forget activity", |asked| {
            asked.ledger.forget_activity(asked.today, 50).await.expect("it answers");
            None
        }),
        asking!("end sessions", |asked| {
            asked.people.end_lapsed(asked.soon(), 50).await.expect("it answers");
            None
        }),
        asking!("erase a subject", |asked| {
            let id = ErasureId::new(asked.today, hookyard::clock::random());
            asked.ledger.ask_erasure(large, id, "everybody".to_owned(), asked.today).await.expect("there is room");
            asked.ledger.erase(large, id, 100, asked.today).await.expect("it answers");
            asked.ledger.end_erasure(large, id, asked.today).await.expect("it answers");
            None
        }),
    ];
    for sought in [
        Sought::Answers,
        Sought::EventBodies,
        Sought::RequestBodies,
        Sought::Attempts,
        Sought::Events,
        Sought::Requests,
    ] {
        for tenant in [large, asked.other] {
            all.push(asking!(format!("sweep {}", sought.as_str()), |asked| {
                let sweep = Sweep { sought, begin: String::new(), before: asked.at(0.5), limit: 50, now: asked.soon() };
                asked.ledger.sweep(tenant, sweep).await.expect("it answers");
                None
            }));
        }
    }
    all = all.into_iter().map(Question::often).collect();
    all.push(asking!("delete a tenant", |asked| {
        asked.catalog.delete_tenant(small, asked.today).await.expect("it is there");
        None
    }));
    all.push(
        asking!("purge a tenant", |asked| {
            // It may be gone, after some portions.
            let _is_more = asked.ledger.purge(small, 50).await;
            None
        })
        .often(),
    );
    // Looks for the days among all that the server has.
    all.push(
        asking!("drop days", |asked| {
            let before = Some(asked.at(0.2));
            let dropped = asked.ledger.drop_days(Old { requests: before, events: before, attempts: before }).await;
            assert!(dropped.expect("it answers").dropped > 0);
            None
        })
        .reading(5_000),
    );
    all
}

async fn record(asked: &Asked) {
    let draft = Draft {
        event_type: "order.paid".parse().expect("a type"),
        occurred_at: None,
        deliver_at: None,
        subject: None,
        account: None,
        tags: Vec::new(),
        data: Arc::from(RawValue::NULL.to_owned()),
    };
    let event =
        draft.into_event(EventId::new(asked.soon(), hookyard::clock::random()), asked.large, asked.soon(), None);
    let key = u64::from_le_bytes(hookyard::clock::random()).to_string();
    let idempotency = Some(Idempotency { key, fingerprint: [7; 32], now: asked.today });
    let (events, deliveries) = (vec![Arc::new(event)], Vec::new());
    let recording = Recording { tenant: asked.large, received: None, events, deliveries, idempotency, portion: None };
    asked.ledger.record(recording).await.expect("it is stored");
}
