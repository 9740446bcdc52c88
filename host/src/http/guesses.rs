//! Guessing made slow: how often it may be tried to sign in, by account and by
//! address, and how many passwords are hashed at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use tokio::sync::Semaphore;

use super::error::ApiError;
use crate::domain::bucket::{Bucket, Flow};
use crate::domain::pace::{Period, RateLimit};
use crate::domain::time::Timestamp;
use crate::domain::user::Email;

/// Tries that fail, of one account from one address: as many at once, and one more
/// every three minutes. Whoever forgot theirs needs a few.
const HERE: RateLimit = RateLimit { limit: 20, per: Period::Hour };
/// Of one account from everywhere: more, so that one address that guesses does not
/// keep out whoever is meant. From five, a list of the thousand commonest passwords
/// takes ten hours.
const OF_ACCOUNT: RateLimit = RateLimit { limit: 100, per: Period::Hour };
/// An office may be behind one address.
const OF_ADDRESS: RateLimit = RateLimit { limit: 100, per: Period::Hour };
/// And a town behind a network that some give to one customer.
const OF_NETWORK: RateLimit = RateLimit { limit: 400, per: Period::Hour };
/// So many of them all are remembered.
const MOST: usize = 20_000;
/// What that many make room for at once: looking for it takes a while.
const ROOM: usize = MOST / 8;
/// Each hash takes 19 MiB and a core for tens of milliseconds, and deliveries
/// want cores too.
const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a connection came from.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// It is one of the operator's proxies, which say for whom they call.
    pub(super) is_proxy: bool,
}

/// What a try counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tried {
    Here(Email, IpAddr),
    Account(Email),
    /// Of IPv6 a network of 64 bits: whoever has one address has all of it.
    Address(IpAddr),
    /// Of 48 bits, the largest that one customer gets (RFC 6177).
    Network(Ipv6Addr),
    /// Going to the OpenID provider, which any page can make a browser do: apart
    /// from tries, so that it keeps nobody from those.
    Begun(IpAddr),
}

/// What was tried lately.
pub struct Guesses {
    seats: Semaphore,
    tried: Mutex<HashMap<Tried, Bucket>>,
    /// That somebody is not believed was said.
    is_said: AtomicBool,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { seats: Semaphore::new(AT_ONCE), tried: Mutex::default(), is_said: AtomicBool::new(false) }
    }
}

impl Guesses {
    /// What a try counts for, of an account where it says one.
    pub(super) fn counted(&self, request: &Parts, email: Option<&Email>) -> Vec<Tried> {
        let address = self.address(request);
        let here = email.zip(address).map(|(email, address)| Tried::Here(email.clone(), address));
        let network = address.and_then(network).map(Tried::Network);
        let account = email.cloned().map(Tried::Account);
        [here, account, address.map(Tried::Address), network].into_iter().flatten().collect()
    }

    /// Whose address it is: the connection's, or the one that a proxy in front adds
    /// at the end of what it passes on.
    pub(super) fn address(&self, request: &Parts) -> Option<IpAddr> {
        let peer = request.extensions.get::<Peer>()?;
        let told = request.headers.get_all(FORWARDED_FOR).iter().next_back();
        if told.is_some() && !peer.is_proxy && !self.is_said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                address = %peer.address,
                "X-Forwarded-For is not believed: if a proxy of yours has this address, name it in `proxies`; until \
                 then whoever comes through it is slowed down by what the others try"
            );
        }
        let told = || told?.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok();
        let address = if peer.is_proxy { told().unwrap_or(peer.address) } else { peer.address };
        Some(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(leading(address, 64)),
            other => other,
        })
    }

    /// Counts a try of each, before it is looked at: tries at the same moment do
    /// not pass together. Or says how long they have to wait.
    pub(super) fn begin(&self, tries: &[Tried], now: Timestamp) -> Result<(), Duration> {
        let mut tried = self.lock();
        let wait = tries.iter().filter_map(|one| tried.get(one)?.admits(flow(one), 1, now).err()).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        if tried.len() + tries.len() > MOST {
            make_room(&mut tried, now);
        }
        for one in tries {
            tried.entry(one.clone()).or_default().take(flow(one), 1, now);
        }
        Ok(())
    }

    /// It was right: this one try is forgotten, and none of those before. Somebody
    /// else may have made them, and this one be an account of their own that has the
    /// same e-mail address.
    pub(super) fn succeeded(&self, tries: &[Tried]) {
        let mut tried = self.lock();
        for one in tries {
            if let Some(bucket) = tried.get_mut(one) {
                bucket.give_back(flow(one), 1);
            }
        }
    }

    /// Does what hashes passwords, aside and with few at once.
    pub(super) async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let seat = tokio::time::timeout(PATIENCE, self.seats.acquire()).await;
        let Ok(Ok(_seat)) = seat else { return Err(ApiError::Busy) };
        tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Crashed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tried, Bucket>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn flow(one: &Tried) -> Flow {
    Flow::of(match one {
        Tried::Here(..) => HERE,
        Tried::Account(_) => OF_ACCOUNT,
        Tried::Address(_) | Tried::Begun(_) => OF_ADDRESS,
        Tried::Network(_) => OF_NETWORK,
    })
}

