//! A streamed answer of InvokeModelWithResponseStream: frames in, the client's events out, usage read on the way.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use outcrop_domain::{
    chat::{ServiceTier, StopReason},
    error::{Cause, UpstreamFailure},
    usage::Usage,
};
use outcrop_protocol::bedrock::invoke::{ClaudeUsage, InvocationMetrics};

use super::{
    event::{Event, METRICS},
    json::{Edits, Fault, Kind, Scanner, Span, members_of, remove_from, said, whole},
    native,
    usage::{UsageTally, service_tier},
};
use crate::converse::answer;

mod piece;

/// What the client is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayMode {
    /// Server-sent events of the Messages API, byte for byte as the model wrote them, without Bedrock's metrics.
    Messages {
        /// The name that `message_start` shall call the model by; `None`: as the model calls itself.
        model: Option<String>,
    },
    /// Nothing: the frames of any family pass by themselves, and are only read.
    Native,
}

/// Relays one answer.
pub struct ChunkRelay {
    mode: RelayMode,
    tally: UsageTally,
    other: Option<Usage>,
    /// The event of the current frame; kept where every frame is decoded into it, so that frames need no memory of their own.
    json: Vec<u8>,
    produced: u64,
    stop: Option<StopReason>,
    tier: Option<ServiceTier>,
    complete: bool,
    failure: Option<UpstreamFailure>,
}

/// Most memory that is kept for the next frame but one.
const KEPT_BYTES: usize = 16 * 1024;

impl ChunkRelay {
    /// A relay for one answer.
    #[must_use]
    pub fn new(mode: RelayMode) -> Self {
        Self {
            mode,
            tally: UsageTally::default(),
            other: None,
            json: Vec::new(),
            produced: 0,
            stop: None,
            tier: None,
            complete: false,
            failure: None,
        }
    }

    /// Takes the payload of one `chunk` frame (`{"bytes":"<base64>","p":"..."}`) and appends what the client is shown.
    ///
    /// # Errors
    /// The failure that the model tells in an `error` event, and [`Cause::Malformed`] for a payload that cannot be read;
    /// nothing is appended then: whoever may still ask elsewhere does not show it. In native mode there are none: the client
    /// reads its frames itself.
    pub fn chunk(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), UpstreamFailure> {
        let native = self.mode == RelayMode::Native;
        if self.piece(payload, out) {
            return Ok(());
        }
        let read = self.decode(payload).and_then(|()| {
            let json = std::mem::take(&mut self.json);
            let done = self.event(&json, if native { None } else { Some(out) });
            // A stream of pieces, which are decoded into what the client is shown, has no use for it.
            if native && json.capacity() <= KEPT_BYTES {
                self.json = json;
            }
            done
        });
        if let Err(failure) = &read {
            self.failure = Some(failure.clone());
        }
        if native { Ok(()) } else { read }
    }

