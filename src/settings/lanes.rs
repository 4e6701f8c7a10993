//! `[lanes.*]`: how many requests of a kind run at once, and how many wait.

use std::time::Duration;

use super::read::{Integer, Section, Span};

/// A chat request mostly waits for the network and costs some 100 KiB: 200 MiB when all run.
const CHAT_CONCURRENCY: u32 = 2_000;

/// As many again may wait; their bodies are in memory already.
const CHAT_QUEUE_LIMIT: u32 = 2_000;

/// After this a client does better to retry elsewhere than to keep waiting.
const CHAT_QUEUE_WAIT: Duration = Duration::from_secs(10);

/// The bulkheads.
#[derive(Debug, Clone, PartialEq)]
pub struct Lanes {
    /// Chat requests of every dialect.
    pub chat: Lane,
}

/// One bulkhead.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Requests that run at once. 1 to 100,000.
    pub concurrency: u32,
    /// Requests that wait. 0 (refuse at once) to 100,000.
    pub queue_limit: u32,
    /// Longest wait before a request is refused. 0 s to 10 min.
    pub queue_wait: Duration,
}

impl Lanes {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let chat = Lane { concurrency: CHAT_CONCURRENCY, queue_limit: CHAT_QUEUE_LIMIT, queue_wait: CHAT_QUEUE_WAIT };
        Self { chat: section.table("chat", |section| Lane::read(section, chat)) }
    }
}

impl Lane {
    fn read(section: &mut Section<'_>, default: Self) -> Self {
        Self {
            concurrency: section.get("concurrency", Integer::between(1, 100_000), default.concurrency),
            queue_limit: section.get("queue_limit", Integer::between(0, 100_000), default.queue_limit),
            queue_wait: section.get("queue_wait", Span::between(Duration::ZERO, Duration::from_secs(600)), default.queue_wait),
        }
    }
}
