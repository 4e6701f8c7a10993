//! What one region's mock model remembers between calls: the prompt cache and a counter for unique ids.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Cache entries kept before the oldest are dropped.
const MOST_ENTRIES: usize = 20_000;

/// Digest of a prompt prefix.
pub(super) type Prefix = [u8; 32];

/// Per-region memory. Clone-free: one owner, the region.
#[derive(Debug)]
pub struct Memory {
    seed: u64,
    calls: u64,
    prefixes: BTreeMap<Prefix, Kept>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    expires: Duration,
    life: Duration,
}

impl Memory {
    /// An empty memory; the seed makes ids of regions differ.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, calls: 0, prefixes: BTreeMap::new() }
    }

    /// Prompt prefixes currently remembered, expired ones included until they are swept.
    #[must_use]
    pub fn cached_prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// Numbers the next call, whose tool-use ids begin with `tool_prefix`.
    pub(super) fn next_call(&mut self, tool_prefix: &'static str) -> Call {
        self.calls += 1;
        Call { seed: self.seed, number: self.calls, tool_prefix }
    }

    /// Whether the prefix is cached at `now`; a hit restarts its life.
    pub(super) fn touch(&mut self, prefix: &Prefix, now: Duration) -> bool {
        match self.prefixes.get_mut(prefix) {
            Some(kept) if kept.expires > now => {
                kept.expires = now + kept.life;
                true
            }
            _ => false,
        }
    }

    /// Remembers a prefix for `life`; a longer life already running is kept.
    pub(super) fn keep(&mut self, prefix: Prefix, life: Duration, now: Duration) {
        if self.prefixes.len() >= MOST_ENTRIES {
            self.prefixes.retain(|_, kept| kept.expires > now);
        }
        if self.prefixes.len() >= MOST_ENTRIES {
            self.drop_older_half();
        }
        let kept = self.prefixes.entry(prefix).or_insert(Kept { expires: now, life });
        kept.life = if kept.expires > now { kept.life.max(life) } else { life };
        kept.expires = now + kept.life;
    }

    fn drop_older_half(&mut self) {
        let mut ends: Vec<Duration> = self.prefixes.values().map(|kept| kept.expires).collect();
        let middle = ends.len() / 2;
        let (_, median, _) = ends.select_nth_unstable(middle);
        let median = *median;
        self.prefixes.retain(|_, kept| kept.expires > median);
    }
}

/// One numbered call: the source of everything in an answer that must be unique.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    seed: u64,
    number: u64,
    tool_prefix: &'static str,
}

impl Call {
    /// A number no other call and place has.
    pub(super) fn nonce(self, place: u64) -> u64 {
        let digest = self.digest("nonce", place);
        digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }

    /// A tool-use id as Bedrock issues them.
    pub(super) fn tool_id(self, index: usize) -> String {
        format!("{}{}", self.tool_prefix, self.word("tool", u64::try_from(index).unwrap_or(u64::MAX)))
    }

    /// The id of a search among deferred tools.
    pub(super) fn search_id(self) -> String {
        format!("srvtoolu_bdrk_{}", self.word("search", 0))
    }

    /// A native message id.
    pub(super) fn message_id(self) -> String {
        format!("msg_bdrk_{}", self.word("message", 0))
    }

    fn word(self, kind: &str, place: u64) -> String {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied().map_or('A', char::from);
        self.digest(kind, place).iter().take(22).map(letter).collect()
    }

    fn digest(self, kind: &str, place: u64) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        for part in [self.seed, self.number, place] {
            hash.update(part.to_be_bytes());
        }
        hash.finalize().into()
    }
}