    /// Says how the answer ended when the connection did.
    ///
    /// # Errors
    /// The failure that ended it, or [`Cause::BrokenStream`] when the model had not said that it was done.
    pub fn end(&self) -> Result<(), UpstreamFailure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.complete {
            return Ok(());
        }
        let message = "the stream ended before the model had finished its answer".to_owned();
        Err(answer::failure(Cause::BrokenStream, "TruncatedStream", message))
    }

    /// True once the answer is whole: whatever the connection does after that changes nothing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete && self.failure.is_none()
    }

    /// Tokens told so far; `None` when none were.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.tally.usage().or(self.other)
    }

    /// Bytes of text, tool calls and thinking that the model has written so far: what a stream that is cut is metered by.
    #[must_use]
    pub fn produced_bytes(&self) -> u64 {
        self.produced
    }

    /// Why the answer ended.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop
    }

    /// The tier that serves it, where told.
    #[must_use]
    pub fn service_tier(&self) -> Option<ServiceTier> {
        self.tier
    }

    /// Relays a frame that holds a piece of text and nothing else, as nearly all do. False, and nothing done, for any other.
    fn piece(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let produced = if self.mode == RelayMode::Native {
            if self.json.capacity() > KEPT_BYTES {
                self.json = Vec::new();
            }
            self.json.clear();
            piece::decode_onto(&mut self.json, payload)
        } else {
            let before = out.len();
            out.extend_from_slice(piece::EVENT);
            let produced = piece::decode_onto(out, payload);
            match produced {
                Some(_) => out.extend_from_slice(EVENT_END),
                None => out.truncate(before),
            }
            produced
        };
        self.produced = self.produced.saturating_add(produced.unwrap_or(0));
        produced.is_some()
    }

    /// Decodes the event of a frame into `self.json`.
    fn decode(&mut self, payload: &[u8]) -> Result<(), UpstreamFailure> {
        self.json.clear();
        let bytes = bytes_of(payload).map_err(|fault| unreadable("a stream frame", payload, fault))?;
        let decoded = match bytes {
            Some(Base64::Plain(span)) => STANDARD.decode_vec(span.of(payload), &mut self.json),
            Some(Base64::Escaped(text)) => STANDARD.decode_vec(text, &mut self.json),
            None => return Err(malformed("a stream frame holds no bytes".to_owned())),
        };
        decoded.map_err(|error| malformed(format!("a stream frame is no base64: {error}")))
    }

    fn event(&mut self, json: &[u8], out: Option<&mut Vec<u8>>) -> Result<(), UpstreamFailure> {
        let event = Event::read(json).map_err(|fault| unreadable("a stream event", json, fault))?;
        let name = event.name.and_then(|name| name.decode(json));
        self.note(&event, name.as_deref(), json);
        if name.as_deref() == Some("error") {
            return Err(told(&event, json));
        }
        let Some(out) = out else { return Ok(()) };
        let edited = self.edited(&event, json).map_err(|error| malformed(error.to_string()))?;
        let json = edited.as_deref().unwrap_or(json);
        // Metrics in an event of their own are nothing to the client.
        if json != b"{}" {
            write_event(name.as_deref(), json, out);
        }
        Ok(())
    }

    fn note(&mut self, event: &Event, name: Option<&str>, json: &[u8]) {
        self.produced = self.produced.saturating_add(event.produced);
        if let Some(usage) = event.usage.and_then(|span| serde_json::from_slice::<ClaudeUsage>(span.of(json)).ok())
            && name.is_some()
        {
            self.tally.told_by_model(&usage);
            self.tier = usage.service_tier.as_deref().and_then(service_tier).or(self.tier);
        }
        if let Some(metrics) = event.metrics.and_then(|span| serde_json::from_slice::<InvocationMetrics>(span.of(json)).ok()) {
            self.tally.told_by_bedrock(&metrics);
        }
        if let Some(stop) = event.stop.and_then(|stop| stop.decode(json)) {
            self.stop = Some(stop_reason(&stop));
        }
        self.complete |= name == Some("message_stop");
        if self.mode == RelayMode::Native {
            // Other families name their events otherwise, or not at all: the metrics come last.
            self.complete |= event.metrics.is_some();
        }
        if name.is_none() {
            let skim = native::event(json);
            self.produced = self.produced.saturating_add(skim.produced_bytes);
            self.stop = skim.stop.or(self.stop);
            self.other = skim.usage.or(self.other);
        }
    }

    /// The event with the name that the client uses and without Bedrock's metrics; `None` when it stays as it is.
    fn edited(&self, event: &Event, json: &[u8]) -> Result<Option<Vec<u8>>, outcrop_domain::error::GatewayError> {
        let mut edits = Edits::default();
        if let (RelayMode::Messages { model: Some(name) }, Some(span)) = (&self.mode, event.model) {
            edits.replace(span, serde_json::to_string(name).unwrap_or_default());
        }
        if event.metrics.is_some() {
            let members = members_of(json, whole_object(json));
            let spans: Vec<Span> = members.iter().map(whole).collect();
            let gone = |position: usize| members.get(position).is_some_and(|(key, _)| key.is(json, METRICS));
            remove_from(&spans, gone, &mut edits);
        }
        if edits.is_empty() { Ok(None) } else { edits.apply(json).map(Some) }
    }
}

