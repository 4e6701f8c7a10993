//! Records for checkers: the journal's calls and connections as plain, serialisable values.
//!
//! All times are nanoseconds since the start of the simulator ([`Nanos`]).

use serde::{Deserialize, Serialize};

use super::{Call, Ending, Outcome};
use crate::{
    auth::AuthKind,
    brain::TurnUsage,
    faults::FaultId,
    quota::{BucketKey, ProfileClass, QuotaLimit},
    route::Operation,
    span::Nanos,
};

/// One upstream call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Number, from 1, over all regions; the first half of every watermark of its answer.
    pub id: u64,
    /// Value of `x-amzn-RequestId`.
    pub request_id: String,
    /// Region asked.
    pub region: String,
    /// Number of the connection that carried it, over all regions.
    pub connection: u64,
    /// Operation asked.
    pub operation: Operation,
    /// Decoded label of the path.
    pub label: Option<String>,
    /// Foundation model the label stands for.
    pub model: Option<String>,
    /// How the label reaches the model.
    pub profile: Option<ProfileClass>,
    /// Access key that signed it; `"bearer"` for API keys; `None` if nobody was identified.
    pub key: Option<String>,
    /// The last nonce in the raw body: the newest turn of a conversation.
    pub nonce: Option<String>,
    /// All different nonces of the raw body in order of first appearance, at most [`CallRecord::MOST_NONCES`] (the last ones).
    pub nonces: Vec<String>,
    /// The last watermark of a prefilled assistant turn that the answer goes on from.
    pub prefill: Option<String>,
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// When the head of the request had arrived.
    pub arrived: Nanos,
    /// When the body of the request had arrived.
    pub read: Option<Nanos>,
    /// Whether it was let in.
    pub decision: Decision,
    /// When that was decided.
    pub decided: Option<Nanos>,
    /// The call fault that struck it.
    pub fault: Option<FaultHit>,
    /// When the response head was ready.
    pub head: Option<Nanos>,
    /// When the first byte of the response was accepted by the connection.
    pub first_byte: Option<Nanos>,
    /// When the last byte so far was.
    pub last_byte: Option<Nanos>,
    /// Words sent, and when; only watermarked answers. At most as many runs as the journal's limit (the first ones).
    pub words: Vec<WordRun>,
    /// Words sent in all.
    pub words_sent: u64,
    /// Words the whole answer has.
    pub words_total: u64,
    /// Whole stream events sent.
    pub events_sent: u64,
    /// Bytes of the response body sent.
    pub body_bytes: u64,
    /// Bytes of the response on the wire: head and chunk framing included.
    pub wire_bytes: u64,
    /// What the account pays: all input, and the part of the output that was sent.
    pub billed: Option<Usage>,
    /// What the whole answer would have cost.
    pub usage: Option<Usage>,
    /// Cache tokens it would have read had all its region's siblings been one region (for affinity).
    pub ideal_cache_read: Option<u64>,
    /// When the peer was seen to have closed the connection, by the read half: a write that succeeds proves nothing.
    pub peer_closed: Option<Nanos>,
    /// When the call ended.
    pub ended: Option<Nanos>,
    /// How it ended.
    pub end: End,
    /// Calls running in its region when it arrived, itself included.
    pub in_flight: u64,
    /// Connections open in its region when it arrived.
    pub open_connections: u64,
}

impl CallRecord {
    /// Nonces kept of one body: a long conversation repeats those of its earlier turns.
    pub const MOST_NONCES: usize = 64;
}

/// Whether a call was let in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Decision {
    /// Not decided, or never: black holes, cuts before the head, requests that broke off.
    #[default]
    Pending,
    /// Let in.
    Admitted {
        /// The bucket it went through; `None` where no quota applies.
        bucket: Option<BucketKey>,
        /// Tokens reserved (input, cached or not, and `maxTokens`), also where no quota applies.
        reserved: Option<u64>,
    },
    /// Refused.
    Refused {
        /// Who refused.
        by: RefusedBy,
        /// HTTP status.
        status: u16,
        /// Exception name.
        code: String,
        /// Text.
        text: String,
    },
}

/// Who refused a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum RefusedBy {
    /// A quota.
    Quota {
        /// The bucket.
        bucket: BucketKey,
        /// Which of its limits.
        limit: QuotaLimit,
        /// Tokens it wanted to reserve.
        wanted: u64,
    },
    /// A fault.
    Fault {
        /// Its id.
        fault: FaultId,
    },
    /// A rule of the script.
    Script,
    /// Signature or API key.
    Auth,
    /// The rules of the service: validation, access, unknown names.
    Service,
}

