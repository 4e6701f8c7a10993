//! `[timeouts]`: deadlines of calls to AWS.

use std::time::Duration;

use super::read::{Section, Span};

/// Name lookup, TCP and TLS to another continent take under a second; a region that needs longer is as good as down.
const CONNECT: Duration = Duration::from_secs(3);

/// A thinking model may be silent for about two minutes before it sends even the response head.
const FIRST_BYTE: Duration = Duration::from_secs(120);

/// A whole answer sends its head when all of it is written: long ones of thinking models take many minutes.
const WHOLE_ANSWER: Duration = Duration::from_secs(900);

/// Bedrock itself ends no answer of a model sooner than after an hour.
const TOTAL: Duration = Duration::from_secs(3600);

/// Gaps of a little more than two minutes within a stream have been seen; twice that is no thinking any more.
const STREAM_IDLE: Duration = Duration::from_secs(300);

/// Deadlines of calls to AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeouts {
    /// Until a connection stands. 100 ms to 1 min.
    pub connect: Duration,
    /// Until the response head of one streamed call. 1 s to 1 h.
    pub first_byte: Duration,
    /// Until the answer of one call that is not streamed. 1 s to 1 h.
    pub whole_answer: Duration,
    /// The whole request, all attempts together. 1 s to 24 h.
    pub total: Duration,
    /// Silence within a stream. 1 s to 1 h.
    pub stream_idle: Duration,
}

impl Timeouts {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let second = Duration::from_secs(1);
        let hour = Duration::from_secs(3600);
        Self {
            connect: section.get("connect", Span::between(Duration::from_millis(100), Duration::from_secs(60)), CONNECT),
            first_byte: section.get("first_byte", Span::between(second, hour), FIRST_BYTE),
            whole_answer: section.get("whole_answer", Span::between(second, hour), WHOLE_ANSWER),
            total: section.get("total", Span::between(second, 24 * hour), TOTAL),
            stream_idle: section.get("stream_idle", Span::between(second, hour), STREAM_IDLE),
        }
    }
}
