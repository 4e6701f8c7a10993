//! The client's book.

use serde::{Deserialize, Serialize};

use super::Micros;

/// One request as its client saw it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Number in the schedule, from 0; later ones (canaries, retries) go on from there.
    pub id: u64,
    /// Name of its row in the mix.
    pub kind: String,
    /// Why it was sent.
    pub role: Role,
    /// Found again in the raw body upstream.
    pub nonce: String,
    /// Id of the key it used.
    pub key: String,
    /// Model it asked for.
    pub model: String,
    /// Foundation model behind that name.
    pub model_id: String,
    /// Regions it may run in; empty = all.
    pub fence: Vec<String>,
    /// Conversation and turn within it, from 0.
    pub conversation: Option<(u64, u32)>,
    /// It asked for a stream.
    pub stream: bool,
    /// When it was due.
    pub intended: Micros,
    /// When it was really sent.
    pub sent: Option<Micros>,
    /// When the response's head came.
    pub head: Option<Micros>,
    /// When the first content came.
    pub first_content: Option<Micros>,
    /// When it ended.
    pub ended: Option<Micros>,
    /// When it must have ended.
    pub deadline: Micros,
    /// How it ended.
    pub end: End,
    /// What its client did to it on purpose.
    pub fault: Option<ClientFault>,
    /// HTTP status.
    pub status: Option<u16>,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// Value of `retry-after`, as it came.
    pub retry_after: Option<String>,
    /// Error, from the body of a refusal or from an error event.
    pub error: Option<Envelope>,
    /// The words.
    pub said: Said,
    /// Times at which some of the words came.
    pub word_times: Vec<WordTime>,
    /// Usage as the answer told it: the accused.
    pub usage: Option<Tokens>,
    /// Region as the response's header told it: the accused.
    pub region: Option<String>,
}

/// Why a request was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The load.
    #[default]
    Load,
    /// Sent again because a refusal said when to come back.
    Obedient {
        /// The refused request.
        of: u64,
    },
    /// Sent again at once after a failure, by a client that storms.
    Storm {
        /// The failed request.
        of: u64,
    },
    /// Sent after the run to see that one part works; the name says which.
    Canary {
        /// Lane, dialect or region.
        part: String,
    },
    /// Sent after the run to spend what a key has left.
    Spend,
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Not at all.
    #[default]
    Open,
    /// The whole answer, with its dialect's end.
    Complete,
    /// An error status with a body.
    Refused,
    /// One error event in the stream.
    StreamError,
    /// The stream or body ended with neither an end nor an error.
    Silent,
    /// More than one end, content after the end, or bytes that are not the dialect.
    Malformed,
    /// The connection broke.
    Cut,
    /// No connection could be made.
    Unreachable,
    /// The client left on purpose.
    Left,
    /// The deadline passed.
    Timeout,
    /// Never sent: too many were under way. The run is tainted.
    Dropped,
}

impl End {
    /// Name for tables and charts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::StreamError => "stream error",
            Self::Silent => "silent",
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::Unreachable => "unreachable",
            Self::Left => "left",
            Self::Timeout => "timeout",
            Self::Dropped => "dropped",
        }
    }
}

/// What a client does on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientFault {
    /// Closes the connection after a time.
    Vanish,
    /// Reads slowly.
    SlowReader,
    /// Sends half of its body and no more.
    HalfOpen,
    /// Sends a body that is not JSON.
    BadBody,
    /// Sends a body beyond every limit.
    HugeBody,
    /// Repeats failures at once.
    RetryStorm,
}

/// An error as the client read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// It had the dialect's shape.
    pub well_formed: bool,
    /// `type`.
    pub kind: String,
    /// `code`.
    pub code: Option<String>,
    /// `message`, shortened.
    pub message: String,
}

/// The words of an answer, told by their watermarks `<call>.<index>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Unbroken runs of words, in the order they came.
    pub runs: Vec<Run>,
    /// Texts without a watermark, the first few.
    pub stray: Vec<String>,
}

/// Words `first..=last` of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Number of the call in the journal.
    pub call: u64,
    /// First index.
    pub first: u64,
    /// Last index.
    pub last: u64,
}

/// How many texts without a watermark are kept.
const MAX_STRAY: usize = 8;

impl Said {
    /// Adds a word.
    pub fn hear(&mut self, call: u64, index: u64) {
        match self.runs.last_mut() {
            Some(run) if run.call == call && run.last + 1 == index => run.last = index,
            _ => self.runs.push(Run { call, first: index, last: index }),
        }
    }

    /// Adds a text that is no watermark.
    pub fn stray(&mut self, text: &str) {
        if self.stray.len() < MAX_STRAY {
            self.stray.push(text.chars().take(80).collect());
        }
    }

    /// Number of words.
    #[must_use]
    pub fn words(&self) -> u64 {
        self.runs.iter().map(|run| run.last - run.first + 1).sum()
    }

    /// Nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.stray.is_empty()
    }
}

/// When a word came, or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordTime {
    /// Call it is of.
    pub call: u64,
    /// Index of the word.
    pub index: u64,
    /// When.
    pub at: Micros,
}

/// Token counts. `input` excludes cache reads and writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Uncached input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache.
    pub cache_write: u64,
}

impl Tokens {
    /// The larger count of each kind.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
        }
    }

    /// Sum of two counts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
        }
    }
}

impl Request {
    /// It ended well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end == End::Complete
    }

    /// It failed, and not by its client's own doing.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.succeeded() && !self.self_inflicted()
    }

    /// Whatever came of it, its client asked for it.
    #[must_use]
    pub fn self_inflicted(&self) -> bool {
        match self.fault {
            Some(ClientFault::Vanish | ClientFault::HalfOpen | ClientFault::BadBody | ClientFault::HugeBody) => true,
            Some(ClientFault::SlowReader | ClientFault::RetryStorm) | None => false,
        }
    }

    /// Refused with a throttle.
    #[must_use]
    pub fn throttled(&self) -> bool {
        self.status == Some(429)
    }

    /// Time from the intended send to the first content.
    #[must_use]
    pub fn time_to_first_content(&self) -> Option<Micros> {
        self.first_content.map(|at| at.minus(self.intended))
    }

    /// Time from the intended send to the end.
    #[must_use]
    pub fn total(&self) -> Option<Micros> {
        self.ended.map(|at| at.minus(self.intended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_order_are_one_run_and_every_break_begins_another() {
        let mut said = Said::default();
        for (call, index) in [(7, 0), (7, 1), (7, 2), (7, 4), (7, 5), (8, 0), (8, 0)] {
            said.hear(call, index);
        }
        let run = |call, first, last| Run { call, first, last };
        assert_eq!(said.runs, [run(7, 0, 2), run(7, 4, 5), run(8, 0, 0), run(8, 0, 0)]);
        assert_eq!(said.words(), 7);
    }
}
