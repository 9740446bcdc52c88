//! The plugins that are in memory: our own, which every tenant may use, and of
//! the others those that were used last. Compiled code is large and tenants have
//! many plugins; the rest wait on the disk, from where one is back in
//! milliseconds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::plugin::Digest;

/// How much is kept in memory.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Each has a file descriptor, for the image that instances begin with.
    pub(super) plugins: usize,
    /// Of compiled code.
    pub(super) bytes: usize,
}

pub(super) struct Loaded<P> {
    plugins: HashMap<Digest, Entry<P>>,
    /// Go last: no tenant's plugins push out what all others use.
    own: HashSet<Digest>,
    bytes: usize,
    room: Room,
    /// Counts uses: the lowest was used the longest ago.
    uses: u64,
}

struct Entry<P> {
    plugin: Arc<P>,
    size: usize,
    used: u64,
}

impl<P> Loaded<P> {
    pub(super) fn new(room: Room, own: HashSet<Digest>) -> Self {
        Self { plugins: HashMap::new(), own, bytes: 0, room, uses: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.plugins.len()
    }

    pub(super) fn get(&mut self, digest: Digest) -> Option<Arc<P>> {
        self.uses += 1;
        let entry = self.plugins.get_mut(&digest)?;
        entry.used = self.uses;
        Some(entry.plugin.clone())
    }

    /// Keeps the plugin, and lets go of others until there is room. Calls that
    /// run keep theirs until they end.
    pub(super) fn insert(&mut self, digest: Digest, plugin: Arc<P>, size: usize) {
        self.remove(digest);
        self.uses += 1;
        self.bytes += size;
        self.plugins.insert(digest, Entry { plugin, size, used: self.uses });
        while (self.bytes > self.room.bytes || self.plugins.len() > self.room.plugins) && self.plugins.len() > 1 {
            self.oldest().into_iter().for_each(|digest| self.remove(digest));
        }
    }

    fn oldest(&self) -> Option<Digest> {
        let when = |digest: &Digest, entry: &Entry<P>| (self.own.contains(digest), entry.used);
        self.plugins.iter().min_by_key(|(digest, entry)| when(digest, entry)).map(|(digest, _)| *digest)
    }

    pub(super) fn remove(&mut self, digest: Digest) {
        if let Some(entry) = self.plugins.remove(&digest) {
            self.bytes -= entry.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A letter uses the plugin of that name, of one byte, loading it if need be;
    /// capitals are our own. There is room for three.
    #[track_caller]
    fn check(uses: &str, left: &str) {
        let digest = |name: char| Digest::of(name.to_string().as_bytes());
        let own = ('A'..='Z').map(digest).collect();
        let mut loaded = Loaded::new(Room { plugins: 400, bytes: 3 }, own);
        for name in uses.chars() {
            if loaded.get(digest(name)).is_none() {
                loaded.insert(digest(name), Arc::new(()), 1);
            }
        }
        let found: String = ('A'..='z').filter(|name| loaded.get(digest(*name)).is_some()).collect();
        assert_eq!(found, left, "{uses}");
    }

    #[test]
    fn what_was_used_the_longest_ago_goes_and_our_own_last() {
        check("abc", "abc");
        check("abcd", "bcd");
        check("abcad", "acd");
        check("Aabcdef", "Aef");
        check("ABabc", "ABc");
        check("aABCD", "BCD");
    }
}
