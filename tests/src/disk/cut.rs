//! A power cut: from the journal of a [`FaultyDisk`](super::FaultyDisk), what
//! would be on the disk had the power failed at some point of it.
//!
//! What was synced is there. Of what was not, some is: none, all, or some writes
//! and not others, whatever their order was, some of them torn into sectors. A
//! new name is there for certain once its directory was synced. What was to be
//! synced when the sync failed is forgotten: later syncs do not bring it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::seed::Seed;

/// Whether what the host asked for was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Syncs {
    Done,
    /// The control: syncs of the log do nothing, which between two checkpoints
    /// is what `synchronous=NORMAL` asks for.
    OfTheLogNot,
}

/// What a disk was given, in order.
pub struct Journal(Vec<Entry>);

struct Entry {
    /// Where the journal was behind it, in bytes.
    end: u64,
    role: u32,
    file: u64,
    deed: Deed,
}

enum Deed {
    Opened(String),
    Written { at: usize, data: Arc<[u8]> },
    CutShort(usize),
    Synced,
    SyncFailed,
    Unlinked(String),
    DirectorySynced,
}

const LOG: u32 = 1;
const HEAD: usize = 32;

impl Journal {
    pub(super) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the disk keeps a journal");
        let (mut entries, mut at) = (Vec::new(), 0);
        while let Some(head) = bytes.get(at..at + HEAD) {
            let long = |from: usize| u64::from_ne_bytes(head[from..from + 8].try_into().expect("eight bytes"));
            let short = |from: usize| u32::from_ne_bytes(head[from..from + 4].try_into().expect("four bytes"));
            let size = |number: u64| usize::try_from(number).expect("a file in memory");
            let length = size(long(24));
            let Some(data) = bytes.get(at + HEAD..at + HEAD + length) else { break };
            let text = || String::from_utf8(data.to_vec()).expect("a plain name");
            let deed = match short(0) {
                1 => Deed::Opened(text()),
                2 => Deed::Written { at: size(long(16)), data: data.into() },
                3 => Deed::CutShort(size(long(16))),
                4 => Deed::Synced,
                5 => Deed::SyncFailed,
                6 => Deed::Unlinked(text()),
                7 => Deed::DirectorySynced,
                other => panic!("no such entry in the journal: {other}"),
            };
            at += HEAD + length;
            entries.push(Entry { end: at as u64, role: short(4), file: long(8), deed });
        }
        Self(entries)
    }

    /// A cut at some moment after `from` bytes of it: before any entry, and as
    /// often as not before a sync, when most is at stake.
    pub fn cut(&self, from: u64, seed: &mut Seed) -> Cut<'_> {
        let first = self.0.partition_point(|entry| entry.end <= from);
        let mut at = first + seed.below(self.0.len() - first + 1);
        if seed.coin() {
            let syncs = self.0[at..].iter().position(|entry| matches!(entry.deed, Deed::Synced));
            at += syncs.unwrap_or_default();
        }
        Cut { entries: &self.0[..at] }
    }
}

/// The journal up to where the power failed.
pub struct Cut<'a> {
    entries: &'a [Entry],
}

impl Cut<'_> {
    /// Where in the journal, in bytes.
    pub fn at(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.end)
    }

    /// Writes into an empty data directory what is left.
    pub fn leave(&self, syncs: Syncs, data: &Path, seed: &mut Seed) {
        let mut disk = Disk::default();
        for entry in self.entries {
            let is_void = syncs == Syncs::OfTheLogNot && entry.role == LOG;
            match &entry.deed {
                Deed::Synced if is_void => {}
                deed => disk.take(entry.file, deed, seed),
            }
        }
        for (name, content) in disk.after_the_cut(seed) {
            std::fs::write(data.join(name), content).expect("the temporary directory can be written");
        }
    }
}

/// One file, under whatever name.
#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write { at: usize, data: Arc<[u8]> },
    CutShort(usize),
}

impl Content {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &change, |_| true);
        }
    }

    /// Some of what was not synced.
    fn chance(&mut self, seed: &mut Seed) {
        let pending = std::mem::take(&mut self.pending);
        match seed.below(5) {
            0 => {}
            1 => pending.iter().for_each(|change| apply(&mut self.durable, change, |_| true)),
            2 => {
                for change in &pending {
                    let is_kept = seed.coin();
                    apply(&mut self.durable, change, |_| is_kept);
                }
            }
            torn => {
                let sector = if torn == 3 { 512 } else { 4096 };
                for change in &pending {
                    let mut kept = HashMap::new();
                    apply(&mut self.durable, change, |at| *kept.entry(at / sector).or_insert_with(|| seed.coin()));
                }
            }
        }
    }
}

