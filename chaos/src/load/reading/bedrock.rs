//! Bedrock's Converse.

use serde_json::Value;

use super::{Frame, Part, Seen, count, envelope, parsed, text};
use crate::history::Tokens;

pub(super) fn frame(frame: &Frame) -> Option<Seen> {
    let mut seen = Seen::default();
    if let Some(exception) = frame.header(":exception-type") {
        let body = parsed(&frame.payload)?;
        seen.error = Some(envelope(Some(exception), None, body.get("message").and_then(Value::as_str)));
        return Some(seen);
    }
    if let Some(code) = frame.header(":error-code") {
        seen.error = Some(envelope(Some(code), None, frame.header(":error-message")));
        return Some(seen);
    }
    let body = parsed(&frame.payload)?;
    match frame.header(":event-type")? {
        "contentBlockStart" => seen.parts.extend(body.pointer("/start/toolUse").map(|_| Part::Call)),
        "contentBlockDelta" => {
            seen.parts.extend(text(&body, "/delta/text").map(Part::Text));
            seen.parts.extend(text(&body, "/delta/toolUse/input").map(Part::Arguments));
        }
        "messageStop" => (seen.finish, seen.done) = (true, true),
        "metadata" => (seen.late, seen.usage) = (true, body.get("usage").map(tokens)),
        "messageStart" | "contentBlockStop" => {}
        _ => return None,
    }
    Some(seen)
}

pub(super) fn whole(body: &Value) -> Option<Seen> {
    let mut seen = Seen { finish: body.get("stopReason").is_some_and(Value::is_string), ..Seen::default() };
    for block in body.pointer("/output/message/content")?.as_array()? {
        seen.parts.extend(text(block, "/text").map(Part::Text));
        if let Some(call) = block.get("toolUse") {
            seen.parts.push(Part::Call);
            seen.parts.extend(call.get("input").map(|input| Part::Arguments(input.to_string())));
        }
    }
    seen.usage = body.get("usage").map(tokens);
    Some(seen)
}

fn tokens(usage: &Value) -> Tokens {
    Tokens {
        input: count(usage, "/inputTokens"),
        output: count(usage, "/outputTokens"),
        cache_read: count(usage, "/cacheReadInputTokens"),
        cache_write: count(usage, "/cacheWriteInputTokens"),
    }
}
