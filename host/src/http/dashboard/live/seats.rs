//! Who may look at once: few in all, and fewer of one session and of one tenant,
//! so that nobody sits in everybody's place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::client::Visitor;
use crate::domain::id::TenantId;
use crate::http::auth::Who;

/// At most this many look at once. Each rests twenty times as long as its looks
/// take: all of them keep three of the store's four readers busy, and those of one
/// tenant not one.
const MOST: usize = 64;
const MOST_OF_TENANT: usize = 20;
/// Its portals' visitors do not keep its own people out.
const MOST_OF_PORTALS: usize = 12;
const MOST_OF_SESSION: usize = 8;

/// Of whom seats are counted.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Of {
    All,
    Tenant(TenantId),
    Portals(TenantId),
    Session(String),
}

impl Of {
    fn most(&self) -> usize {
        match self {
            Self::All => MOST,
            Self::Tenant(_) => MOST_OF_TENANT,
            Self::Portals(_) => MOST_OF_PORTALS,
            Self::Session(_) => MOST_OF_SESSION,
        }
    }
}

/// How many look.
#[derive(Default)]
pub(in super::super) struct Viewers(Arc<Mutex<HashMap<Of, usize>>>);

/// One who looks, until it is dropped.
pub(super) struct Seat {
    taken: Arc<Mutex<HashMap<Of, usize>>>,
    of: Vec<Of>,
}

impl Viewers {
    pub(super) fn sit(&self, visitor: &Visitor) -> Option<Seat> {
        let session = Of::Session(visitor.session.clone());
        self.take(match &visitor.signed_in.who {
            Who::Operator(_) => vec![Of::All, session],
            Who::Tenant { tenant, scope: None, .. } => vec![Of::All, session, Of::Tenant(*tenant)],
            Who::Tenant { tenant, scope: Some(_), .. } => {
                vec![Of::All, session, Of::Tenant(*tenant), Of::Portals(*tenant)]
            }
        })
    }

    fn take(&self, of: Vec<Of>) -> Option<Seat> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if of.iter().any(|one| taken.get(one).is_some_and(|count| *count >= one.most())) {
            return None;
        }
        for one in &of {
            *taken.entry(one.clone()).or_default() += 1;
        }
        Some(Seat { taken: self.0.clone(), of })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for one in &self.of {
            match taken.get_mut(one) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(taken.remove(one)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn tenant(number: i64) -> TenantId {
        TenantId::floor(Timestamp::from_millis(number))
    }

    /// Takes seats until there is none, each session as many as it may.
    fn fill(viewers: &Viewers, session: &str, more: &[Of]) -> Vec<Seat> {
        let take = |at: usize| {
            let session = Of::Session(format!("{session} {}", at / MOST_OF_SESSION));
            viewers.take([&[Of::All, session], more].concat())
        };
        (0..).map_while(take).collect()
    }

    #[test]
    fn viewers_are_few_and_of_one_fewer() {
        let viewers = Viewers::default();
        let portals = [Of::Tenant(tenant(1)), Of::Portals(tenant(1))];
        let mut seats = vec![fill(&viewers, "portal", &portals)];
        assert_eq!(seats[0].len(), MOST_OF_PORTALS);
        seats.push(fill(&viewers, "own", &portals[..1]));
        assert_eq!(seats[1].len(), MOST_OF_TENANT - MOST_OF_PORTALS);
        seats.push(fill(&viewers, "other", &[Of::Tenant(tenant(2))]));
        assert_eq!(seats[2].len(), MOST_OF_TENANT, "another tenant has its own");
        let session = || viewers.take(vec![Of::All, Of::Session("one".to_owned())]);
        let of_one: Vec<Seat> = (0..).map_while(|_| session()).collect();
        assert_eq!(of_one.len(), MOST_OF_SESSION);
        drop(of_one);
        seats.push(fill(&viewers, "operator", &[]));
        assert_eq!(seats.iter().map(Vec::len).sum::<usize>(), MOST);
        seats[1].pop();
        assert!(viewers.take(portals[..1].to_vec()).is_some(), "a seat that was left is free");
        drop(seats);
        assert!(viewers.0.lock().unwrap().is_empty());
    }
}
