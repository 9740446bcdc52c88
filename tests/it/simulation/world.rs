//! A world: some hosts, one store, some receivers and publishers, and a list of what
//! happens next. Each step is one transaction of the store, one event of the network
//! or one thing that a host does by itself; steps of one moment come in any order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hookyard::domain::claim::{Claim, ClaimToken, LEASE, LONGEST_DEADLINE, MARGIN};
use hookyard::domain::delivery::Outcome;
use hookyard::domain::endpoint::{Endpoint, Status};
use hookyard::domain::host::Part;
use hookyard::domain::id::{DeliveryId, EndpointId, TenantId, TypedId};
use hookyard::domain::pace::{Order, Pace, Period, RateLimit};
use hookyard::domain::pipeline::Pipeline;
use hookyard::domain::retry::RetryPolicy;
use hookyard::domain::subscription::Subscription;
use hookyard::domain::time::Timestamp;
use hookyard::domain::url::DeliveryUrl;
use hookyard::handoff::lanes::Slot;
use hookyard::store::ledger::{Recorded, Recording, Settlement, Share};

use super::chance::Chance;
use super::clock::{Agreement, HOUR, HostClock, MINUTE, SECOND, START};
use super::faults::{Fault, Mood};
use super::findings::{Cause, Figures, Wrong};
use super::host::{Host, timeout};
use super::intake::Drafted;
use super::judge::{Judge, Moment};
use super::model::{Keeps, Life, Model};

/// How long a claim holds and what the store keeps to: the program's own, unless a
/// test wants to see what it is good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) lease: Duration,
    /// An attempt is begun only if it would end so long before its claim does; or in
    /// any case.
    pub(super) margin: Option<Duration>,
    pub(super) keeps: Keeps,
    /// The standby that takes over has all that was acknowledged.
    pub(super) is_synchronous: bool,
    /// Clocks are like this, instead of drawn.
    pub(super) agreement: Option<Agreement>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            lease: LEASE,
            margin: Some(MARGIN),
            keeps: Keeps { fence: true, lines: true, waits: true },
            is_synchronous: true,
            agreement: None,
        }
    }
}

/// Faults come in this time, and events somewhat less long.
pub(super) const TROUBLE: i64 = 4 * MINUTE;
/// Nobody waits longer for the store.
const CALL_TIMEOUT: i64 = 10 * SECOND;
/// What has not come to rest by then never will.
const END: i64 = START + 24 * HOUR;

/// What may come next.
pub(super) enum Step {
    Publish(usize),
    Fault(Fault),
    /// A call arrives at the store.
    Store {
        from: Life,
        call: Call,
        is_told: bool,
    },
    /// A host does, or hears, something; if it is the one that it was.
    Host {
        host: usize,
        life: u32,
        act: Act,
    },
}

impl Step {
    /// It goes on for as long as there are hosts.
    fn is_routine(&self) -> bool {
        match self {
            Self::Store { call: Call::Beat { .. }, .. } => true,
            Self::Host { act, .. } => {
                matches!(
                    act,
                    Act::Poll(_) | Act::Beat | Act::Told(Call::Beat { .. }, ..) | Act::Failed(Call::Beat { .. })
                )
            }
            _ => false,
        }
    }
}

/// One transaction of the store, as a host asks for it.
#[derive(Clone)]
pub(super) enum Call {
    Record(Rc<Asked>),
    Claim { now: Timestamp, until: Timestamp, token: ClaimToken, shares: Vec<Share> },
    Settle { hand: u64, settlement: Arc<Settlement> },
    Release { held: Vec<(DeliveryId, ClaimToken)>, now: Timestamp },
    Beat { asked: Timestamp, now: Timestamp, until: Timestamp },
    Leave,
}

/// What a publisher asks for, and what the host that it asked keeps for it meanwhile.
pub(super) struct Asked {
    pub(super) key: usize,
    pub(super) recording: Recording,
    pub(super) is_later: bool,
    pub(super) claims: RefCell<Vec<(Claim, Slot)>>,
    pub(super) now: Timestamp,
}

pub(super) enum Act {
    Poll(u64),
    Beat,
    /// A delivery's turn in its host's hand.
    Begin(u64),
    Prepare(u64),
    Prepared(u64),
    Send(u64),
    Hear(u64, Outcome),
    Publish(usize),
    /// The store's answer, and when it was given.
    Told(Call, Answer, i64),
    Failed(Call),
    /// It is asked to stop.
    Drain {
        rest: i64,
    },
    /// It was asked long enough ago.
    Stop {
        rest: i64,
    },
}

pub(super) enum Answer {
    Recorded(Recorded),
    Claimed(Vec<Claim>),
    /// Its part, and what the store's clock said.
    Beat(Part, Timestamp),
    /// Whether its claim was still held.
    Settled(bool),
    Done,
}

