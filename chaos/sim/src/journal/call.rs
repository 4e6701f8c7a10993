//! One call as the journal keeps it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::record::{FaultHit, RefusedBy, WordRun};
use crate::{
    auth::AuthKind,
    brain::{Turn, TurnUsage},
    quota::{BucketKey, ProfileClass},
    route::Operation,
    script::RuleId,
};

/// How a call was answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Outcome {
    /// Not decided yet, or never (black holes, cuts before the head).
    #[default]
    Undecided,
    /// Refused with an error.
    Refused {
        /// HTTP status.
        status: u16,
        /// Exception name.
        error_type: String,
        /// Text.
        message: String,
    },
    /// Answered.
    Answered {
        /// HTTP status.
        status: u16,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ending {
    /// Still running.
    #[default]
    Open,
    /// The whole answer was handed to the connection.
    Complete,
    /// The simulator cut the connection.
    Cut,
    /// The client went away first.
    ClientGone,
    /// The simulator was shut down.
    Shutdown,
}

/// One call. All times count from the start of the simulator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// Number, from 1, over all regions.
    pub number: u64,
    /// Value of `x-amzn-RequestId`.
    pub request_id: String,
    /// Region asked.
    pub region: String,
    /// Number of the connection that carried it, over all regions.
    pub connection: u64,
    /// Operation asked.
    pub operation: Operation,
    /// Method and raw path with query.
    pub target: String,
    /// Decoded label of the path.
    pub label: Option<String>,
    /// Foundation model the label stands for.
    pub model: Option<String>,
    /// How the label reaches the model.
    pub profile: Option<ProfileClass>,
    /// When the head of the request had arrived.
    pub received_at: Duration,
    /// Bedrock's own headers of the request (`x-amzn-bedrock-*`), each with its value as far as it is text.
    pub wishes: Vec<(String, String)>,
    /// Beginning of the request body, up to [`JournalLimits::body_bytes`](crate::JournalLimits::body_bytes); empty once it was forgotten.
    pub body: Bytes,
    /// Length of the whole request body.
    pub body_bytes: usize,
    /// When the request body had arrived.
    pub read_at: Option<Duration>,
    /// The nonces of the request body, in order of first appearance; see [`CallRecord::nonces`](crate::CallRecord::nonces).
    pub nonces: Vec<String>,
    /// The last watermark of a prefilled assistant turn.
    pub prefill: Option<String>,
    /// How the caller identified itself; `None` while undecided or refused.
    pub auth: Option<AuthKind>,
    /// The script's rule that decided about it.
    pub rule: Option<RuleId>,
    /// The call fault that struck it.
    pub fault: Option<FaultHit>,
    /// When it was admitted or refused.
    pub decided_at: Option<Duration>,
    /// Tokens reserved at admission.
    pub reserved_tokens: Option<u64>,
    /// The bucket they came from.
    pub bucket: Option<BucketKey>,
    /// Who refused it, where that was not the service itself.
    pub refused_by: Option<RefusedBy>,
    /// Answer or refusal.
    pub outcome: Outcome,
    /// The turn that was answered, in full, even if only a part of it was sent.
    pub turn: Option<Arc<Turn>>,
    /// When the response head was ready.
    pub head_at: Option<Duration>,
    /// Stream events sent whole.
    pub events_sent: u64,
    /// Body bytes sent.
    pub bytes_sent: u64,
    /// Bytes of the response on the wire, head and framing included.
    pub wire_bytes: u64,
    /// When the first byte of the response left.
    pub first_byte_at: Option<Duration>,
    /// When the last one did.
    pub last_byte_at: Option<Duration>,
    /// Watermarks sent and when, up to [`JournalLimits::word_runs`](crate::JournalLimits::word_runs).
    pub words: Vec<WordRun>,
    /// Watermarks sent.
    pub words_sent: u64,
    /// Watermarks of the whole answer.
    pub words_total: u64,
    /// When each event was sent, if [`JournalLimits::event_times`](crate::JournalLimits::event_times) asks for it.
    pub event_times: Vec<Duration>,
    /// What the account pays: all input, and the part of the output that was sent.
    pub billed: Option<TurnUsage>,
    /// What it would have read from one prompt cache of all regions.
    pub ideal_cache_read: Option<u64>,
    /// Calls running in its region when it arrived, itself included.
    pub in_flight: u64,
    /// Connections open in its region when it arrived.
    pub open_connections: u64,
    /// When the client was seen to close the connection, if it did so before the call ended.
    pub client_closed_at: Option<Duration>,
    /// When the call ended.
    pub ended_at: Option<Duration>,
    /// How the call ended.
    pub ending: Ending,
}

impl Call {
    /// The value of one of [`Call::wishes`].
    #[must_use]
    pub fn wish(&self, header: &str) -> Option<&str> {
        self.wishes.iter().find(|(name, _)| name == header).map(|(_, value)| value.as_str())
    }

    /// The error type of a refusal.
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Refused { error_type, .. } => Some(error_type),
            _ => None,
        }
    }

    /// True once the call has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ending != Ending::Open
    }
}
