//! A turn in the words of InvokeModel: the body a model's own API answers with, or the chunks of its stream.

mod chat;
mod messages;
mod nova;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use crate::{
    brain::{Turn, TurnUsage},
    draw::{self, Stream},
    events::{Event, Events},
    validate::{
        Refusal,
        native::{Asks, Manner, Wishes},
    },
};

/// What an answer is made of beside its turn.
pub(crate) struct Answer<'a> {
    pub(crate) manner: Manner,
    pub(crate) turn: &'a Turn,
    /// Bare id of the model.
    pub(crate) model: &'a str,
    pub(crate) asks: Asks,
    pub(crate) wishes: &'a Wishes,
    /// Letters that no other answer has in its id.
    pub(crate) id: String,
    /// Seconds since 1970 by the region's clock.
    pub(crate) created: i64,
    /// Since the call arrived: the whole answer, or of a stream its first byte.
    pub(crate) latency: Duration,
}

impl Answer<'_> {
    /// The body of an unstreamed answer.
    pub(crate) fn whole(&self) -> Result<Vec<u8>, Refusal> {
        match self.manner {
            Manner::Messages => messages::whole(self),
            Manner::Nova => nova::whole(self),
            Manner::Chat => chat::whole(self),
        }
    }

    /// The chunks of a streamed one.
    pub(crate) fn chunks(&self, events: Events<'_>) -> Result<Vec<Event>, Refusal> {
        match self.manner {
            Manner::Messages => messages::chunks(self, events),
            Manner::Nova => nova::chunks(self, events),
            Manner::Chat => chat::chunks(self, events),
        }
    }

    /// Headers beside the content type. Source of the names: answers shown in public issues.
    pub(crate) fn headers(&self, streaming: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usage = &self.turn.usage;
        let counts = [
            ("x-amzn-bedrock-input-token-count", usage.input),
            ("x-amzn-bedrock-output-token-count", usage.output),
            ("x-amzn-bedrock-cache-read-input-token-count", usage.cache_read),
            ("x-amzn-bedrock-cache-write-input-token-count", usage.cache_write_5m + usage.cache_write_1h),
            ("x-amzn-bedrock-invocation-latency", millis(self.latency)),
        ];
        if streaming {
            headers.insert("x-amzn-bedrock-content-type", HeaderValue::from_static("application/json"));
        } else {
            headers.extend(counts.map(|(name, count)| (HeaderName::from_static(name), HeaderValue::from(count))));
        }
        let echoed = [
            ("x-amzn-bedrock-performanceconfig-latency", self.wishes.latency.as_deref()),
            ("x-amzn-bedrock-service-tier", self.wishes.tier.as_deref()),
        ];
        for (name, value) in echoed {
            if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
                headers.insert(name, value);
            }
        }
        headers
    }

    /// What a guardrail adds to an answer, if one watched it.
    fn guarded(&self) -> Guarded<'_> {
        let action = if self.turn.stop_reason == INTERVENED { "INTERVENED" } else { "NONE" };
        Guarded {
            action: self.wishes.guarded().then_some(action),
            trace: self.turn.guardrail_trace.as_ref().map(|guardrail| Trace { guardrail }),
        }
    }

    fn metrics(&self, waited: Duration) -> Metrics {
        let TurnUsage { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = self.turn.usage;
        Metrics {
            input_token_count: input,
            output_token_count: output,
            invocation_latency: millis(waited),
            first_byte_latency: millis(self.latency),
            cache_read_input_token_count: cache_read,
            cache_write_input_token_count: cache_write_5m + cache_write_1h,
        }
    }
}

/// The stop reason of a turn that a guardrail blocked.
const INTERVENED: &str = "guardrail_intervened";

#[derive(Serialize)]
struct Guarded<'a> {
    #[serde(rename = "amazon-bedrock-guardrailAction", skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(rename = "amazon-bedrock-trace", skip_serializing_if = "Option::is_none")]
    trace: Option<Trace<'a>>,
}

#[derive(Serialize)]
struct Trace<'a> {
    guardrail: &'a Value,
}

/// What the last chunk carries beside its own members. `inputTokenCount` is uncached input.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    input_token_count: u64,
    output_token_count: u64,
    invocation_latency: u64,
    first_byte_latency: u64,
    cache_read_input_token_count: u64,
    cache_write_input_token_count: u64,
}

/// An event with the metrics beside its own members.
#[derive(Serialize)]
struct Last<T> {
    #[serde(flatten)]
    event: T,
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Metrics,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The letters of an answer's id.
pub(crate) fn answer_id(seed: u64, call: u64) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut stream: Stream = draw::stream(seed, "answer-id", call);
    (0..22).filter_map(|_| LETTERS.get(stream.within(0..=LETTERS.len() - 1)).copied().map(char::from)).collect()
}

/// What ids of tool uses begin with.
pub(crate) fn tool_prefix(manner: Manner) -> &'static str {
    match manner {
        Manner::Messages => "toolu_bdrk_01",
        Manner::Nova => "tooluse_",
        Manner::Chat => "chatcmpl-tool-",
    }
}
