//! Good components, damaged: bits, bytes, ends, sections, lengths. Which damage
//! is decided by a seed, so that what is found once is found again.

use hookyard::domain::plugin::Job;
use hookyard_tests::Host;
use serde_json::json;

use super::is_well;
use super::plugin::Plugin;

const SEED: u64 = 0x4f6f_6b79_6172_6421;
const MUTATIONS: u32 = 300;

/// xorshift64: no dependency, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }
}

/// Where each of the component's sections begins and ends, its header included.
fn sections(component: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (8, Vec::new());
    while at < component.len() {
        let (size, length) = leb(&component[at + 1..]);
        let end = at + 1 + length + size;
        found.push((at, end));
        at = end;
    }
    found
}

/// A number and the bytes that it is written in.
fn leb(bytes: &[u8]) -> (usize, usize) {
    let length = 1 + bytes.iter().take_while(|byte| **byte & 0x80 != 0).count();
    let value = bytes[..length].iter().rev().fold(0, |value, byte| (value << 7) | usize::from(byte & 0x7f));
    (value, length)
}

fn damaged(good: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bad = good.to_vec();
    let sections = sections(good);
    match dice.below(8) {
        0 => bad.truncate(dice.below(good.len())),
        1 => {
            let (from, len) = (dice.below(good.len()), dice.below(16));
            bad.drain(from..(from + len).min(good.len()));
        }
        2 => {
            let (first, second) = (sections[dice.below(sections.len())], sections[dice.below(sections.len())]);
            let ((a, b), (c, d)) = (first.min(second), first.max(second));
            if b <= c {
                bad = [&good[..a], &good[c..d], &good[b..c], &good[a..b], &good[d..]].concat();
            }
        }
        3 => {
            // A section once more.
            let (from, to) = sections[dice.below(sections.len())];
            bad.splice(to..to, good[from..to].iter().copied());
        }
        4 => {
            // A length in more bytes than it needs, or than it may have.
            let (at, _) = sections[dice.below(sections.len())];
            let (_, length) = leb(&good[at + 1..]);
            bad[at + length] |= 0x80;
            bad.splice(at + 1 + length..at + 1 + length, std::iter::repeat_n(0x80, dice.below(8)).chain([0]));
        }
        5 => {
            let at = dice.below(good.len());
            bad[at] = [0, 0x7f, 0x80, 0xff][dice.below(4)];
        }
        _ => {
            for _ in 0..=dice.below(4) {
                let at = 8 + dice.below(good.len() - 8);
                bad[at] ^= 1 << dice.below(8);
            }
        }
    }
    bad
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_component_is_refused_or_runs_and_the_host_lives() {
    let host = Host::start().await;
    let (hostile, victim) = (host.tenant("hostile").await, host.tenant("victim").await);
    let good = Plugin::new(Job::Transformer).build();
    hostile.post_bytes("/v1/plugins?name=good", good.clone()).await.expect(201);
    let trial = json!({"steps": [{"plugin": "damaged"}], "event": {"type": "a.b", "data": {"n": 1}}});

    let (mut dice, mut taken, mut refused) = (Dice(SEED), 0, 0);
    for number in 0..MUTATIONS {
        let answer = hostile.post_bytes("/v1/plugins?name=damaged", damaged(&good, &mut dice)).await;
        match answer.status.as_u16() {
            201 => {
                taken += 1;
                let tried = hostile.post("/v1/try", trial.clone()).await;
                assert!(matches!(tried.status.as_u16(), 200 | 422), "{number}: {}", tried.body);
            }
            422 => refused += 1,
            other => panic!("mutation {number}: {other} {}", answer.body),
        }
    }
    is_well(&host.operator, &victim).await;
    assert!(taken > 0 && refused > taken, "{taken} were taken and {refused} refused");
}
