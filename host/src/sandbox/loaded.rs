//! The plugins that are in memory: those that were used last. Compiled code is
//! large and tenants have many plugins; the rest wait on the disk, from where
//! one is back in milliseconds.

use std::collections::HashMap;
use std::sync::Arc;

use super::plugin::Plugin;
use crate::domain::plugin::Digest;

/// How much is kept in memory.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Each has a file descriptor, for the image that instances begin with.
    pub(super) plugins: usize,
    /// Of compiled code.
    pub(super) bytes: usize,
}

pub(super) struct Loaded {
    plugins: HashMap<Digest, Entry>,
    bytes: usize,
    room: Room,
    /// Counts uses: the lowest was used the longest ago.
    uses: u64,
}

struct Entry {
    plugin: Arc<Plugin>,
    size: usize,
    used: u64,
}

impl Loaded {
    pub(super) fn new(room: Room) -> Self {
        Self { plugins: HashMap::new(), bytes: 0, room, uses: 0 }
    }

    pub(super) fn get(&mut self, digest: Digest) -> Option<Arc<Plugin>> {
        self.uses += 1;
        let entry = self.plugins.get_mut(&digest)?;
        entry.used = self.uses;
        Some(entry.plugin.clone())
    }

    /// Keeps the plugin, and lets go of others until there is room. Calls that
    /// run keep theirs until they end.
    pub(super) fn insert(&mut self, digest: Digest, plugin: Arc<Plugin>, size: usize) {
        self.remove(digest);
        self.uses += 1;
        self.bytes += size;
        self.plugins.insert(digest, Entry { plugin, size, used: self.uses });
        while (self.bytes > self.room.bytes || self.plugins.len() > self.room.plugins) && self.plugins.len() > 1 {
            let oldest = self.plugins.iter().min_by_key(|(_, entry)| entry.used).map(|(digest, _)| *digest);
            oldest.into_iter().for_each(|digest| self.remove(digest));
        }
    }

    pub(super) fn remove(&mut self, digest: Digest) {
        if let Some(entry) = self.plugins.remove(&digest) {
            self.bytes -= entry.size;
        }
    }
}
