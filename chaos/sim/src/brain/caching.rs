//! Prompt-cache accounting: what a request reads from the cache and what it writes, by TTL.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::memory::{Memory, Prefix};
use super::tokens::Segment;
use crate::models::{CacheMode, SimModel, Traits};
use crate::validate::shape::Ttl;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const ONE_HOUR: Duration = Duration::from_secs(3600);
/// Blocks before a cache point among which the longest cached prefix is looked for.
const LOOK_BACK: usize = 20;
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

/// Accounts one request and updates the memory.
pub(super) fn account(memory: &mut Memory, model: &SimModel, traits: &Traits, segments: &[Segment<'_>], now: Duration) -> Cached {
    if traits.cache == CacheMode::None {
        return Cached::default();
    }
    let (boundaries, points) = prefixes(model, segments);
    if traits.cache == CacheMode::Implicit {
        implicit(memory, traits, &boundaries, now)
    } else {
        explicit(memory, traits, &boundaries, &points, now)
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
        let content = segment.raw.to_string();
        hash.update([0]);
        hash.update(segment.part.as_bytes());
        hash.update(content.len().to_be_bytes());
        hash.update(content.as_bytes());
        boundaries.push(Boundary { prefix: hash.clone().finalize().into(), tokens });
    }
    (boundaries, points)
}

fn explicit(memory: &mut Memory, traits: &Traits, boundaries: &[Boundary], points: &[Point], now: Duration) -> Cached {
    let read = points.iter().rev().find_map(|point| longest(memory, boundaries.get(..point.blocks)?, now)).unwrap_or(0);
    let mut cached = Cached { read, ..Cached::default() };
    let mut reached = read;
    for point in points {
        let Some(end) = point.blocks.checked_sub(1).and_then(|last| boundaries.get(last)) else { continue };
        if end.tokens < traits.cache_min {
            continue; // too short: ignored silently
        }
        let life = if point.ttl == Ttl::OneHour { ONE_HOUR } else { FIVE_MINUTES };
        memory.keep(end.prefix, life, now);
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

/// Tokens of the longest cached prefix that ends within reach of a cache point.
fn longest(memory: &mut Memory, before: &[Boundary], now: Duration) -> Option<u64> {
    before.iter().rev().take(LOOK_BACK).find(|boundary| memory.touch(&boundary.prefix, now)).map(|boundary| boundary.tokens)
}

fn implicit(memory: &mut Memory, traits: &Traits, boundaries: &[Boundary], now: Duration) -> Cached {
    let eligible = || boundaries.iter().filter(|boundary| boundary.tokens >= traits.cache_min);
    let hit = eligible().rev().find(|boundary| memory.touch(&boundary.prefix, now)).map_or(0, |boundary| boundary.tokens);
    for boundary in eligible() {
        memory.keep(boundary.prefix, FIVE_MINUTES, now);
    }
    Cached { read: hit / IMPLICIT_STEP * IMPLICIT_STEP, ..Cached::default() }
}
