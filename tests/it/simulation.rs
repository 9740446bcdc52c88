//! Many hosts on one store, in worlds of which every step is drawn from a seed: hosts
//! that die or stand still for longer than their claims hold, clocks that disagree and
//! are set, calls of which the end is never heard, a store that fails over, receivers
//! in every mood. What a host decides is decided by the program's own domain and lanes;
//! the store is a model, and `likeness` tests that it does what an engine does.
//!
//! `HOOKYARD_SIMULATION_SEED` runs one world, `HOOKYARD_SIMULATIONS` as many.

use std::collections::BTreeSet;
use std::time::Duration;

use hookyard_tests::{figures, setting};

mod chance;
mod clock;
mod faults;
mod findings;
mod host;
mod intake;
mod judge;
mod likeness;
mod model;
mod world;

use clock::Agreement;
use findings::{Cause, Figures, Wrong};
use model::Keeps;
use world::{Rules, World};

/// As many as `tests/run` has the time for.
const WORLDS: u64 = 200;
/// Enough for what happens in many of them.
const FEW: u64 = 80;
/// Something that is left out is missed in one of so many, most often in the first.
const MANY: u64 = 1000;

/// What comes of the first worlds, in all of which nothing is wrong.
fn all_of(worlds: u64, rules: Rules) -> Figures {
    (0..worlds).map(|seed| well(seed, rules)).fold(Figures::default(), |all, one| all.and(&one))
}

#[track_caller]
fn well(seed: u64, rules: Rules) -> Figures {
    let (wrongs, figures) = World::run(seed, rules);
    assert!(wrongs.is_empty(), "HOOKYARD_SIMULATION_SEED={seed}: {wrongs:#?}");
    figures
}

/// Under rules that leave something out, each of `wanted` is seen in one of the worlds.
#[track_caller]
fn misses(rules: Rules, wanted: &[Wrong]) {
    let mut wanted: BTreeSet<Wrong> = wanted.iter().copied().collect();
    for seed in 0..MANY {
        for (wrong, _) in World::run(seed, rules).0 {
            wanted.remove(&wrong);
        }
        if wanted.is_empty() {
            return;
        }
    }
    panic!("{wanted:?} was not seen in {MANY} worlds");
}

fn without(change: impl FnOnce(&mut Keeps)) -> Rules {
    let mut rules = Rules::default();
    change(&mut rules.keeps);
    rules
}

#[test]
fn hosts_that_fail_in_every_way_keep_every_promise() {
    if let Some(seed) = setting("HOOKYARD_SIMULATION_SEED") {
        return figures(format_args!("{:?}", well(seed, Rules::default())));
    }
    let worlds = setting("HOOKYARD_SIMULATIONS").unwrap_or(WORLDS);
    let all = all_of(worlds, Rules::default());
    figures(format_args!("{worlds} worlds, {all:?}"));
    // What never happens proves nothing.
    for cause in [Cause::Killed, Cause::Paused, Cause::CallLost, Cause::ClocksApart] {
        assert!(worlds < WORLDS || all.again.contains_key(&cause), "nothing was sent twice by {cause:?}");
    }
    assert!(
        worlds < WORLDS || (all.late > 0 && all.taken_over > 0 && all.early > 0 && all.hand_retries > 0),
        "{all:?}"
    );
}

#[test]
fn a_seed_is_one_world() {
    let run = |seed| format!("{:?}", World::run(seed, Rules::default()));
    assert_eq!((0..20).map(run).collect::<Vec<_>>(), (0..20).map(run).collect::<Vec<_>>());
    assert_ne!(run(1), run(2));
}

#[test]
fn without_the_fence_a_late_settlement_is_written() {
    let found = [Wrong::LateSettlement, Wrong::OtherState, Wrong::NumberGap, Wrong::TwoHolders];
    misses(without(|keeps| keeps.fence = false), &found);
}

#[test]
fn with_a_claim_shorter_than_an_attempt_two_send() {
    let rules = Rules { lease: Duration::from_secs(10), margin: None, ..Rules::default() };
    misses(rules, &[Wrong::TwoSenders, Wrong::EarlyTheft, Wrong::Twice]);
}

#[test]
fn without_asking_whether_there_is_time_a_sender_is_overtaken() {
    misses(Rules { margin: None, ..Rules::default() }, &[Wrong::EarlyTheft, Wrong::Twice]);
}

#[test]
fn without_a_margin_clocks_that_are_near_make_two_send() {
    let rules = Rules { agreement: Some(Agreement::Near), ..Rules::default() };
    misses(Rules { margin: Some(Duration::ZERO), ..rules }, &[Wrong::EarlyTheft]);
    let all = all_of(WORLDS, rules);
    assert!(!all.again.contains_key(&Cause::ClocksApart), "{all:?}");
}

#[test]
fn without_lines_a_later_one_passes() {
    misses(without(|keeps| keeps.lines = false), &[Wrong::OutOfOrder, Wrong::TwoOfALine]);
}

#[test]
fn a_standby_that_is_behind_forgets_what_was_acknowledged() {
    misses(Rules { is_synchronous: false, ..Rules::default() }, &[Wrong::Lost]);
}

#[test]
fn without_an_end_of_claims_something_waits_for_ever() {
    misses(Rules { lease: Duration::from_secs(1_000_000), ..Rules::default() }, &[Wrong::NeverRests]);
}

#[test]
fn clocks_that_are_set_bring_no_storm() {
    let sent = |agreement| all_of(FEW, Rules { agreement: Some(agreement), ..Rules::default() }).sent;
    let (usual, set) = (sent(Agreement::Exact), sent(Agreement::Wild));
    assert!(set * 2 <= usual * 3, "{set} requests, {usual} without");
}

#[test]
fn nobody_is_sent_beside_another_of_its_line_where_whoever_joins_waits() {
    let is_overtaken = |seed, waits| well(seed, without(|keeps| keeps.waits = waits)).overtaken > 0;
    assert!((0..MANY).any(|seed| is_overtaken(seed, false)));
    assert!(!(0..WORLDS).any(|seed| is_overtaken(seed, true)));
}
