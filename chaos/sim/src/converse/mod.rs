//! A turn in the words of the Converse API: one JSON answer, or the events of a stream.

mod events;
mod shapes;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub(crate) use events::{Framing, message_events, turn_events};

use crate::{brain::Turn, validate::Refusal};
pub(crate) use shapes::ContentBlock;
use shapes::{Metrics, Performance, Tier, Trace, Usage};

/// What the answer echoes of the request and of the clock.
pub(crate) struct Echo<'a> {
    /// `performanceConfig` of the request.
    pub(crate) performance: Option<&'a str>,
    /// Latency reported to the client.
    pub(crate) latency: Duration,
    /// What every watermark of the turn begins with, if it has any: then each word is a delta of its own.
    pub(crate) mark: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    output: Output<'a>,
    stop_reason: &'a str,
    usage: Usage,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_fields: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Trace<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    performance_config: Option<Performance<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<Tier<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<ContentBlock<'a>>,
}

/// The body of an unstreamed answer.
pub(crate) fn answer(turn: &Turn, echo: &Echo<'_>) -> Result<Vec<u8>, Refusal> {
    let answer = Answer {
        output: Output { message: Message { role: "assistant", content: content(turn) } },
        stop_reason: turn.stop_reason,
        usage: Usage::of(&turn.usage),
        metrics: Metrics::of(echo.latency),
        additional_model_response_fields: turn.additional_response_fields.as_ref(),
        trace: Trace::of(turn),
        performance_config: Performance::of(echo.performance),
        service_tier: Tier::of(turn),
    };
    json(&answer)
}

/// The blocks of a turn that Converse has a member for.
pub(crate) fn content(turn: &Turn) -> Vec<ContentBlock<'_>> {
    turn.blocks.iter().filter_map(ContentBlock::of).collect()
}

/// Serializes an answer of the simulator.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|fault| Refusal {
        status: 500,
        error_type: "InternalServerException",
        message: format!("the simulator cannot write its answer: {fault}"),
    })
}

#[cfg(test)]
mod tests;
