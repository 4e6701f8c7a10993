//! What AWS really holds: true buckets and prompt caches. The router never reads them; the oracle does.

use std::collections::{HashMap, VecDeque};

/// How a true bucket refills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Refill {
    /// All the time, up to a depth of so many seconds of the rate.
    Continuous {
        /// Seconds.
        depth: f64,
    },
    /// All at once, every minute.
    Minute,
}

/// One true quota.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) rate: f64,
    pub(crate) depth: f64,
    pub(crate) level: f64,
    refill: Refill,
    at: f64,
    /// Its level after each change of the last seconds.
    past: VecDeque<(f64, f64)>,
}

/// How long levels are remembered, seconds.
const REMEMBERED: f64 = 3.0;

impl Bucket {
    pub(crate) fn new(per_minute: f64, refill: Refill) -> Self {
        let rate = per_minute / 60.0;
        let depth = match refill {
            Refill::Continuous { depth } => depth * rate,
            Refill::Minute => per_minute,
        };
        Self { rate, depth, level: depth, refill, at: 0.0, past: VecDeque::new() }
    }

    pub(crate) fn advance(&mut self, now: f64) {
        match self.refill {
            Refill::Continuous { .. } => self.level = (self.level + self.rate * (now - self.at)).min(self.depth),
            Refill::Minute if (now / 60.0).floor() > (self.at / 60.0).floor() => self.level = self.depth,
            Refill::Minute => {}
        }
        self.at = now;
    }

    fn note(&mut self) {
        self.past.push_back((self.at, self.level));
        // The last one from before the span says what the level was when it began.
        while self.past.get(1).is_some_and(|(at, _)| *at < self.at - REMEMBERED) {
            self.past.pop_front();
        }
    }

    /// Did it hold `amount` during all of the last `seconds`?
    fn held(&mut self, now: f64, seconds: f64, amount: f64) -> bool {
        self.advance(now);
        let from = now - seconds;
        let within = self.past.iter().filter(|(at, _)| *at >= from).map(|(_, level)| *level);
        let before = self.past.iter().rev().find(|(at, _)| *at < from);
        let at_first = before.map_or(self.depth, |(at, level)| match self.refill {
            Refill::Continuous { .. } => (level + self.rate * (from - at)).min(self.depth),
            Refill::Minute => *level,
        });
        self.level >= amount && within.fold(at_first, f64::min) >= amount
    }

    /// A larger or smaller quota from now on.
    pub(crate) fn scale(&mut self, now: f64, by: f64) {
        self.advance(now);
        self.rate *= by;
        self.depth *= by;
        self.level = self.level.min(self.depth);
    }

    fn give_back(&mut self, now: f64, amount: f64) {
        self.advance(now);
        self.level = (self.level + amount).min(self.depth);
        self.note();
    }
}

/// One region.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) requests: Bucket,
    pub(crate) tokens: Bucket,
    /// Tokens cached per prompt, and since when.
    caches: HashMap<u64, (u64, f64)>,
    cache_life: f64,
}

/// Which true bucket refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Requests,
    Tokens,
}

/// What of a prompt can be cached, and under which names: the conversation's own, and what it shares with others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt {
    pub(crate) conversation: u64,
    pub(crate) family: u64,
    pub(crate) family_tokens: u64,
    pub(crate) prefix: u64,
    pub(crate) fresh: u64,
}

impl Region {
    pub(crate) fn new(tokens_per_minute: f64, requests_per_minute: f64, refill: Refill) -> Self {
        Self {
            requests: Bucket::new(requests_per_minute, refill),
            tokens: Bucket::new(tokens_per_minute, refill),
            caches: HashMap::new(),
            cache_life: 300.0,
        }
    }

    pub(crate) fn admit(&mut self, now: f64, tokens: f64) -> Result<(), Refusal> {
        self.requests.advance(now);
        self.tokens.advance(now);
        if self.requests.level < 1.0 {
            return Err(Refusal::Requests);
        }
        if self.tokens.level < tokens {
            return Err(Refusal::Tokens);
        }
        self.requests.level -= 1.0;
        self.tokens.level -= tokens;
        self.requests.note();
        self.tokens.note();
        Ok(())
    }

    /// Would a call have been admitted at any moment of the last `seconds`, and left `reserve` of the depth?
    pub(crate) fn had_room(&mut self, now: f64, seconds: f64, tokens: f64, reserve: f64) -> bool {
        let wanted = tokens + reserve * self.tokens.depth;
        self.requests.held(now, seconds, 1.0) && self.tokens.held(now, seconds, wanted)
    }

    pub(crate) fn settle(&mut self, now: f64, reserved: f64, used: f64) {
        self.tokens.give_back(now, reserved - used);
    }

    /// Tokens of the prompt that are read from the cache.
    pub(crate) fn cached(&self, now: f64, prompt: &Prompt) -> u64 {
        let alive = |name: u64| self.caches.get(&name).filter(|(_, since)| now - since <= self.cache_life).map_or(0, |(tokens, _)| *tokens);
        alive(prompt.conversation).max(alive(prompt.family)).min(prompt.prefix)
    }

    pub(crate) fn remember(&mut self, now: f64, prompt: &Prompt) {
        if prompt.prefix >= 1_024 {
            self.caches.insert(prompt.conversation, (prompt.prefix + prompt.fresh, now));
            self.caches.insert(prompt.family, (prompt.family_tokens, now));
        }
    }
}
