//! Anthropic's messages.

use serde_json::Value;

use super::{Part, Seen, count, of_error, text};
use crate::history::Tokens;

pub(super) fn event(event: &Value) -> Option<Seen> {
    let mut seen = Seen::default();
    match event.get("type")?.as_str()? {
        "message_start" => seen.usage = event.pointer("/message/usage").map(tokens),
        "content_block_start" => block(event.get("content_block")?, false, &mut seen.parts),
        "content_block_delta" => match event.pointer("/delta/type")?.as_str()? {
            "text_delta" => seen.parts.extend(text(event, "/delta/text").map(Part::Text)),
            "input_json_delta" => seen.parts.extend(text(event, "/delta/partial_json").map(Part::Arguments)),
            _ => {}
        },
        "message_delta" => {
            seen.finish = event.pointer("/delta/stop_reason").is_some_and(Value::is_string);
            seen.usage = event.get("usage").map(tokens);
        }
        "message_stop" => seen.done = true,
        "error" => seen.error = Some(of_error(event.get("error")?)),
        "content_block_stop" | "ping" => {}
        _ => return None,
    }
    Some(seen)
}

pub(super) fn whole(body: &Value) -> Option<Seen> {
    let mut seen = Seen { finish: body.get("stop_reason").is_some_and(Value::is_string), ..Seen::default() };
    for content in body.get("content")?.as_array()? {
        block(content, true, &mut seen.parts);
    }
    seen.usage = body.get("usage").map(tokens);
    Some(seen)
}

/// A block; where it only begins, its input comes later.
fn block(block: &Value, whole: bool, parts: &mut Vec<Part>) {
    match block.get("type").and_then(Value::as_str) {
        Some("text") => parts.extend(text(block, "/text").map(Part::Text)),
        Some("tool_use") => {
            parts.push(Part::Call);
            parts.extend(block.get("input").filter(|_| whole).map(|input| Part::Arguments(input.to_string())));
        }
        _ => {}
    }
}

fn tokens(usage: &Value) -> Tokens {
    Tokens {
        input: count(usage, "/input_tokens"),
        output: count(usage, "/output_tokens"),
        cache_read: count(usage, "/cache_read_input_tokens"),
        cache_write: count(usage, "/cache_creation_input_tokens"),
    }
}
