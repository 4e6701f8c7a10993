//! From a fault that strikes a call to the orders of that call.

use std::time::Duration;

use super::{FaultKind, Outage, Position, WireMoment};
use crate::{
    draw::Stream,
    quota::QuotaLimit,
    script::{Action, AnswerOrder, ByteStall, CutManner, Orders, PlaceFault, ScriptedError, WireOrder, numbered},
    wire::WireCut,
};

/// Longer than any run: a silence without end.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What a struck call is to do. Places in its stream stay open until its events are known ([`stream_action`]).
pub(crate) fn orders(kind: &FaultKind, call: u64, mut stream: Stream) -> Orders {
    let mut orders = Orders::default();
    match kind {
        FaultKind::Latency(delay) => orders.delay_head = delay.latency().draw(&mut stream),
        FaultKind::FirstToken(delay) => orders.first_token = Some(delay.latency()),
        FaultKind::InterToken(delay) => orders.inter_token = Some(delay.latency()),
        FaultKind::Brownout { p50, p99, errors } => {
            let delay = crate::Delay { p99: *p99, ..crate::Delay::fixed(*p50) };
            orders.delay_head = delay.latency().draw(&mut stream);
            if stream.f64() < *errors {
                orders.answer = AnswerOrder::Error(ScriptedError::unavailable());
            }
        }
        FaultKind::Slice { .. } | FaultKind::Bandwidth { .. } | FaultKind::Delay(_) | FaultKind::HalfClose { .. } => {
            orders.wire = Some(wire(kind, stream));
        }
        FaultKind::Reset { at_byte: Some(_), .. } | FaultKind::Close { at_byte: Some(_), .. } => orders.wire = Some(wire(kind, stream)),
        FaultKind::Reset { at, .. } => cut(&mut orders, *at, CutManner::Reset),
        FaultKind::Close { at, .. } => cut(&mut orders, *at, CutManner::Close),
        FaultKind::IdleCut { .. } => orders.place = Some(PlaceFault::Cut(CutManner::Reset)),
        FaultKind::Blackhole { at: WireMoment::Headers } => {
            orders.stall_bytes = Some(ByteStall { at: Position::At(0), pause: FOR_EVER, stream })
        }
        FaultKind::Blackhole { .. } => orders.place = Some(PlaceFault::BlackHole),
        FaultKind::ControlPlaneDown { mode } | FaultKind::RegionDown { mode } => outage(&mut orders, *mode),
        FaultKind::Stall { after_bytes: Some(position), pause, .. } => {
            orders.stall_bytes = Some(ByteStall { at: *position, pause: pause.map_or(FOR_EVER, Duration::from), stream });
        }
        other => match error(other, call) {
            Some((error, after)) => {
                orders.delay_head = after;
                orders.answer = AnswerOrder::Error(error);
            }
            None => orders.stream.drawn = Some((kind.clone(), stream)),
        },
    }
    orders
}

fn cut(orders: &mut Orders, at: Option<WireMoment>, manner: CutManner) {
    match at {
        Some(WireMoment::Headers) => orders.cut_after_bytes = Some((0, manner)),
        _ => orders.place = Some(PlaceFault::Cut(manner)),
    }
}

fn outage(orders: &mut Orders, mode: Outage) {
    match mode {
        Outage::Refuse => orders.place = Some(PlaceFault::Cut(CutManner::Reset)),
        Outage::Blackhole => orders.place = Some(PlaceFault::BlackHole),
        Outage::Errors => orders.answer = AnswerOrder::Error(ScriptedError::unavailable()),
    }
}

fn wire(kind: &FaultKind, stream: Stream) -> WireOrder {
    let mut order = WireOrder { cut: None, slice: None, bytes_per_s: None, delay: None, stream };
    match kind {
        FaultKind::Reset { at_byte: Some(position), .. } => order.cut = Some((*position, WireCut::Reset)),
        FaultKind::Close { at_byte: Some(position), .. } => order.cut = Some((*position, WireCut::Close)),
        FaultKind::HalfClose { at_byte } => order.cut = Some((*at_byte, WireCut::Half)),
        FaultKind::Slice { chunk } => order.slice = Some(*chunk),
        FaultKind::Bandwidth { bytes_per_s } => order.bytes_per_s = Some(*bytes_per_s),
        FaultKind::Delay(delay) => order.delay = Some(delay.latency()),
        _ => {}
    }
    order
}

