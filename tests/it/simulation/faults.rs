//! What happens to a world from outside: events are published, receivers have their
//! moods, hosts die and stand still, clocks are set, the store fails over.

use std::time::Duration;

use hookyard::domain::delivery::{Outcome, Unreachable, Word};
use hookyard::domain::id::{DeliveryId, EndpointId};
use hookyard::domain::time::Timestamp;

use super::clock::{Agreement, HOUR, MINUTE, SECOND, START, millis};
use super::findings::Cause;
use super::host::{Host, timeout};
use super::intake::Drafted;
use super::judge::Moment;
use super::world::{Act, Step, TROUBLE, World};

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Its answers come just in time.
    Slow,
    Refusing,
    Hanging,
    Broken,
    Unreachable,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Kill {
        host: usize,
        rest: i64,
    },
    /// SIGSTOP, and SIGCONT after this time.
    Pause {
        host: usize,
        rest: i64,
    },
    /// SIGTERM.
    Drain {
        host: usize,
        rest: i64,
    },
    Start {
        host: usize,
    },
    SetClock {
        host: usize,
        by: i64,
    },
    /// The standby has what the store has now.
    CatchUp,
    FailOver {
        rest: i64,
    },
    Receiver {
        endpoint: usize,
        mood: Mood,
    },
    Retry,
    Cancel,
}

impl World {
    /// Draws all that comes from outside.
    pub(super) fn plan(&mut self) {
        for host in 0..self.hosts.len() {
            self.begin_routine(host);
        }
        let mut at = 0;
        for key in 0..4 + self.chance.below(12) {
            // Some come at nearly the same time.
            at = if self.chance.one_in(3) {
                at + self.chance.between(0, 50)
            } else {
                self.chance.between(0, TROUBLE - MINUTE)
            };
            let later = self.chance.between(SECOND, 2 * MINUTE);
            let deliver_at = self.chance.one_in(8).then(|| Timestamp::from_millis(START + at + later));
            let subject = ["a", "b", ""][self.chance.below(3)];
            let subject = (!subject.is_empty()).then(|| subject.to_owned());
            self.drafts.push(Drafted { subject, deliver_at });
            self.after(at, Step::Publish(key));
        }
        for _ in 0..self.chance.below(8) {
            let (at, fault) = (self.chance.between(0, TROUBLE), self.fault());
            self.after(at, Step::Fault(fault));
        }
        for _ in 0..self.chance.below(5) {
            let at = self.chance.between(0, 2 * TROUBLE);
            let fault = if self.chance.one_in(3) { Fault::Cancel } else { Fault::Retry };
            self.after(at, Step::Fault(fault));
        }
        for endpoint in 0..self.endpoints.len() {
            if self.chance.one_in(2) {
                self.moods[endpoint] = self.mood();
            }
            for _ in 0..self.chance.below(4) {
                let at = self.chance.between(0, TROUBLE);
                let mood = self.mood();
                self.after(at, Step::Fault(Fault::Receiver { endpoint, mood }));
            }
            let mood = if self.chance.one_in(4) { self.mood() } else { Mood::Well };
            self.after(TROUBLE, Step::Fault(Fault::Receiver { endpoint, mood }));
        }
        for at in (0..TROUBLE).step_by(7000) {
            self.after(at, Step::Fault(Fault::CatchUp));
        }
    }

    fn fault(&mut self) -> Fault {
        let host = self.chance.below(self.hosts.len());
        let rest = self.chance.between(SECOND, MINUTE);
        match self.chance.below(8) {
            0 | 1 => Fault::Kill { host, rest },
            2 | 3 => Fault::Pause { host, rest: 3 * rest },
            4 => Fault::Drain { host, rest },
            5 if self.hosts.len() > 1 => Fault::FailOver { rest: rest / 2 },
            _ if self.agreement == Agreement::Wild => {
                Fault::SetClock { host, by: [HOUR, -10 * SECOND, -HOUR][self.chance.below(3)] }
            }
            _ => Fault::Pause { host, rest: 3 * rest },
        }
    }