/// The fault that struck a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultHit {
    /// Its id.
    pub fault: FaultId,
    /// Its kind.
    pub kind: String,
}

/// Words that were handed to the connection together; the bytes before them had been accepted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordRun {
    /// Index of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// When.
    pub at: Nanos,
}

/// Token counts. `input` excludes cache reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Uncached input.
    pub input: u64,
    /// Output, thinking included.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the five-minute cache.
    pub cache_write_5m: u64,
    /// Written to the one-hour cache.
    pub cache_write_1h: u64,
}

impl From<&TurnUsage> for Usage {
    fn from(usage: &TurnUsage) -> Self {
        let TurnUsage { input, output, cache_read, cache_write_5m, cache_write_1h, thinking: _ } = *usage;
        Self { input, output, cache_read, cache_write_5m, cache_write_1h }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It is running.
    #[default]
    Open,
    /// Every byte of the answer was accepted by the connection.
    Complete,
    /// The simulator cut it.
    Cut,
    /// The peer went away first.
    Cancelled,
    /// The simulator was shut down.
    Shutdown,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// Number, from 1, over all regions.
    pub number: u64,
    /// Region.
    pub region: String,
    /// When it was accepted.
    pub opened: Nanos,
    /// When the peer was seen to have closed it, by the read half.
    pub peer_closed: Option<Nanos>,
    /// When the simulator let go of it.
    pub closed: Option<Nanos>,
    /// Calls it has carried.
    pub calls: u64,
    /// Bytes written to it.
    pub bytes: u64,
}

/// How busy a region is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// Region.
    pub region: String,
    /// Calls running.
    pub in_flight: u64,
    /// Most calls that ever ran at once.
    pub most_in_flight: u64,
    /// Connections open.
    pub open_connections: u64,
    /// Connections accepted so far.
    pub accepted_connections: u64,
    /// Prompt tokens read from the region's cache so far.
    pub cache_read: u64,
    /// Prompt tokens that one cache for all regions would have read.
    pub ideal_cache_read: u64,
}

impl From<&Call> for CallRecord {
    fn from(call: &Call) -> Self {
        Self {
            id: call.number,
            request_id: call.request_id.clone(),
            region: call.region.clone(),
            connection: call.connection,
            operation: call.operation,
            label: call.label.clone(),
            model: call.model.clone(),
            profile: call.profile,
            key: match &call.auth {
                Some(AuthKind::SigV4 { access_key }) => Some(access_key.clone()),
                Some(AuthKind::Bearer) => Some("bearer".to_owned()),
                Some(AuthKind::Unchecked) | None => None,
            },
            nonce: call.nonces.last().cloned(),
            nonces: call.nonces.clone(),
            prefill: call.prefill.clone(),
            request_bytes: call.body_bytes as u64,
            arrived: call.received_at.into(),
            read: call.read_at.map(Nanos::from),
            decision: Decision::of(call),
            decided: call.decided_at.map(Nanos::from),
            fault: call.fault.clone(),
            head: call.head_at.map(Nanos::from),
            first_byte: call.first_byte_at.map(Nanos::from),
            last_byte: call.last_byte_at.map(Nanos::from),
            words: call.words.clone(),
            words_sent: call.words_sent,
            words_total: call.words_total,
            events_sent: call.events_sent,
            body_bytes: call.bytes_sent,
            wire_bytes: call.wire_bytes,
            billed: call.billed.as_ref().map(Usage::from),
            usage: call.turn.as_ref().map(|turn| Usage::from(&turn.usage)),
            ideal_cache_read: call.ideal_cache_read,
            peer_closed: call.client_closed_at.map(Nanos::from),
            ended: call.ended_at.map(Nanos::from),
            end: call.ending.into(),
            in_flight: call.in_flight,
            open_connections: call.open_connections,
        }
    }
}

impl Decision {
    fn of(call: &Call) -> Self {
        match &call.outcome {
            Outcome::Refused { status, error_type, message } => Self::Refused {
                by: call.refused_by.clone().unwrap_or(RefusedBy::Service),
                status: *status,
                code: error_type.clone(),
                text: message.clone(),
            },
            Outcome::Undecided if call.reserved_tokens.is_none() => Self::Pending,
            Outcome::Undecided | Outcome::Answered { .. } => Self::Admitted { bucket: call.bucket.clone(), reserved: call.reserved_tokens },
        }
    }
}

impl From<Ending> for End {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Open => Self::Open,
            Ending::Complete => Self::Complete,
            Ending::Cut => Self::Cut,
            Ending::ClientGone => Self::Cancelled,
            Ending::Shutdown => Self::Shutdown,
        }
    }
}