/// Applies a change where `keeps` says so, which is asked of every 512 bytes.
fn apply(durable: &mut Vec<u8>, change: &Change, mut keeps: impl FnMut(usize) -> bool) {
    match change {
        Change::CutShort(length) if keeps(0) => durable.resize(*length, 0),
        Change::CutShort(_) => {}
        Change::Write { at, data } => {
            let mut from = 0;
            while from < data.len() {
                let place = at + from;
                let piece = (512 - place % 512).min(data.len() - from);
                if keeps(place) {
                    durable.resize(durable.len().max(place + piece), 0);
                    durable[place..place + piece].copy_from_slice(&data[from..from + piece]);
                }
                from += piece;
            }
        }
    }
}

enum Naming {
    Link(String, usize),
    Unlink(String),
}

/// The directory: which file each name means, now and for certain.
#[derive(Default)]
struct Disk {
    contents: Vec<Content>,
    by_file: HashMap<u64, usize>,
    now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Naming>,
}

impl Disk {
    fn take(&mut self, file: u64, deed: &Deed, seed: &mut Seed) {
        match deed {
            Deed::Opened(name) => {
                let known = self.by_file.get(&file);
                if known.is_none() || self.now.get(name) != known {
                    let content = self.contents.len();
                    self.contents.push(Content::default());
                    self.by_file.insert(file, content);
                    self.now.insert(name.clone(), content);
                    self.pending.push(Naming::Link(name.clone(), content));
                }
            }
            Deed::Written { at, data } => {
                self.content(file).pending.push(Change::Write { at: *at, data: data.clone() });
            }
            Deed::CutShort(length) => self.content(file).pending.push(Change::CutShort(*length)),
            Deed::Synced => self.content(file).sync(),
            Deed::SyncFailed => self.content(file).chance(seed),
            Deed::Unlinked(name) => {
                self.now.remove(name);
                self.pending.push(Naming::Unlink(name.clone()));
            }
            Deed::DirectorySynced => self.name(usize::MAX),
        }
    }

    fn content(&mut self, file: u64) -> &mut Content {
        let content = self.by_file.get(&file).expect("it was opened before");
        &mut self.contents[*content]
    }

    /// The first so many of the names that were given or taken become certain.
    fn name(&mut self, count: usize) {
        for naming in self.pending.drain(..count.min(self.pending.len())) {
            match naming {
                Naming::Link(name, content) => self.durable.insert(name, content),
                Naming::Unlink(name) => self.durable.remove(&name),
            };
        }
    }

    fn after_the_cut(mut self, seed: &mut Seed) -> Vec<(String, Vec<u8>)> {
        self.name(seed.below(self.pending.len() + 1));
        self.contents.iter_mut().for_each(|content| content.chance(seed));
        let names = std::mem::take(&mut self.durable);
        names.into_iter().map(|(name, content)| (name, self.contents[content].durable.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(deeds: Vec<Deed>) -> Journal {
        let entry = |(at, deed)| Entry { end: at as u64 + 1, role: LOG, file: 7, deed };
        Journal(deeds.into_iter().enumerate().map(entry).collect())
    }

    fn write(at: usize, byte: u8, length: usize) -> Deed {
        Deed::Written { at, data: vec![byte; length].into() }
    }

    /// What is left of the only file, for many seeds.
    fn left(deeds: Vec<Deed>, syncs: Syncs) -> Vec<Vec<u8>> {
        let journal = journal(deeds);
        let outcomes = (0..200).map(|number| {
            let (mut disk, mut seed) = (Disk::default(), Seed::new(number));
            for entry in &journal.0 {
                if !(syncs == Syncs::OfTheLogNot && matches!(entry.deed, Deed::Synced)) {
                    disk.take(entry.file, &entry.deed, &mut seed);
                }
            }
            disk.after_the_cut(&mut seed).into_iter().next().map(|(_, content)| content).unwrap_or_default()
        });
        outcomes.collect()
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go_in_any_order() {
        let deeds = || {
            let opened = Deed::Opened("f".to_owned());
            vec![opened, Deed::DirectorySynced, write(0, 1, 1024), Deed::Synced, write(0, 2, 512), write(512, 3, 512)]
        };
        let outcomes = left(deeds(), Syncs::Done);
        assert!(outcomes.iter().all(|content| content.len() == 1024), "synced");
        let halves: std::collections::BTreeSet<(u8, u8)> =
            outcomes.iter().map(|content| (content[0], content[512])).collect();
        assert_eq!(halves, [(1, 1), (1, 3), (2, 1), (2, 3)].into());
        assert!(left(deeds(), Syncs::OfTheLogNot).iter().any(Vec::is_empty), "nothing was synced");
    }

    #[test]
    fn what_a_failed_sync_dropped_comes_with_no_later_one() {
        let opened = Deed::Opened("f".to_owned());
        let deeds = vec![opened, Deed::DirectorySynced, write(0, 1, 512), Deed::SyncFailed, Deed::Synced];
        let outcomes = left(deeds, Syncs::Done);
        assert!(outcomes.iter().any(Vec::is_empty) && outcomes.iter().any(|content| content.len() == 512));
    }
}