pub(super) struct World {
    pub(super) truth: i64,
    pub(super) tenant: TenantId,
    pub(super) chance: Chance,
    steps: BTreeMap<(i64, usize, u64), Step>,
    counter: u64,
    /// Steps that are not a host's asking for what is due.
    busy: usize,
    pub(super) rules: Rules,
    pub(super) model: Model,
    /// What a standby would have that is behind.
    pub(super) behind: Option<Model>,
    pub(super) down_until: i64,
    pub(super) failed_over_at: i64,
    pub(super) hosts: Vec<Host>,
    pub(super) clocks: Vec<HostClock>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) moods: Vec<Mood>,
    pub(super) drafts: Vec<Drafted>,
    pub(super) agreement: Agreement,
    pub(super) judge: Judge,
    /// Of so many calls to the store, one is lost in some way.
    pub(super) loss: usize,
    pub(super) policy: RetryPolicy,
}

impl World {
    /// Runs one from its beginning until all rests.
    pub(super) fn run(seed: u64, rules: Rules) -> (Vec<(Wrong, String)>, Figures) {
        let mut world = Self::new(seed, rules);
        world.plan();
        let rests = world.go_on();
        world.judge.finish(&world.model, rests);
        (world.judge.wrongs, world.judge.figures)
    }

    fn new(seed: u64, rules: Rules) -> Self {
        let mut chance = Chance::new(seed);
        let tenant = TenantId::new(Timestamp::from_millis(START), [1; 10]);
        let agreement = rules.agreement.unwrap_or_else(|| match chance.below(3) {
            0 => Agreement::Exact,
            1 => Agreement::Near,
            _ => Agreement::Wild,
        });
        let hosts = 1 + chance.below(4);
        let clock = |chance: &mut Chance| match agreement {
            Agreement::Exact => HostClock::new(0, 0),
            Agreement::Near => HostClock::new(chance.between(-3000, 3000), chance.between(-200, 200)),
            Agreement::Wild => HostClock::new(chance.between(-10_000, 10_000), chance.between(-200, 200)),
        };
        let clocks: Vec<HostClock> = (0..hosts).map(|_| clock(&mut chance)).collect();
        let endpoints = endpoints(tenant);
        let policy = RetryPolicy { schedule: vec![5, 30, 120, 600], jitter: 0.2 };
        let timeouts = endpoints.iter().map(|endpoint| (endpoint.id, timeout(endpoint))).collect();
        let loss = [0, 100, 15][chance.below(3)];
        Self {
            truth: START,
            tenant,
            steps: BTreeMap::new(),
            counter: 0,
            busy: 0,
            model: Model::new(tenant, rules.keeps),
            behind: None,
            down_until: 0,
            failed_over_at: 0,
            hosts: (0..hosts).map(|_| Host::started(1, Vec::new(), hosts == 1)).collect(),
            clocks,
            drafts: Vec::new(),
            agreement,
            moods: vec![Mood::Well; endpoints.len()],
            judge: Judge::new(agreement, rules.lease, policy.schedule.len(), timeouts),
            endpoints,
            // Where there is one, the store is a file of its own.
            loss: if hosts == 1 { 0 } else { loss },
            policy,
            chance,
            rules,
        }
    }

