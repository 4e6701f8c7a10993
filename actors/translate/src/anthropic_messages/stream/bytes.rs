//! Events as bytes: prepared text around what changes.

use outcrop_domain::json::JsonObject;
use outcrop_protocol::anthropic::{
    error::ErrorBody,
    messages::{MessageUsage, StopDetails},
};
use serde::Serialize;

use crate::{
    anthropic_messages::RenderMeta,
    dialect::json::{push_number, push_string},
};

/// `message_start`: the message without content. Tokens of the output are none yet.
pub(super) fn push_message_start(out: &mut Vec<u8>, meta: &RenderMeta, input_tokens: u64) {
    out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":");
    push_string(out, &meta.id);
    out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    push_string(out, &meta.model_shown);
    out.extend_from_slice(b",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":");
    push_number(out, input_tokens);
    out.extend_from_slice(b",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n\n");
}

/// `content_block_start` up to the block.
pub(super) fn push_start(out: &mut Vec<u8>, index: u32) {
    out.extend_from_slice(b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
    push_number(out, u64::from(index));
    out.extend_from_slice(b",\"content_block\":");
}

/// `content_block_delta` of one text: `{"type":KIND,MEMBER:TEXT}`.
pub(super) fn push_delta(out: &mut Vec<u8>, index: u32, kind: &'static [u8], text: &str) {
    // What a delta takes beside its text, and a little more.
    const FRAME: usize = 128;
    out.reserve(text.len() + FRAME);
    push_delta_head(out, index);
    out.extend_from_slice(kind);
    push_string(out, text);
    out.extend_from_slice(b"}}\n\n");
}

/// `citations_delta`.
pub(super) fn push_source<T: Serialize>(out: &mut Vec<u8>, index: u32, source: &T) {
    let Ok(json) = serde_json::to_string(source) else { return };
    push_delta_head(out, index);
    out.extend_from_slice(b"{\"type\":\"citations_delta\",\"citation\":");
    push_json(out, &json);
    out.extend_from_slice(b"}}\n\n");
}

/// `content_block_stop`.
pub(super) fn push_stop(out: &mut Vec<u8>, index: u32) {
    out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
    push_number(out, u64::from(index));
    out.extend_from_slice(b"}\n\n");
}

/// `message_delta` with the tokens, cumulative, and `message_stop`.
pub(super) fn push_message_end(
    out: &mut Vec<u8>,
    (reason, sequence, details): (&'static str, Option<&str>, Option<StopDetails>),
    usage: &MessageUsage,
    trace: Option<&JsonObject>,
) {
    out.extend_from_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":");
    push_string(out, reason);
    out.extend_from_slice(b",\"stop_sequence\":");
    match sequence {
        Some(sequence) => push_string(out, sequence),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(details) = details {
        push_member(out, b",\"stop_details\":", &details);
    }
    out.push(b'}');
    push_member(out, b",\"usage\":", usage);
    if let Some(trace) = trace {
        push_member(out, b",\"trace\":", trace);
    }
    out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

/// `error`.
pub(super) fn push_error(out: &mut Vec<u8>, body: &ErrorBody<'_>) {
    out.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":");
    push_string(out, &body.error.kind);
    out.extend_from_slice(b",\"message\":");
    push_string(out, &body.error.message);
    out.push(b'}');
    if let Some(request_id) = &body.request_id {
        out.extend_from_slice(b",\"request_id\":");
        push_string(out, request_id);
    }
    out.extend_from_slice(b"}\n\n");
}

fn push_delta_head(out: &mut Vec<u8>, index: u32) {
    out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    push_number(out, u64::from(index));
    out.extend_from_slice(b",\"delta\":");
}

fn push_member<T: Serialize>(out: &mut Vec<u8>, name: &'static [u8], value: &T) {
    if let Ok(json) = serde_json::to_string(value) {
        out.extend_from_slice(name);
        push_json(out, &json);
    }
}

/// Appends JSON that holds texts of others. JSON has no line breaks in its texts but U+0085, U+2028 and U+2029, at which
/// some client libraries end a line.
fn push_json(out: &mut Vec<u8>, json: &str) {
    let mut rest = json;
    while let Some(position) = rest.find(['\u{85}', '\u{2028}', '\u{2029}']) {
        let (before, from) = rest.split_at(position);
        out.extend_from_slice(before.as_bytes());
        let mut characters = from.chars();
        let escape: &[u8] = match characters.next() {
            Some('\u{85}') => b"\\u0085",
            Some('\u{2028}') => b"\\u2028",
            _ => b"\\u2029",
        };
        out.extend_from_slice(escape);
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}
