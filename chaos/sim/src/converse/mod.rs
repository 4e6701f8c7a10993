//! A turn in the words of the Converse API: one JSON answer, or the events of a stream.

mod events;
mod fragments;
mod shapes;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub(crate) use events::{Event, chunk_events, turn_events};

use crate::{brain::Turn, validate::Refusal};
use shapes::{ContentBlock, Metrics, Performance, Tier, Trace, Usage};

/// What the answer echoes of the request and of the clock.
pub(crate) struct Echo<'a> {
    /// `performanceConfig` of the request.
    pub(crate) performance: Option<&'a str>,
    /// Latency reported to the client.
    pub(crate) latency: Duration,
    /// What every watermark of the turn begins with, if it has any: then each word is a delta of its own.
    pub(crate) mark: Option<String>,
}

impl<'a> Echo<'a> {
    pub(crate) fn of(body: &'a Value, latency: Duration) -> Self {
        Self { performance: body.pointer("/performanceConfig/latency").and_then(Value::as_str), latency, mark: None }
    }

    /// With watermarks of this call.
    pub(crate) fn marked(self, call: u64) -> Self {
        Self { mark: Some(format!("{call}.")), ..self }
    }
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
        output: Output { message: Message { role: "assistant", content: turn.blocks.iter().map(ContentBlock::of).collect() } },
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
