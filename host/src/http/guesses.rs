//! Guessing made slow: how often it may be tried to sign in, by account and by
//! address, and how many passwords are hashed at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::sync::Semaphore;

use super::error::ApiError;
use crate::domain::bucket::{Bucket, Flow};
use crate::domain::pace::{Period, RateLimit};
use crate::domain::time::Timestamp;
use crate::domain::user::Email;

/// Tries that fail, of one account: as many at once, and one more every three
/// minutes. Whoever forgot theirs needs a few; a list of the thousand commonest
/// passwords takes two days.
const OF_ACCOUNT: RateLimit = RateLimit { limit: 20, per: Period::Hour };
/// An office may be behind one address.
const OF_ADDRESS: RateLimit = RateLimit { limit: 100, per: Period::Hour };
/// So many accounts and addresses are remembered.
const MOST: usize = 20_000;
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

/// Who tries.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Tried {
    Account(Email),
    Address(IpAddr),
}

/// What was tried lately.
pub struct Guesses {
    seats: Semaphore,
    tried: Mutex<HashMap<Tried, Bucket>>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { seats: Semaphore::new(AT_ONCE), tried: Mutex::default() }
    }
}

impl Guesses {
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

    /// It was right: what was counted of the account is forgotten, and of the
    /// address this one try.
    pub(super) fn succeeded(&self, tries: &[Tried]) {
        let mut tried = self.lock();
        for one in tries {
            match (one, tried.get_mut(one)) {
                (Tried::Address(_), Some(bucket)) => bucket.give_back(flow(one), 1),
                _ => drop(tried.remove(one)),
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
        Tried::Account(_) => OF_ACCOUNT,
        Tried::Address(_) => OF_ADDRESS,
    })
}

/// Who tried nothing lately goes, and else whoever: an attacker with that many
/// addresses is kept by the account's count.
fn make_room(tried: &mut HashMap<Tried, Bucket>, now: Timestamp) {
    tried.retain(|_, bucket| !bucket.is_full(now));
    if tried.len() >= MOST - 2 {
        tried.retain(|one, _| matches!(one, Tried::Account(_)));
    }
    if tried.len() >= MOST - 2 {
        tried.clear();
    }
}

/// Whose address it is: the connection's, or the one that a proxy in front adds
/// at the end of what it passes on.
pub(super) fn address(peer: Option<&Peer>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer?;
    let told = || {
        let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
    };
    let address = if peer.is_proxy { told().unwrap_or(peer.address) } else { peer.address };
    Some(match address.to_canonical() {
        // Whoever has one has the whole network.
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        other => other,
    })
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

    #[test]
    fn tries_of_one_account_become_slow_and_others_do_not() {
        let guesses = Guesses::default();
        let jane = [account("jane"), Tried::Address([192, 0, 2, 1].into())];
        for _ in 0..20 {
            assert_eq!(guesses.begin(&jane, at(0)), Ok(()));
        }
        assert_eq!(guesses.begin(&jane, at(0)), Err(Duration::from_secs(180)));
        // From another address it is the same account.
        let elsewhere = [account("jane"), Tried::Address([192, 0, 2, 2].into())];
        assert!(guesses.begin(&elsewhere, at(0)).is_err());
        assert_eq!(guesses.begin(&[account("john"), jane[1].clone()], at(0)), Ok(()));
        assert_eq!(guesses.begin(&jane, at(3)), Ok(()));
        assert!(guesses.begin(&jane, at(3)).is_err());
        guesses.succeeded(&jane);
        assert_eq!(guesses.begin(&jane, at(3)), Ok(()));
    }

    #[test]
    fn an_address_becomes_slow_whatever_it_tries() {
        let guesses = Guesses::default();
        let here = Tried::Address([192, 0, 2, 1].into());
        for number in 0..100 {
            assert_eq!(guesses.begin(&[account(&format!("x{number}")), here.clone()], at(0)), Ok(()));
        }
        assert!(guesses.begin(&[account("y"), here], at(0)).is_err());
    }

    #[test]
    fn memory_of_tries_does_not_grow() {
        let guesses = Guesses::default();
        for number in 0..(MOST as u32 + 10) {
            let _counted = guesses.begin(&[Tried::Address(number.to_be_bytes().into())], at(0));
        }
        assert!(guesses.lock().len() <= MOST);
    }

    #[test]
    fn a_proxy_is_believed_and_nobody_else() {
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("x-forwarded-for"),
            axum::http::HeaderValue::from_static("203.0.113.9, 198.51.100.7"),
        )]);
        let peer = |is_proxy| Peer { address: [127, 0, 0, 1].into(), is_proxy };
        let check = |peer: Peer, headers: &HeaderMap, expected: &str| {
            assert_eq!(address(Some(&peer), headers).expect("an address").to_string(), expected);
        };
        check(peer(true), &headers, "198.51.100.7");
        check(peer(false), &headers, "127.0.0.1");
        check(peer(true), &HeaderMap::new(), "127.0.0.1");
        let six = Peer { address: "2001:db8:1:2:3:4:5:6".parse().expect("an address"), is_proxy: false };
        check(six, &headers, "2001:db8:1:2::");
        assert_eq!(address(None, &headers), None);
    }
}