    fn go_on(&mut self) -> bool {
        while self.truth < END {
            if self.busy == 0 && self.model.all_rest() {
                return true;
            }
            let ((at, _, _), step) = self.steps.pop_first().expect("hosts go on asking");
            self.truth = at;
            self.busy -= usize::from(!step.is_routine());
            self.take(step);
        }
        false
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish(key) => self.publish(key),
            Step::Fault(fault) => self.strike(fault),
            Step::Store { from, call, is_told } => self.arrive(from, call, is_told),
            Step::Host { host, life, act } => {
                let one = &self.hosts[host];
                if one.life != life || !one.is_alive {
                    return;
                }
                // What comes for one that is stopped waits in its sockets and timers.
                if one.paused_until > self.truth {
                    let wait = one.paused_until - self.truth;
                    return self.after(wait, Step::Host { host, life, act });
                }
                self.act(host, act);
            }
        }
    }

    /// Puts a step on the list.
    pub(super) fn after(&mut self, wait: i64, step: Step) {
        self.busy += usize::from(!step.is_routine());
        self.counter += 1;
        self.steps.insert((self.truth + wait, self.chance.below(1 << 16), self.counter), step);
    }

    pub(super) fn later(&mut self, host: usize, wait: i64, act: Act) {
        let life = self.hosts[host].life;
        self.after(wait, Step::Host { host, life, act });
    }

    /// An id or a token that no other has.
    pub(super) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn id<Id: TypedId>(&mut self, at: Timestamp) -> Id {
        let mut low = [0; 10];
        low[2..].copy_from_slice(&self.next().to_be_bytes());
        Id::new(at, low)
    }

    pub(super) fn now(&self, host: usize) -> Timestamp {
        self.clocks[host].at(self.truth)
    }

    pub(super) fn times(&self) -> Vec<Timestamp> {
        (0..self.hosts.len()).map(|host| self.now(host)).collect()
    }

    pub(super) fn endpoint(&self, id: EndpointId) -> (usize, &Endpoint) {
        let at = self.endpoints.iter().position(|endpoint| endpoint.id == id).expect("it is one of them");
        (at, &self.endpoints[at])
    }

    /// How long a message takes from here to there.
    fn latency(&mut self) -> i64 {
        if self.chance.one_in(10) { self.chance.between(20, 2000) } else { self.chance.between(1, 20) }
    }

    /// Asks the store. The call may be lost on its way, or its answer, or it comes when
    /// nobody waits for it any more.
    pub(super) fn call(&mut self, host: usize, call: Call) {
        let from = (host, self.hosts[host].life);
        let way = self.latency();
        if !self.chance.one_in(self.loss) {
            return self.after(way, Step::Store { from, call, is_told: true });
        }
        self.later(host, CALL_TIMEOUT, Act::Failed(call.clone()));
        self.lose(&call);
        match self.chance.below(3) {
            0 => {}
            1 => self.after(way, Step::Store { from, call, is_told: false }),
            _ => {
                let late = self.chance.between(CALL_TIMEOUT, 2 * MINUTE);
                self.after(late, Step::Store { from, call, is_told: false });
            }
        }
    }

    fn arrive(&mut self, from: Life, call: Call, is_told: bool) {
        let (host, life) = from;
        let way = self.latency();
        if self.down_until > self.truth {
            if is_told {
                self.lose(&call);
                self.after(way, Step::Host { host, life, act: Act::Failed(call) });
            }
            return;
        }
        let answer = self.transact(from, &call);
        if !is_told {
            return;
        }
        // Whether it was done is not known to whoever was asking when the store went.
        let act = Act::Told(call, answer, self.truth);
        self.after(way, Step::Host { host, life, act });
    }

    /// One transaction.
    fn transact(&mut self, from: Life, call: &Call) -> Answer {
        let times = self.times();
        let at = Moment { truth: self.truth, host: from.0, times: &times };
        let Self { model, judge, .. } = self;
        match call {
            Call::Record(asked) => {
                let recorded = model.record(&asked.recording, asked.now);
                if recorded == Recorded::Stored {
                    judge.recorded(at, asked.key, &asked.recording.deliveries, asked.is_later, model);
                }
                Answer::Recorded(recorded)
            }
            Call::Claim { now, until, token, shares } => {
                let claims = model.claim(*now, (*until, *token), shares);
                for claim in &claims {
                    judge.claimed(at, *now, claim);
                }
                Answer::Claimed(claims)
            }
            Call::Settle { settlement, .. } => {
                let before = model.rows.get(&settlement.delivery).cloned();
                let said = model.settle(settlement);
                if let (Some(before), Some(after)) = (before, model.rows.get(&settlement.delivery)) {
                    judge.settled(at, settlement, (&before, after), said);
                }
                Answer::Settled(said)
            }
            Call::Release { held, now } => {
                for id in model.release(held, *now) {
                    judge.released(id);
                }
                Answer::Done
            }
            Call::Beat { now, until, .. } => {
                Answer::Beat(model.beat(from, *now, *until), Timestamp::from_millis(self.truth))
            }
            Call::Leave => {
                model.leave_hosts(from);
                Answer::Done
            }
        }
    }

    /// Whoever waits for it will not know whether it was done.
    pub(super) fn lose(&mut self, call: &Call) {
        if let Call::Settle { settlement, .. } = call {
            self.judge.befell(settlement.delivery, settlement.token, Cause::CallLost);
        }
    }
}

fn endpoints(tenant: TenantId) -> Vec<Endpoint> {
    let paces = [
        Pace { rate_limit: Some(RateLimit { limit: 1, per: Period::Second }), ..Pace::default() },
        // What waits in its host's hand waits long.
        Pace { max_in_flight: Some(1), timeout_seconds: Some(LONGEST_DEADLINE.as_secs()), ..Pace::default() },
        Pace { ordered: Order::Endpoint, ..Pace::default() },
        Pace { ordered: Order::Subject, ..Pace::default() },
    ];
    let endpoint = |(number, pace): (u8, Pace)| Endpoint {
        id: EndpointId::new(Timestamp::from_millis(START), [number; 10]),
        tenant,
        name: String::new(),
        url: DeliveryUrl::stored("https://example.com/").expect("a URL"),
        subscription: Subscription { event_types: Vec::new(), accounts: Vec::new(), tags: Vec::new() },
        headers: Vec::new(),
        access: Arc::default(),
        pipeline: Pipeline::default(),
        retry: None,
        pace,
        dialect: String::new(),
        status: Status::Active,
        revision: 0,
        created_at: Timestamp::from_millis(START),
    };
    (1..).zip(paces).map(endpoint).collect()
}
