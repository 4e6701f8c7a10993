//! What a rule does to a call.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Asked;
use crate::{
    brain::Turn,
    draw::Stream,
    faults::{FaultKind, Position},
    pace::Latency,
    wire::{WireCut, WirePlan},
};

/// Stands for the number of the call in the texts of errors: a client's error can then be traced to its call.
const CALL: &str = "{call}";

/// Computes the answer of a call.
pub type AnswerFn = Arc<dyn Fn(&Asked) -> Turn + Send + Sync>;

/// One thing done to a selected call. Actions of one rule are combined; of two answers the last one counts.
///
/// `{call}` in the text of an error, exception or error message becomes the number of the call in the journal.
#[derive(Clone)]
pub enum Action {
    /// Refuse with this error instead of answering.
    Error(ScriptedError),
    /// Answer with this turn; the request is still validated and metered.
    Answer(Turn),
    /// Answer with a computed turn; the request is still validated and metered.
    AnswerWith(AnswerFn),
    /// Send exactly these bytes, with neither validation nor metering.
    AnswerRaw {
        /// HTTP status.
        status: u16,
        /// Extra headers, beside the request id and the date.
        headers: Vec<(String, String)>,
        /// Body.
        body: Bytes,
    },
    /// Answer a model-native stream: each text is one `chunk` event.
    AnswerChunks(Vec<String>),
    /// Wait before the response head.
    DelayHead(Duration),
    /// Wait before each event of a stream.
    DelayBetweenEvents(Duration),
    /// Replace the rest of the stream by a modeled exception.
    ExceptionFrame {
        /// Good events before it.
        after_events: usize,
        /// Name in the service model, for example `throttlingException`.
        kind: String,
        /// Text of the exception.
        message: String,
    },
    /// Replace the rest of the stream by an unmodeled error message.
    ErrorFrame {
        /// Good events before it.
        after_events: usize,
        /// Value of `:error-code`.
        code: String,
        /// Value of `:error-message`.
        message: String,
    },
    /// Close the connection after so many events, without ending the body.
    CutAfterEvents {
        /// Whole events sent.
        events: usize,
        /// How it closes.
        manner: CutManner,
    },
    /// Close the connection after so many bytes of the response body.
    CutAfterBytes {
        /// Body bytes sent (without HTTP framing).
        bytes: usize,
        /// How it closes.
        manner: CutManner,
    },
    /// Close the connection after the request was read, before any byte of the answer.
    CutBeforeHead(CutManner),
    /// Fall silent in the middle of a stream.
    StallAfterEvents {
        /// Events sent before.
        events: usize,
        /// How long.
        pause: Duration,
    },
    /// Leave out the end of the message: `messageStop`, `message_stop` of a Claude stream, the chunk with the finish reason.
    NoStop,
    /// Leave out the final usage: `metadata`, or what stands for it among the native events; what else is in these stays.
    NoUsage,
    /// Wait before the event with the final usage.
    LateUsage(Duration),
    /// Send the event at this position (from 0) twice.
    DuplicateEvent {
        /// Events sent before the doubled one.
        after_events: usize,
    },
    /// Damage one event.
    CorruptFrame {
        /// Good events before it.
        after_events: usize,
        /// What is damaged.
        field: CorruptField,
    },
    /// Send only the first bytes of one event, then close the connection.
    TruncateFrame {
        /// Good events before it.
        after_events: usize,
        /// Bytes of the event that are sent.
        keep_bytes: usize,
    },
    /// Reset the connection: on accept when the rule selects by region only, else after the request.
    RefuseConnection,
    /// Read the request and never answer.
    BlackHole,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutManner {
    /// An orderly end of the TCP stream in the middle of the answer: every byte sent before arrives.
    Close,
    /// A TCP reset. Bytes the client has not read yet may be lost.
    Reset,
}

/// The part of an event that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorruptField {
    /// Checksum of the prelude.
    PreludeCrc,
    /// Checksum of the message.
    MessageCrc,
    /// Total length.
    Length,
    /// A byte of the first header's name.
    Header,
    /// First byte of the payload.
    Payload,
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedError {
    /// HTTP status.
    pub status: u16,
    /// Exception name without namespace.
    pub error_type: String,
    /// Text.
    pub message: String,
    /// Value of `x-amz-retry-after`.
    pub retry_after: Option<Duration>,
}

impl ScriptedError {
    /// An error without retry advice.
    pub fn new(status: u16, error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, error_type: error_type.into(), message: message.into(), retry_after: None }
    }