/// The error a fault answers with, and the silence before it.
fn error(kind: &FaultKind, call: u64) -> Option<(ScriptedError, Duration)> {
    let words = |text: &Option<String>, usual: &str| numbered(text.as_deref().unwrap_or(usual), call);
    let throttle = |limit: &QuotaLimit, text, status: Option<u16>| {
        ScriptedError::new(status.unwrap_or(429), "ThrottlingException", words(text, limit.message()))
    };
    Some(match kind {
        FaultKind::Throttle { limit, text, status } => (throttle(limit, text, *status), Duration::ZERO),
        FaultKind::Storm { limit, text, after, .. } => (throttle(limit, text, None), after.map_or(Duration::ZERO, Duration::from)),
        FaultKind::Error { code, status, text, retry_after } => {
            let status = status.or_else(|| ScriptedError::modeled_status(code)).unwrap_or(500);
            let mut error = ScriptedError::new(status, code.as_str(), words(text, usual_words(code)));
            error.retry_after = retry_after.map(Duration::from);
            (error, Duration::ZERO)
        }
        FaultKind::ModelTimeout { after, text } => {
            (ScriptedError::new(408, "ModelTimeoutException", words(text, usual_words("ModelTimeoutException"))), after.0)
        }
        FaultKind::AccessLost { text } => {
            (ScriptedError::new(403, "AccessDeniedException", words(text, usual_words("AccessDeniedException"))), Duration::ZERO)
        }
        FaultKind::ModelGone { text } => {
            (ScriptedError::new(404, "ResourceNotFoundException", words(text, usual_words("ResourceNotFoundException"))), Duration::ZERO)
        }
        _ => return None,
    })
}

/// Words of an error that was given none. Sources: AWS's own texts where they are known from issue trackers.
fn usual_words(code: &str) -> &'static str {
    match code {
        "ThrottlingException" => QuotaLimit::Requests.message(),
        "AccessDeniedException" => "You don't have access to the model with the specified model ID.",
        "ResourceNotFoundException" => {
            "This model version has reached the end of its life. Please refer to the AWS documentation for more details."
        }
        "ModelTimeoutException" => "Model has timed out in processing the request. Try your request again.",
        "ModelNotReadyException" => "The model is not ready for inference. Try your request again.",
        "ModelErrorException" => "The system encountered an unexpected error during processing. Try your request again.",
        "InternalServerException" => "The system encountered an unexpected error during processing. Try your request again.",
        "ServiceUnavailableException" => "Bedrock is unable to process your request.",
        "ValidationException" => "The provided request is not valid.",
        _ => "The request was refused.",
    }
}

/// The fault of a stream, now that it is known to have so many events.
pub(crate) fn stream_action(kind: &FaultKind, stream: &mut Stream, events: usize, call: u64) -> Option<Action> {
    let mut place = |position: &Position| position.among(events, stream);
    let words = |text: &Option<String>, usual: &str| numbered(text.as_deref().unwrap_or(usual), call);
    Some(match kind {
        FaultKind::Stall { after_bytes: Some(_), .. } => return None,
        FaultKind::Stall { after_events, pause, .. } => {
            Action::StallAfterEvents { events: place(&after_events.unwrap_or_default()), pause: pause.map_or(FOR_EVER, Duration::from) }
        }
        FaultKind::ExceptionFrame { exception, after_events, text } => {
            let usual = usual_words(&code_of(exception));
            Action::ExceptionFrame { after_events: place(after_events), kind: exception.clone(), message: words(text, usual) }
        }
        FaultKind::ErrorFrame { code, after_events, text } => {
            Action::ErrorFrame { after_events: place(after_events), code: code.clone(), message: words(text, usual_words(code)) }
        }
        FaultKind::NoStop {} => Action::NoStop,
        FaultKind::NoUsage {} => Action::NoUsage,
        FaultKind::LateUsage { delay } => Action::LateUsage(delay.0),
        FaultKind::DuplicateEvent { after_events } => Action::DuplicateEvent { after_events: place(after_events) },
        FaultKind::CorruptFrame { field, after_events } => Action::CorruptFrame { after_events: place(after_events), field: *field },
        FaultKind::TruncateFrame { after_events, keep_bytes } => {
            Action::TruncateFrame { after_events: place(after_events), keep_bytes: *keep_bytes }
        }
        _ => return None,
    })
}

/// `throttlingException` is called `ThrottlingException` outside streams.
fn code_of(exception: &str) -> String {
    let mut letters = exception.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

impl Position {
    /// The place as a number below `count`, or as it was given.
    pub(crate) fn among(&self, count: usize, stream: &mut Stream) -> usize {
        match self {
            Self::At(number) => usize::try_from(*number).unwrap_or(usize::MAX),
            Self::Random => usize::try_from(stream.below(count as u64)).unwrap_or(0),
        }
    }
}