impl fmt::Debug for ChunkRelay {
    /// Callers' content never reaches logs: only where the answer stands is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkRelay").field("produced", &self.produced).field("complete", &self.complete).finish_non_exhaustive()
    }
}

/// `bytes` of a frame.
enum Base64 {
    Plain(Span),
    Escaped(String),
}

fn bytes_of(payload: &[u8]) -> Result<Option<Base64>, Fault> {
    let mut scanner = Scanner::new(payload);
    if scanner.kind()? != Kind::Object {
        return Ok(None);
    }
    let mut members = scanner.enter()?;
    while let Some(key) = scanner.key(&mut members)? {
        if key.is(payload, "bytes") && scanner.kind()? == Kind::String {
            let text = scanner.string()?;
            let inner = Span { start: text.span.start.saturating_add(1), end: text.span.end.saturating_sub(1) };
            let escaped = || text.decode(payload).map(|text| Base64::Escaped(text.into_owned()));
            return Ok(if text.escaped { escaped() } else { Some(Base64::Plain(inner)) });
        }
        scanner.skip()?;
    }
    Ok(None)
}

/// Where the object of a text begins; white space may stand before it.
fn whole_object(json: &[u8]) -> Span {
    Span::new(Scanner::new(json).at(), json.len())
}

/// Appends one server-sent event. A line break in its JSON is white space there, and the end of the event here.
fn write_event(name: Option<&str>, json: &[u8], out: &mut Vec<u8>) {
    out.reserve(json.len() + 64);
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend(name.bytes().filter(|byte| !byte.is_ascii_control()));
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    if json.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    } else {
        out.extend_from_slice(json);
    }
    out.extend_from_slice(EVENT_END);
}

/// What ends a server-sent event.
const EVENT_END: &[u8] = b"\n\n";

/// Why a Claude answer ended. `pause_turn` and what is newer have no word of ours.
pub(super) fn stop_reason(word: &str) -> StopReason {
    match word {
        "refusal" => StopReason::ContentFiltered,
        other => answer::stop_reason(other),
    }
}

/// The failure that an `error` event tells.
fn told(event: &Event, json: &[u8]) -> UpstreamFailure {
    let members = event.error.map(|span| members_of(json, span)).unwrap_or_default();
    let member = |name: &str| members.iter().find(|(key, _)| key.is(json, name)).and_then(|(_, value)| said(json, *value));
    let kind = member("type").unwrap_or_default().into_owned();
    let cause = KINDS.iter().find(|(known, _)| *known == kind).map_or(Cause::BrokenStream, |(_, cause)| *cause);
    let message = member("message").unwrap_or_default().into_owned();
    answer::failure(cause, if kind.is_empty() { "error" } else { &kind }, message)
}

/// Types of errors, and what they mean to routing. Source: errors page of the Messages API.
const KINDS: [(&str, Cause); 8] = [
    ("overloaded_error", Cause::Unavailable),
    ("rate_limit_error", Cause::Throttled),
    ("timeout_error", Cause::Timeout),
    ("invalid_request_error", Cause::BadRequest),
    ("permission_error", Cause::AccessDenied),
    ("not_found_error", Cause::ModelMissing),
    ("authentication_error", Cause::Credentials),
    ("api_error", Cause::Unavailable),
];

/// The words tell place and kind, never content.
fn unreadable(what: &str, text: &[u8], fault: Fault) -> UpstreamFailure {
    let (line, column) = fault.place(text);
    malformed(format!("{what} cannot be read: {} at line {line} column {column}", fault.what))
}

fn malformed(message: String) -> UpstreamFailure {
    answer::failure(Cause::Malformed, "MalformedAnswer", message)
}

#[cfg(test)]
mod tests;
