//! Who gets the free slots: round robin over tenants, then over each one's
//! endpoints, some deliveries at a time. A tenant with a million waiting gets as
//! much as one with ten, until the others want no more.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::id::{EndpointId, TenantId};
use crate::store::ledger::Share;

/// What one turn gives at most: enough to be worth a statement.
const QUANTUM: usize = 16;

/// An endpoint with deliveries that are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) tenant: TenantId,
    pub(super) endpoint: EndpointId,
    /// How many it may have.
    pub(super) room: usize,
}

/// Divides `free` slots. `free_of` says how many a tenant may have; `last` had
/// its turn last, and is set to whoever has it now.
pub(super) fn shares(
    due: &[Due],
    free: usize,
    free_of: impl Fn(TenantId) -> usize,
    last: &mut Option<TenantId>,
) -> Vec<Share> {
    let mut tenants = BTreeMap::<TenantId, (usize, VecDeque<Due>)>::new();
    for one in due.iter().filter(|one| one.room > 0) {
        tenants.entry(one.tenant).or_insert_with(|| (free_of(one.tenant), VecDeque::new())).1.push_back(*one);
    }
    let mut queue: VecDeque<TenantId> = tenants.keys().copied().collect();
    let behind = last.map_or(0, |last| queue.partition_point(|tenant| *tenant <= last));
    queue.rotate_left(behind % queue.len().max(1));
    let mut given = BTreeMap::<EndpointId, Share>::new();
    let mut left = free;
    while left > 0 {
        let Some(tenant) = queue.pop_front() else { break };
        let Some((allowed, endpoints)) = tenants.get_mut(&tenant) else { continue };
        let Some(mut one) = endpoints.pop_front() else { continue };
        let count = QUANTUM.min(one.room).min(*allowed).min(left);
        if count == 0 {
            continue;
        }
        *last = Some(tenant);
        left -= count;
        *allowed -= count;
        one.room -= count;
        let Due { tenant, endpoint, .. } = one;
        given.entry(endpoint).or_insert(Share { tenant, endpoint, limit: 0 }).limit +=
            u32::try_from(count).unwrap_or(u32::MAX);
        if one.room > 0 {
            endpoints.push_back(one);
        }
        queue.push_back(tenant);
    }
    given.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn tenant(number: i64) -> TenantId {
        TenantId::floor(Timestamp::from_millis(number))
    }

    fn due((owner, number, room): (i64, i64, usize)) -> Due {
        Due { tenant: tenant(owner), endpoint: EndpointId::floor(Timestamp::from_millis(number)), room }
    }

    #[track_caller]
    fn check(wants: &[(i64, i64, usize)], free: usize, last: i64, expected: &[u32]) {
        let due: Vec<Due> = wants.iter().copied().map(due).collect();
        let shares = shares(&due, free, |_| 100, &mut Some(tenant(last)));
        let of = |one: &Due| shares.iter().find(|share| share.endpoint == one.endpoint).map_or(0, |share| share.limit);
        assert_eq!(due.iter().map(of).collect::<Vec<_>>(), expected, "{wants:?} of {free}");
    }

    #[test]
    fn every_tenant_gets_as_much_as_the_others() {
        check(&[(1, 1, 1000), (2, 2, 1000)], 64, 0, &[32, 32]);
        check(&[(1, 1, 1000), (2, 2, 3)], 64, 0, &[61, 3]);
        // However many endpoints one of them has.
        check(&[(1, 1, 9), (1, 2, 9), (1, 3, 9), (1, 4, 9), (2, 5, 9)], 18, 0, &[9, 0, 0, 0, 9]);
        // And its endpoints in turn.
        check(&[(1, 1, 50), (1, 2, 50), (2, 3, 64)], 96, 0, &[32, 16, 48]);
        check(&[(1, 1, 0), (2, 2, 5)], 64, 0, &[0, 5]);
        check(&[(1, 1, 5)], 0, 0, &[0]);
        check(&[], 64, 0, &[]);
    }

    #[test]
    fn a_tenant_has_a_bound_of_its_own() {
        check(&[(1, 1, 80), (1, 2, 80), (2, 3, 8)], 500, 0, &[52, 48, 8]);
    }

    #[test]
    fn who_had_the_last_turn_is_last() {
        let wants = [(1, 1, 50), (2, 2, 50), (3, 3, 50)];
        check(&wants, 16, 0, &[16, 0, 0]);
        check(&wants, 16, 1, &[0, 16, 0]);
        check(&wants, 16, 3, &[16, 0, 0]);
    }
}