/// Who tried nothing lately goes, and else those who tried least: however many names
/// and addresses somebody brings, what is used up stays.
fn make_room(tried: &mut HashMap<Tried, Bucket>, now: Timestamp) {
    tried.retain(|_, bucket| !bucket.is_full(now));
    if tried.len() <= MOST - ROOM {
        return;
    }
    let mut buckets: Vec<Bucket> = tried.values().copied().collect();
    let (_, bound, _) = buckets.select_nth_unstable(ROOM);
    tried.retain(|_, bucket| *bucket > *bound);
}

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What an IPv6 address is in.
fn network(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(leading(address, 48)),
    }
}

fn leading(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_763_700_000_000 + minutes * 60_000)
    }

    fn account(name: &str) -> Tried {
        Tried::Account(format!("{name}@example.com").parse().expect("an address"))
    }

    fn from(address: &str) -> Tried {
        Tried::Address(address.parse().expect("an address"))
    }

    #[test]
    fn tries_of_one_account_become_slow_and_others_do_not() {
        let guesses = Guesses::default();
        let jane = [account("jane"), from("192.0.2.1")];
        for _ in 0..100 {
            assert_eq!(guesses.begin(&jane[..1], at(0)), Ok(()));
        }
        assert_eq!(guesses.begin(&jane, at(0)), Err(Duration::from_secs(36)));
        assert_eq!(guesses.begin(&[account("john"), jane[1].clone()], at(0)), Ok(()));
        assert_eq!(guesses.begin(&jane, at(1)), Ok(()));
        assert!(guesses.begin(&jane, at(1)).is_err());
    }

    #[test]
    fn one_address_does_not_use_up_what_an_account_has() {
        let guesses = Guesses::default();
        let jane = |last: u8| {
            let email = "jane@example.com".parse().expect("an address");
            [Tried::Here(email, [192, 0, 2, last].into()), account("jane"), Tried::Address([192, 0, 2, last].into())]
        };
        for address in 1..=5 {
            for _ in 0..20 {
                assert_eq!(guesses.begin(&jane(address), at(0)), Ok(()));
            }
            assert_eq!(
                guesses.begin(&jane(address), at(0)),
                Err(Duration::from_secs(180)),
                "refused, it counts for nothing"
            );
        }
        assert_eq!(guesses.begin(&jane(6), at(0)), Err(Duration::from_secs(36)));
    }

    #[test]
    fn whoever_succeeds_gets_this_try_back_and_no_other() {
        let guesses = Guesses::default();
        let jane = [account("jane"), from("192.0.2.1")];
        for _ in 0..99 {
            assert_eq!(guesses.begin(&jane, at(0)), Ok(()));
        }
        for _ in 0..3 {
            assert_eq!(guesses.begin(&jane, at(0)), Ok(()));
            guesses.succeeded(&jane);
        }
        assert_eq!(guesses.begin(&jane, at(0)), Ok(()));
        assert!(guesses.begin(&jane, at(0)).is_err());
    }

    #[test]
    fn an_address_becomes_slow_whatever_it_tries() {
        let guesses = Guesses::default();
        let here = from("192.0.2.1");
        for number in 0..100 {
            assert_eq!(guesses.begin(&[account(&format!("x{number}")), here.clone()], at(0)), Ok(()));
        }
        assert!(guesses.begin(&[account("y"), here], at(0)).is_err());
    }

    #[test]
    fn names_and_addresses_without_end_make_nobody_forgotten() {
        let guesses = Guesses::default();
        let targets = [account("jane"), from("192.0.2.1")];
        for _ in 0..50 {
            assert_eq!(guesses.begin(&targets, at(0)), Ok(()));
        }
        for number in 0..(3 * MOST as u32) {
            let others = [account(&number.to_string()), Tried::Address((0x0a00_0000 + number).to_be_bytes().into())];
            assert_eq!(guesses.begin(&others, at(0)), Ok(()));
            assert!(guesses.lock().len() <= MOST);
        }
        for _ in 0..50 {
            assert_eq!(guesses.begin(&targets, at(0)), Ok(()));
        }
        for target in targets {
            assert!(guesses.begin(&[target], at(0)).is_err());
        }
    }

    #[test]
    fn a_proxy_is_believed_and_nobody_else() {
        let check = |address: &str, is_proxy: bool, told: Option<&str>, expected: &[&str]| {
            let mut request = axum::http::Request::new(()).into_parts().0;
            request.extensions.insert(Peer { address: address.parse().expect("an address"), is_proxy });
            if let Some(told) = told {
                request.headers.insert(FORWARDED_FOR, told.parse().expect("a header"));
            }
            let counted = Guesses::default().counted(&request, None);
            let counted: Vec<String> = counted.iter().map(|one| format!("{one:?}")).collect();
            assert_eq!(counted, expected);
        };
        let told = Some("203.0.113.9, 198.51.100.7");
        check("127.0.0.1", true, told, &["Address(198.51.100.7)"]);
        check("127.0.0.1", false, told, &["Address(127.0.0.1)"]);
        check("127.0.0.1", true, None, &["Address(127.0.0.1)"]);
        check("2001:db8:1:2:3:4:5:6", false, None, &["Address(2001:db8:1:2::)", "Network(2001:db8:1::)"]);
        check("::ffff:192.0.2.1", false, None, &["Address(192.0.2.1)"]);
        let nowhere = axum::http::Request::new(()).into_parts().0;
        assert_eq!(Guesses::default().counted(&nowhere, None), []);
    }
}