    /// The refusal of an account over its requests per minute.
    #[must_use]
    pub fn throttling() -> Self {
        Self::new(429, "ThrottlingException", crate::quota::TOO_MANY_REQUESTS)
    }

    /// The refusal of a region without capacity.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(503, "ServiceUnavailableException", "Bedrock is unable to process your request.")
    }

    /// The status of an error of the Converse service model. Source: service model `bedrock-runtime/2023-09-30`.
    #[must_use]
    pub fn modeled_status(code: &str) -> Option<u16> {
        Some(match code {
            "ValidationException" | "ServiceQuotaExceededException" => 400,
            "AccessDeniedException" => 403,
            "ResourceNotFoundException" => 404,
            "ModelTimeoutException" => 408,
            "ModelErrorException" | "ModelStreamErrorException" => 424,
            "ThrottlingException" | "ModelNotReadyException" => 429,
            "InternalServerException" => 500,
            "ServiceUnavailableException" => 503,
            _ => return None,
        })
    }

    /// Adds advice on when to retry.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

/// A text with the number of the call where it asks for it.
pub(crate) fn numbered(text: &str, call: u64) -> String {
    text.replace(CALL, &call.to_string())
}

impl Action {
    /// Writes the number of the call where a text asks for it.
    fn numbered(mut self, call: u64) -> Self {
        if let Self::Error(ScriptedError { message, .. }) | Self::ExceptionFrame { message, .. } | Self::ErrorFrame { message, .. } =
            &mut self
        {
            *message = numbered(message, call);
        }
        self
    }

    /// True for actions that mean nothing outside an event stream.
    pub(super) fn concerns_streams_only(&self) -> bool {
        !matches!(
            self,
            Self::Error(_)
                | Self::Answer(_)
                | Self::AnswerWith(_)
                | Self::AnswerRaw { .. }
                | Self::DelayHead(_)
                | Self::CutAfterBytes { .. }
                | Self::CutBeforeHead(_)
                | Self::RefuseConnection
                | Self::BlackHole
        )
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error(_) => "Error",
            Self::Answer(_) => "Answer",
            Self::AnswerWith(_) => "AnswerWith",
            Self::AnswerRaw { .. } => "AnswerRaw",
            Self::AnswerChunks(_) => "AnswerChunks",
            Self::DelayHead(_) => "DelayHead",
            Self::DelayBetweenEvents(_) => "DelayBetweenEvents",
            Self::ExceptionFrame { .. } => "ExceptionFrame",
            Self::ErrorFrame { .. } => "ErrorFrame",
            Self::CutAfterEvents { .. } => "CutAfterEvents",
            Self::CutAfterBytes { .. } => "CutAfterBytes",
            Self::CutBeforeHead(_) => "CutBeforeHead",
            Self::StallAfterEvents { .. } => "StallAfterEvents",
            Self::NoStop => "NoStop",
            Self::NoUsage => "NoUsage",
            Self::LateUsage(_) => "LateUsage",
            Self::DuplicateEvent { .. } => "DuplicateEvent",
            Self::CorruptFrame { .. } => "CorruptFrame",
            Self::TruncateFrame { .. } => "TruncateFrame",
            Self::RefuseConnection => "RefuseConnection",
            Self::BlackHole => "BlackHole",
        })
    }
}