    fn mood(&mut self) -> Mood {
        [Mood::Well, Mood::Slow, Mood::Slow, Mood::Refusing, Mood::Hanging, Mood::Broken, Mood::Unreachable]
            [self.chance.below(7)]
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Kill { host, rest } => {
                if self.hosts[host].is_alive {
                    self.end(host, rest);
                }
            }
            Fault::Pause { host, rest } => {
                let until = &mut self.hosts[host].paused_until;
                *until = (*until).max(self.truth + rest);
                self.judge.befell_host(host, self.truth, Cause::Paused);
            }
            Fault::Drain { host, rest } => {
                if self.hosts[host].is_alive && !self.hosts[host].is_stopping {
                    self.later(host, 0, Act::Drain { rest });
                }
            }
            Fault::Start { host } => self.start(host),
            Fault::SetClock { host, by } => {
                self.clocks[host].set(by);
                self.judge.befell_host(host, self.truth, Cause::ClockSet);
            }
            Fault::CatchUp => self.behind = (!self.rules.is_synchronous).then(|| self.model.clone()),
            Fault::FailOver { rest } => {
                (self.failed_over_at, self.down_until) = (self.truth, self.truth + rest);
                if let Some(behind) = self.behind.clone() {
                    self.model = behind;
                }
            }
            Fault::Receiver { endpoint, mood } => self.moods[endpoint] = mood,
            Fault::Retry | Fault::Cancel => self.by_hand(fault),
        }
    }

    /// All that it had in memory is gone.
    pub(super) fn end(&mut self, host: usize, rest: i64) {
        self.judge.befell_host(host, self.truth, Cause::Killed);
        let life = self.hosts[host].life + 1;
        self.hosts[host] = Host::started(life, Vec::new(), false);
        self.hosts[host].is_alive = false;
        self.after(rest, Step::Fault(Fault::Start { host }));
    }

    fn start(&mut self, host: usize) {
        let healths = self.model.healths.iter().map(|(endpoint, health)| (*endpoint, *health)).collect();
        let (life, is_alone) = (self.hosts[host].life + 1, self.hosts.len() == 1);
        self.hosts[host] = Host::started(life, healths, is_alone);
        // Only the only host may know that nobody holds anything.
        if is_alone {
            for id in self.model.take_over(self.now(host)) {
                self.judge.released(id);
            }
        }
        self.begin_routine(host);
    }

    fn begin_routine(&mut self, host: usize) {
        let wait = self.chance.between(0, 200);
        self.poll_after(host, wait);
        if self.hosts.len() > 1 {
            self.later(host, 0, Act::Beat);
        }
    }

    /// Somebody retries or cancels one of the deliveries, through one of the hosts.
    fn by_hand(&mut self, fault: Fault) {
        let ids: Vec<DeliveryId> = self.model.rows.keys().copied().collect();
        if ids.is_empty() || self.down_until > self.truth {
            return;
        }
        let (id, host) = (ids[self.chance.below(ids.len())], self.chance.below(self.hosts.len()));
        let now = self.now(host);
        let at = Moment { truth: self.truth, host, times: &self.times() };
        let before = self.model.rows[&id].clone();
        match fault {
            Fault::Cancel => {
                if self.model.cancel(id, now) {
                    self.judge.cancelled(at, id);
                }
            }
            _ => {
                let retried = self.model.retry(id, now).is_ok();
                let row = &self.model.rows[&id];
                if retried && *row != before {
                    self.judge.retried(at, id, row);
                }
            }
        }
    }

    /// What comes of a request to a receiver, and after how long.
    pub(super) fn exchange(&mut self, id: EndpointId) -> (Outcome, i64) {
        let (at, endpoint) = self.endpoint(id);
        let limit = timeout(endpoint);
        let longest = millis(limit);
        let soon = self.chance.between(1, 800);
        match self.moods[at] {
            Mood::Slow => (Outcome::Accepted { status: 200 }, longest - self.chance.between(1, 500)),
            Mood::Well => (Outcome::Accepted { status: 204 }, soon),
            Mood::Refusing => {
                let asks = self.chance.between(1, 60);
                let retry_after = self.chance.one_in(3).then(|| Duration::from_secs(asks.unsigned_abs()));
                let word = self.chance.one_in(20).then_some(Word::Abort);
                let status = [500, 429, 404][self.chance.below(3)];
                (Outcome::Refused { status, retry_after, word }, soon)
            }
            Mood::Hanging => (Outcome::Unreachable(Unreachable::TimedOut(limit)), longest),
            Mood::Broken => {
                let takes = self.chance.between(1, longest);
                (Outcome::Unreachable(Unreachable::Broken("reset".to_owned())), takes)
            }
            Mood::Unreachable => (Outcome::Unreachable(Unreachable::Connect("refused".to_owned())), soon),
        }
    }
}
