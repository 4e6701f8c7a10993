//! The simulator's book, in the harness's own words: checkers must not depend on the simulator's types.

use serde::{Deserialize, Serialize};

use super::{Micros, Tokens, WordTime};

/// One upstream call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Number, from 1: the first half of every word of its answer.
    pub number: u64,
    /// Region asked.
    pub region: String,
    /// Foundation model.
    pub model: String,
    /// Called through the profile of a geography, which costs more for some models.
    pub geographic: bool,
    /// It asked for a stream.
    pub stream: bool,
    /// The newest nonce of its body.
    pub nonce: Option<String>,
    /// The word of a begun answer that it goes on from, `<call>.<index>`.
    #[serde(default)]
    pub prefill: Option<String>,
    /// Connection that carried it.
    pub connection: u64,
    /// When its head arrived.
    pub arrived: Micros,
    /// Whether it was let in.
    pub admission: Admission,
    /// Number of the fault of the scenario that struck it.
    pub fault: Option<u64>,
    /// When the response's head was ready.
    pub head: Option<Micros>,
    /// When the first byte was accepted by the connection.
    pub first_byte: Option<Micros>,
    /// Words sent.
    pub words_sent: u64,
    /// Words of the whole answer.
    pub words_total: u64,
    /// When some of the words were sent.
    pub word_times: Vec<WordTime>,
    /// What the account pays.
    pub billed: Option<Tokens>,
    /// What the whole answer costs.
    pub whole: Option<Tokens>,
    /// Cache tokens that one cache for all regions would have given.
    pub ideal_cache_read: Option<u64>,
    /// The answer was whole: every word and the end were sent as they should be.
    pub intact: bool,
    /// Its usage was sent.
    pub usage_sent: bool,
    /// When the peer was seen to close, by the read half.
    pub peer_closed: Option<Micros>,
    /// When it ended.
    pub ended: Option<Micros>,
    /// How it ended.
    pub ending: Ending,
}

/// Whether a call was let in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Never decided.
    #[default]
    Pending,
    /// Let in.
    Admitted {
        /// Tokens reserved.
        reserved: Option<u64>,
    },
    /// Refused.
    Refused {
        /// HTTP status.
        status: u16,
        /// Exception name.
        code: String,
        /// Words.
        text: String,
        /// By a true quota, which wanted so many tokens.
        quota: Option<u64>,
    },
}

/// Kinds of faults that leave an answer broken though every byte of it was accepted by the connection.
pub const BREAKING: [&str; 7] =
    ["no_stop", "corrupt_frame", "truncate_frame", "exception_frame", "error_frame", "duplicate_event", "half_close"];

/// How a call ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is running.
    #[default]
    Open,
    /// Everything was accepted by the connection.
    Complete,
    /// The simulator cut it.
    Cut,
    /// The peer went away.
    Cancelled,
    /// The simulator was shut down.
    Shutdown,
}

impl Call {
    /// Refused with a throttle.
    #[must_use]
    pub fn throttled(&self) -> bool {
        matches!(&self.admission, Admission::Refused { status: 429, .. })
    }

    /// Tokens that it reserved or wanted to.
    #[must_use]
    pub fn wanted(&self) -> Option<u64> {
        match &self.admission {
            Admission::Admitted { reserved } => *reserved,
            Admission::Refused { quota, .. } => *quota,
            Admission::Pending => None,
        }
    }

    /// It answered as it should.
    #[must_use]
    pub fn answered(&self) -> bool {
        matches!(self.admission, Admission::Admitted { .. }) && self.intact && self.ending == Ending::Complete
    }
}

/// Names one true bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BucketKey {
    /// Region.
    pub region: String,
    /// Foundation model.
    pub model: String,
    /// Class of profile that it counts; empty = all together.
    #[serde(default)]
    pub profile: String,
}

/// One change of a bucket, with its levels afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BucketEvent {
    /// When it took effect.
    pub at: Micros,
    /// The bucket.
    pub key: BucketKey,
    /// The call it was for.
    pub call: Option<u64>,
    /// What happened.
    pub change: Change,
    /// Requests left; `None` = unlimited.
    pub requests: Option<i64>,
    /// Tokens left; `None` = unlimited.
    pub tokens: Option<i64>,
}

/// What happened to a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It has these limits from now on.
    Limits {
        /// Requests.
        requests: Option<Limit>,
        /// Tokens.
        tokens: Option<Limit>,
    },
    /// Its limits are gone.
    Unlimited,
    /// A call was admitted.
    Admitted {
        /// Tokens reserved.
        tokens: u64,
    },
    /// A call was refused.
    Refused {
        /// Tokens wanted.
        tokens: u64,
    },
    /// A reservation became its cost.
    Settled {
        /// Tokens given back.
        reserved: u64,
        /// Tokens taken.
        cost: u64,
    },
}

/// A limit and how its bucket fills.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Units a minute.
    pub per_minute: f64,
    /// Units of a full bucket.
    pub depth: f64,
    /// How it fills.
    pub refill: Refill,
}

/// How a bucket fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refill {
    /// Evenly.
    #[default]
    Continuous,
    /// At once, each minute after this offset.
    Minute {
        /// When the first whole minute of the run begins.
        offset: Micros,
    },
}
