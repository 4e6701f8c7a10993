//! `[lanes.*]`: how many requests of a kind run at once, and how many wait.

use std::time::Duration;

use super::read::{Integer, Section, Span};

/// A chat request mostly waits for the network and costs some 100 KiB: 200 MiB when all run.
const CHAT_CONCURRENCY: u32 = 2_000;

/// As many again may wait; their bodies are in memory already.
const CHAT_QUEUE_LIMIT: u32 = 2_000;

/// After this a client does better to retry elsewhere than to keep waiting.
const CHAT_QUEUE_WAIT: Duration = Duration::from_secs(10);

/// Each is a chat request, too: a lower number would only leave places of that lane unused.
const RESPONSES: Lane = Lane { concurrency: CHAT_CONCURRENCY, queue_limit: CHAT_QUEUE_LIMIT, queue_wait: CHAT_QUEUE_WAIT };

/// A look-up takes a millisecond: more at once than the store has connections would only wait there.
const STORED: Lane = Lane { concurrency: 64, queue_limit: 2_000, queue_wait: CHAT_QUEUE_WAIT };

/// Nobody waits for these at the other end of a connection, so they may wait for a while, and leave most places to those who do.
/// Each keeps its request and all that it has said in memory.
const BACKGROUND: Lane = Lane { concurrency: 200, queue_limit: 1_000, queue_wait: Duration::from_secs(600) };

/// The bulkheads.
#[derive(Debug, Clone, PartialEq)]
pub struct Lanes {
    /// Chat requests of every dialect.
    pub chat: Lane,
    /// Requests for responses that a client waits for.
    pub responses: Lane,
    /// Questions about stored responses and conversations, and changes of them.
    pub stored: Lane,
    /// Responses in the background.
    pub background: Lane,
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
        Self {
            chat: section.table("chat", |section| Lane::read(section, chat)),
            responses: section.table("responses", |section| Lane::read(section, RESPONSES)),
            stored: section.table("stored", |section| Lane::read(section, STORED)),
            background: section.table("background", |section| Lane::read(section, BACKGROUND)),
        }
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
