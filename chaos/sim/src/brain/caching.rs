//! Prompt-cache accounting: what a request reads from the cache and what it writes, by TTL.

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::memory::{Memory, Prefix};
use super::tokens::Segment;
use crate::behaviour::CachePolicy;
use crate::models::{CacheMode, SimModel, Traits};
use crate::validate::shape::Ttl;

/// Blocks before a cache point among which the longest cached prefix is looked for.
const LOOK_BACK: usize = 20;
/// Member of native blocks that marks them.
const MARKER: &str = "cache_control";
/// Implicit caching reports reads in steps of this many tokens.
const IMPLICIT_STEP: u64 = 128;

/// Tokens read and written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) read: u64,
    pub(super) write_5m: u64,
    pub(super) write_1h: u64,
}

/// End of one piece of the prompt.
struct Boundary {
    prefix: Prefix,
    tokens: u64,
}

/// A cache point after `blocks` pieces.
struct Point {
    blocks: usize,
    ttl: Ttl,
}

/// A prompt as the cache sees it.
pub(super) struct Prompt<'a> {
    boundaries: Vec<Boundary>,
    points: Vec<Point>,
    policy: &'a CachePolicy,
}

impl<'a> Prompt<'a> {
    pub(super) fn of(model: &SimModel, traits: &Traits, segments: &[Segment<'_>], policy: &'a CachePolicy) -> Self {
        let (boundaries, points) = if traits.cache == CacheMode::None { Default::default() } else { prefixes(model, segments) };
        Self { boundaries, points, policy }
    }

    /// Accounts the request and updates the memory.
    pub(super) fn account(&self, memory: &mut Memory, traits: &Traits, now: Duration) -> Cached {
        let shortest = self.policy.min_tokens.unwrap_or(traits.cache_min);
        match traits.cache {
            CacheMode::None => Cached::default(),
            CacheMode::Implicit => self.implicit(memory, shortest, now),
            _ => self.explicit(memory, shortest, now),
        }
    }

    fn explicit(&self, memory: &mut Memory, shortest: u64, now: Duration) -> Cached {
        let read = self.points.iter().rev().find_map(|point| longest(memory, self.boundaries.get(..point.blocks)?, now)).unwrap_or(0);
        let mut cached = Cached { read, ..Cached::default() };
        let mut reached = read;
        for point in &self.points {
            let Some(end) = point.blocks.checked_sub(1).and_then(|last| self.boundaries.get(last)) else { continue };
            if end.tokens < shortest {
                continue; // too short: ignored silently
            }
            let life = if point.ttl == Ttl::OneHour { self.policy.long_ttl } else { self.policy.ttl };
            memory.keep(end.prefix, life.0, now);
            let written = end.tokens.saturating_sub(reached);
            reached = reached.max(end.tokens);
            if point.ttl == Ttl::OneHour {
                cached.write_1h += written;
            } else {
                cached.write_5m += written;
            }
        }
        cached
    }

    fn implicit(&self, memory: &mut Memory, shortest: u64, now: Duration) -> Cached {
        let eligible = || self.boundaries.iter().filter(|boundary| boundary.tokens >= shortest);
        let hit = eligible().rev().find(|boundary| memory.touch(&boundary.prefix, now)).map_or(0, |boundary| boundary.tokens);
        for boundary in eligible() {
            memory.keep(boundary.prefix, self.policy.ttl.0, now);
        }
        Cached { read: hit / IMPLICIT_STEP * IMPLICIT_STEP, ..Cached::default() }
    }
}

fn prefixes(model: &SimModel, segments: &[Segment<'_>]) -> (Vec<Boundary>, Vec<Point>) {
    let mut hash = Sha256::new();
    hash.update(model.id.as_bytes());
    let (mut boundaries, mut points, mut tokens) = (Vec::new(), Vec::new(), 0);
    for segment in segments {
        if let Some(point) = segment.point {
            // The marker itself is not content: moving it keeps the prefix.
            points.push(Point { blocks: boundaries.len(), ttl: point.ttl });
            continue;
        }
        tokens += segment.tokens;
        let content = content(segment.raw);
        hash.update([0]);
        hash.update(segment.part.as_bytes());
        hash.update(content.len().to_be_bytes());
        hash.update(content.as_bytes());
        boundaries.push(Boundary { prefix: hash.clone().finalize().into(), tokens });
    }
    (boundaries, points)
}

/// What a piece says, whatever marks it bears: a text is the same as a block of its own and as the whole content, and native blocks
/// carry their markers within.
fn content(raw: &Value) -> String {
    match raw {
        Value::String(text) => {
            let block = [("text", text.as_str()), ("type", "text")].map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())));
            Value::Object(Map::from_iter(block)).to_string()
        }
        Value::Object(block) if parts(block).any(|part| part.get(MARKER).is_some()) || block.contains_key(MARKER) => {
            let mut block = block.clone();
            block.remove(MARKER);
            for part in block.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
                part.remove(MARKER);
            }
            Value::Object(block).to_string()
        }
        _ => raw.to_string(),
    }
}

/// The parts of a tool result, which can be marked too.
fn parts(block: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    block.get("content").and_then(Value::as_array).into_iter().flatten()
}

/// Tokens of the longest cached prefix that ends within reach of a cache point.
fn longest(memory: &mut Memory, before: &[Boundary], now: Duration) -> Option<u64> {
    before.iter().rev().take(LOOK_BACK).find(|boundary| memory.touch(&boundary.prefix, now)).map(|boundary| boundary.tokens)
}
