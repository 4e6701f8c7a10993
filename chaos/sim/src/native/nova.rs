//! Nova's answer: Converse's message and events, with names of its own for cached tokens.

use serde::Serialize;

use super::{Answer, Guarded, Last};
use crate::{
    brain::{Turn, TurnUsage},
    converse::{ContentBlock, Framing, content, json, message_events},
    events::{Event, Events, Part, chunk},
    validate::Refusal,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    output: Output<'a>,
    stop_reason: &'a str,
    usage: Usage,
    #[serde(flatten)]
    guarded: Guarded<'a>,
}

#[derive(Serialize)]
struct Output<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    content: Vec<ContentBlock<'a>>,
    role: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    cache_read_input_token_count: u64,
    cache_write_input_token_count: u64,
}

impl Usage {
    fn of(turn: &Turn) -> Self {
        let TurnUsage { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = turn.usage;
        let written = cache_write_5m + cache_write_1h;
        Self {
            input_tokens: input,
            output_tokens: output,
            total_tokens: input + output + cache_read + written,
            cache_read_input_token_count: cache_read,
            cache_write_input_token_count: written,
        }
    }
}

#[derive(Serialize)]
struct End<'a> {
    metadata: Metadata,
    #[serde(flatten)]
    guarded: Guarded<'a>,
}

#[derive(Serialize)]
struct Metadata {
    usage: Usage,
    metrics: Empty,
    trace: Empty,
}

#[derive(Serialize)]
struct Empty {}

/// The body of an unstreamed answer.
pub(super) fn whole(answer: &Answer<'_>) -> Result<Vec<u8>, Refusal> {
    json(&Whole {
        output: Output { message: Message { content: content(answer.turn), role: "assistant" } },
        stop_reason: answer.turn.stop_reason,
        usage: Usage::of(answer.turn),
        guarded: answer.guarded(),
    })
}

/// The chunks of a streamed one.
pub(super) fn chunks(answer: &Answer<'_>, events: Events<'_>) -> Result<Vec<Event>, Refusal> {
    let mut events = message_events(answer.turn, events, Framing::Chunked)?;
    let end = End { metadata: Metadata { usage: Usage::of(answer.turn), metrics: Empty {}, trace: Empty {} }, guarded: answer.guarded() };
    let metrics = answer.metrics(events.waited());
    events.add("chunk", chunk(&json(&Last { event: end, metrics })?), Part::Usage(None));
    Ok(events.finish())
}
