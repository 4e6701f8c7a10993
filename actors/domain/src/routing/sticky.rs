//! Where conversations live: a bounded table from conversation to target.
//!
//! A prompt cache is worth most of a conversation's quota, so a conversation goes where it was last answered. Entries end
//! with the cache they stand for; beyond the capacity the one used longest ago makes room. Every operation takes constant
//! time, and once the table has grown to its capacity nothing allocates.

use super::{
    reserve::Drift,
    view::{CacheLife, Home},
};
use crate::clock::Moment;

/// Conversations that are remembered: more than a gateway answers within the life of a cache, in 6 MB.
pub const STICKY_CAPACITY: usize = 100_000;

/// The table. Put it behind one lock, or shard it by key.
#[derive(Debug, Clone)]
pub struct Sticky {
    capacity: usize,
    entries: Vec<Entry>,
    /// Open addressing with linear probing: places in `entries`, or [`NOWHERE`]. A power of two, at least twice as long.
    index: Vec<u32>,
    newest: u32,
    oldest: u32,
}

/// One conversation, linked into the order of use.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    home: Home,
    drift: Option<Drift>,
    newer: u32,
    older: u32,
}

/// No place.
const NOWHERE: u32 = u32::MAX;

/// Length of the index at first.
const FIRST_INDEX: usize = 64;

impl Default for Sticky {
    fn default() -> Self {
        Self::new(STICKY_CAPACITY)
    }
}

impl Sticky {
    /// An empty table for at most `capacity` conversations (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, 1 << 30);
        Self { capacity, entries: Vec::new(), index: vec![NOWHERE; FIRST_INDEX], newest: NOWHERE, oldest: NOWHERE }
    }

    /// Conversations in it, those included whose cache has ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where a conversation lives, while its cache does. Looking does not count as use.
    #[must_use]
    pub fn home(&self, key: u64, now: Moment) -> Option<Home> {
        let (_, place) = self.find(key)?;
        Some(self.entry(place)?.home).filter(|home| home.warm(now))
    }

    /// A conversation was answered by `target`: it lives there now, and its cache is fresh.
    pub fn settle(&mut self, key: u64, target: u64, cache: CacheLife, now: Moment) {
        let home = Home { target, used: now, cache };
        if let Some((_, place)) = self.find(key) {
            self.unlink(place);
            if let Some(entry) = self.entry_mut(place) {
                entry.home = home;
            }
            self.link_newest(place);
            return;
        }
        let entry = Entry { key, home, drift: None, newer: NOWHERE, older: NOWHERE };
        let place = if self.entries.len() < self.capacity { self.push(entry) } else { self.replace_oldest(entry) };
        self.put(key, place);
        self.link_newest(place);
    }

    /// How far estimates of its turns are off, while it is remembered: longer than its cache lives.
    #[must_use]
    pub fn drift(&self, key: u64) -> Option<Drift> {
        let (_, place) = self.find(key)?;
        self.entry(place)?.drift
    }

    /// Learns how far the estimate of a turn was off. Of conversations that live nowhere nothing is kept.
    pub fn learn_drift(&mut self, key: u64, drift: Drift) {
        let Some((_, place)) = self.find(key) else { return };
        if let Some(entry) = self.entry_mut(place) {
            entry.drift = Some(entry.drift.map_or(drift, |older| older.then(drift)));
        }
    }

    fn push(&mut self, entry: Entry) -> u32 {
        if (self.entries.len() + 1) * 2 > self.index.len() {
            self.grow_index();
        }
        self.entries.push(entry);
        self.last_place()
    }

    /// Gives the place of the conversation used longest ago to another one.
    fn replace_oldest(&mut self, entry: Entry) -> u32 {
        let place = self.oldest;
        self.unlink(place);
        let old = self.entry_mut(place).map(|slot| std::mem::replace(slot, entry));
        if let Some((slot, _)) = old.and_then(|old| self.find_place(old.key, place)) {
            self.clear_slot(slot);
        }
        place
    }

    fn last_place(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(NOWHERE).saturating_sub(1)
    }

    fn entry(&self, place: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(place).ok()?)
    }

    fn entry_mut(&mut self, place: u32) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(place).ok()?)
    }

    // ---- The order of use ----

    fn link_newest(&mut self, place: u32) {
        let before = self.newest;
        if let Some(entry) = self.entry_mut(place) {
            (entry.newer, entry.older) = (NOWHERE, before);
        }
        match self.entry_mut(before) {
            Some(entry) => entry.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }

    fn unlink(&mut self, place: u32) {
        let Some(Entry { newer, older, .. }) = self.entry(place).copied() else { return };
        match self.entry_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entry_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    // ---- The index ----

    fn first_slot(&self, key: u64) -> usize {
        // Fibonacci hashing: keys are hashes already, but their low bits need not be.
        let spread = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = self.index.len().trailing_zeros();
        usize::try_from(spread >> (64 - bits)).unwrap_or(0)
    }

    fn next_slot(&self, slot: usize) -> usize {
        (slot + 1) & (self.index.len() - 1)
    }

    /// The slot and the place of a key.
    fn find(&self, key: u64) -> Option<(usize, u32)> {
        self.search(key, |place| self.entry(place).is_some_and(|entry| entry.key == key))
    }

    /// The slot that points at `place`, which `key` led to.
    fn find_place(&self, key: u64, place: u32) -> Option<(usize, u32)> {
        self.search(key, |found| found == place)
    }

    fn search(&self, key: u64, wanted: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let mut slot = self.first_slot(key);
        loop {
            let place = *self.index.get(slot)?;
            if place == NOWHERE {
                return None;
            }
            if wanted(place) {
                return Some((slot, place));
            }
            slot = self.next_slot(slot);
        }
    }

    /// Lets a free slot point at `place`. The index is at most half full, so there is one.
    fn put(&mut self, key: u64, place: u32) {
        let mut slot = self.first_slot(key);
        while self.index.get(slot).is_some_and(|taken| *taken != NOWHERE) {
            slot = self.next_slot(slot);
        }
        if let Some(free) = self.index.get_mut(slot) {
            *free = place;
        }
    }

    /// Empties a slot and moves those behind it forward, so that no search ends too early.
    fn clear_slot(&mut self, slot: usize) {
        let mask = self.index.len() - 1;
        let mut gap = slot;
        let mut slot = self.next_slot(slot);
        while let Some(place) = self.index.get(slot).copied().filter(|place| *place != NOWHERE) {
            let wants = self.entry(place).map_or(slot, |entry| self.first_slot(entry.key));
            // It may move into the gap when the gap lies between where it wants to be and where it is.
            if (slot.wrapping_sub(wants) & mask) >= (slot.wrapping_sub(gap) & mask) {
                if let Some(free) = self.index.get_mut(gap) {
                    *free = place;
                }
                gap = slot;
            }
            slot = self.next_slot(slot);
        }
        if let Some(free) = self.index.get_mut(gap) {
            *free = NOWHERE;
        }
    }

    fn grow_index(&mut self) {
        let length = self.index.len() * 2;
        self.index.clear();
        self.index.resize(length, NOWHERE);
        for place in 0..self.entries.len() {
            let Ok(place) = u32::try_from(place) else { return };
            if let Some(key) = self.entry(place).map(|entry| entry.key) {
                self.put(key, place);
            }
        }
    }
}

#[cfg(test)]
mod tests;