/// The actions of one rule, sorted by the stage of the call they concern.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) place: Option<PlaceFault>,
    pub(crate) answer: AnswerOrder,
    pub(crate) delay_head: Duration,
    pub(crate) cut_after_bytes: Option<(usize, CutManner)>,
    pub(crate) stall_bytes: Option<ByteStall>,
    /// In place of the pace of the place.
    pub(crate) first_token: Option<Latency>,
    /// In place of the pace of the place.
    pub(crate) inter_token: Option<Latency>,
    pub(crate) wire: Option<WireOrder>,
    pub(crate) stream: StreamFaults,
}

/// A silence after so many bytes of the body.
#[derive(Debug, Clone)]
pub(crate) struct ByteStall {
    pub(crate) at: Position,
    pub(crate) pause: Duration,
    pub(crate) stream: Stream,
}

/// What happens to the bytes of a response below HTTP; places are open until its length is known.
#[derive(Debug, Clone)]
pub(crate) struct WireOrder {
    pub(crate) cut: Option<(Position, WireCut)>,
    pub(crate) slice: Option<usize>,
    pub(crate) bytes_per_s: Option<u64>,
    pub(crate) delay: Option<Latency>,
    pub(crate) stream: Stream,
}

/// Shorter than any response head, so that a place drawn over body and this much of the head lies within the response.
const SURE_HEAD: u64 = 100;

impl WireOrder {
    /// The plan for a response whose body has so many bytes before framing.
    pub(crate) fn plan(mut self, body_bytes: u64) -> WirePlan {
        let cut = self.cut.map(|(position, cut)| match position {
            Position::At(byte) => (byte, cut),
            Position::Random => (self.stream.below(SURE_HEAD + body_bytes), cut),
        });
        let delay = self.delay.map(|latency| (latency, self.stream));
        WirePlan { cut, slice: self.slice, bytes_per_s: self.bytes_per_s, delay, ..WirePlan::default() }
    }
}

/// What happens to the connection instead of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PlaceFault {
    Cut(CutManner),
    BlackHole,
}

/// Where the answer comes from.
#[derive(Default)]
pub(crate) enum AnswerOrder {
    #[default]
    Usual,
    Error(ScriptedError),
    Turn(Turn),
    With(AnswerFn),
    Raw {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
    Chunks(Vec<String>),
}

impl fmt::Debug for AnswerOrder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Usual => "Usual",
            Self::Error(_) => "Error",
            Self::Turn(_) => "Turn",
            Self::With(_) => "With",
            Self::Raw { .. } => "Raw",
            Self::Chunks(_) => "Chunks",
        })
    }
}

/// Faults inside an event stream, in the order they were given.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamFaults {
    pub(crate) between: Option<Duration>,
    pub(crate) list: Vec<Action>,
    /// A fault whose place in the stream is not known yet, and its random numbers.
    pub(crate) drawn: Option<(FaultKind, Stream)>,
}

impl Orders {
    pub(super) fn of(actions: &[Action], call: u64) -> Self {
        let mut orders = Self::default();
        for action in actions {
            orders.take(action.clone().numbered(call));
        }
        orders
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Error(error) => self.answer = AnswerOrder::Error(error),
            Action::Answer(turn) => self.answer = AnswerOrder::Turn(turn),
            Action::AnswerWith(answer) => self.answer = AnswerOrder::With(answer),
            Action::AnswerRaw { status, headers, body } => self.answer = AnswerOrder::Raw { status, headers, body },
            Action::AnswerChunks(chunks) => self.answer = AnswerOrder::Chunks(chunks),
            Action::DelayHead(delay) => self.delay_head = delay,
            Action::DelayBetweenEvents(delay) => self.stream.between = Some(delay),
            Action::CutAfterBytes { bytes, manner } => self.cut_after_bytes = Some((bytes, manner)),
            Action::CutBeforeHead(manner) => self.place = Some(PlaceFault::Cut(manner)),
            Action::RefuseConnection => self.place = Some(PlaceFault::Cut(CutManner::Reset)),
            Action::BlackHole => self.place = Some(PlaceFault::BlackHole),
            other => self.stream.list.push(other),
        }
    }
}
