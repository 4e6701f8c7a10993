//! What a fault does. Field names are those of scenario files.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    behaviour::Delay,
    quota::{Quota, QuotaLimit},
    script::CorruptField,
    span::{SignedSpan, Span},
};

/// The kinds of faults. Layers: A answer, S stream, W wire, P place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    // ---- A: answers ----
    /// A: these limits hold instead of the standing ones; buckets start full. Selects by region, model, profile, time.
    Quota(Quota),
    /// A: limits (rate and depth) of the selected buckets times `factor`: 0.5 halves, 2 doubles. Levels above the new
    /// depth are cut, others stay.
    QuotaScale {
        /// Above 0.
        factor: f64,
    },
    /// A: refuses as an account over its quota, without looking at any bucket.
    Throttle {
        /// Whose words: `requests` (default), `tokens` or `day`.
        #[serde(default)]
        limit: QuotaLimit,
        /// Other words; `{call}` becomes the number of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// HTTP status; 429 if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// A: throttles the first `count` calls that come within `within` of the first of them, then none.
    Storm {
        /// Calls.
        count: u64,
        /// Length of the storm.
        within: Span,
        /// Silence before each refusal, so that many calls are under way when the first is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Span>,
        /// As for `throttle`.
        #[serde(default)]
        limit: QuotaLimit,
        /// As for `throttle`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A: refuses with an error.
    Error {
        /// Exception name, such as `ServiceUnavailableException`.
        code: String,
        /// HTTP status; may be left out for the codes of the Converse service model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Words; `{call}` becomes the number of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Sent as `x-amz-retry-after`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Span>,
    },
    /// A: `ModelTimeoutException` (408) after a silence.
    ModelTimeout {
        /// Length of the silence.
        after: Span,
        /// Words; `{call}` becomes the number of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A: `AccessDeniedException` (403), as for a model the account lost.
    AccessLost {
        /// Other words; `{call}` becomes the number of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A: `ResourceNotFoundException` (404), as for a model at the end of its life.
    ModelGone {
        /// Other words; `{call}` becomes the number of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A: access and API keys known when it begins have expired (`ExpiredTokenException`, 403); keys put later are good.
    CredentialsExpired {},
    /// A: the region's clock is off: signatures are judged, and `Date` is sent, by that clock.
    ClockSkew {
        /// `-7m`: the region is seven minutes behind.
        offset: SignedSpan,
    },
    /// A: the whole answer begins later by a draw.
    Latency(Delay),
    /// A: the first token takes a draw of this instead of the usual one.
    FirstToken(Delay),
    /// A: each further token takes a draw of this instead of the usual one.
    InterToken(Delay),

    // ---- S: streams ----
    /// S: falls silent in mid-stream; the connection stays open and goes on afterwards.
    Stall {
        /// Whole events sent before; random if neither this nor `after_bytes` is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_events: Option<Position>,
        /// Bytes of the response body sent before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_bytes: Option<Position>,
        /// Length of the silence; without it, for ever. (`for` is how long the fault itself is in force.)
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pause: Option<Span>,
    },
    /// S: a modeled exception replaces the rest of the stream.
    ExceptionFrame {
        /// Member name in the service model, such as `throttlingException`.
        #[serde(rename = "type")]
        exception: String,
        /// Good events before it.
        #[serde(default)]
        after_events: Position,
        /// Words; `{call}` becomes the number of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// S: an unmodeled error message replaces the rest of the stream.
    ErrorFrame {
        /// Value of `:error-code`.
        code: String,
        /// Good events before it.
        #[serde(default)]
        after_events: Position,
        /// Words; `{call}` becomes the number of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// S: the end of the message is missing (`messageStop`, or what stands for it in a native stream).
    NoStop {},
    /// S: the final usage is missing (`metadata`, or what stands for it in a native stream).
    NoUsage {},
    /// S: the final usage comes late.
    LateUsage {
        /// By how much.
        delay: Span,
    },
    /// S: one event is sent twice.
    DuplicateEvent {
        /// Events sent before the doubled one.
        #[serde(default)]
        after_events: Position,
    },
    /// S: one event is damaged; its neighbours are whole.
    CorruptFrame {
        /// What is damaged.
        field: CorruptField,
        /// Good events before it.
        #[serde(default)]
        after_events: Position,
    },
    /// S: only the first bytes of one event are sent, then the connection is closed (FIN).
    TruncateFrame {
        /// Good events before it.
        #[serde(default)]
        after_events: Position,
        /// Bytes of the event that are sent.
        keep_bytes: usize,
    },

    // ---- W: the wire ----
    /// W: connections are refused. With no condition but region and time nobody listens (`ECONNREFUSED`); with
    /// `share`, `nth` or `max_active` the selected connections are accepted and reset at once.
    Refuse {},
    /// W: silence for ever; the connection stays open.
    Blackhole {
        /// From where on.
        #[serde(default = "at_request")]
        at: WireMoment,
    },
    /// W: names do not resolve. In memory only, but for `moved`.
    Dns {
        /// How.
        mode: DnsMode,
    },
    /// W: the connection is reset (RST on TCP). Give `at` or `at_byte`.
    Reset {
        /// At a moment of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<WireMoment>,
        /// After exactly so many bytes of the response as they are on the wire: status line, headers and chunk
        /// framing included. `random`: drawn over the whole response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_byte: Option<Position>,
    },
    /// W: the connection is closed in good order (FIN) although the answer is not at its end. Give `at` or `at_byte`.
    Close {
        /// At a moment of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<WireMoment>,
        /// As for `reset`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_byte: Option<Position>,
    },
    /// W: the write half is closed (FIN) after so many bytes of the response; the read half stays open.
    HalfClose {
        /// As for `reset`.
        #[serde(default)]
        at_byte: Position,
    },
    /// W: the response leaves in writes of at most so many bytes.
    Slice {
        /// At least 1.
        chunk: usize,
    },
    /// W: the response leaves no faster than this.
    Bandwidth {
        /// At least 1.
        bytes_per_s: u64,
    },
    /// W: each write to the wire leaves later by a draw.
    Delay(Delay),
    /// W: a connection that was idle for so long is reset as the next request arrives on it.
    IdleCut {
        /// At least so long.
        after: Span,
    },

    // ---- P: places ----
    /// P: the whole region is down; running connections are reset (`refuse`), stand still (`blackhole`) or live (`5xx`).
    RegionDown {
        /// How.
        #[serde(default)]
        mode: Outage,
    },
    /// P: selected calls are slow to begin, and some of them fail after that delay (503).
    Brownout {
        /// Median delay before the first byte.
        p50: Span,
        /// 99th percentile; the median if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        p99: Option<Span>,
        /// Share of the selected calls that fail.
        #[serde(default)]
        errors: f64,
    },
    /// P: the control plane is down: each of its calls is reset, never answered, or refused (503).
    ControlPlaneDown {
        /// How.
        #[serde(default)]
        mode: Outage,
    },
}

/// A place in a response: so many bytes or events after its beginning, or drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Position {
    /// After exactly so many.
    At(u64),
    /// Drawn for each call, uniformly over the response. Files: `"random"`.
    #[default]
    Random,
}

/// Moments of a call on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireMoment {
    /// As soon as the connection is accepted. Such a fault selects connections, not calls.
    Connect,
    /// When the request has been read whole, before any byte of the answer.
    Request,
    /// When the response head has been sent, before any byte of the body.
    Headers,
}

/// How names fail to resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsMode {
    /// The name does not exist: connecting fails at once.
    Nxdomain,
    /// No answer: connecting never ends.
    Timeout,
    /// The name has a new address: connections from before the fault stand still for ever, new ones are served.
    Moved,
}

/// How a place is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// Nothing listens.
    #[default]
    Refuse,
    /// Nothing answers.
    Blackhole,
    /// Everything is answered 503.
    #[serde(rename = "5xx")]
    Errors,
}

fn at_request() -> WireMoment {
    WireMoment::Request
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(number) => serializer.serialize_u64(*number),
            Self::Random => serializer.serialize_str("random"),
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a whole number or \"random\"")]
        enum Written {
            Number(u64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self::At(number)),
            Written::Word(word) if word == "random" => Ok(Self::Random),
            Written::Word(word) => Err(D::Error::custom(format!("`{word}` is no place: write a whole number or \"random\""))),
        }
    }
}

/// Kinds that happen at a time and may say so with `at` instead of `from`.
pub(super) const EVENTS: [&str; 3] = ["access_lost", "model_gone", "credentials_expired"];
