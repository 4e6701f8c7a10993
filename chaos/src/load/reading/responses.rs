//! OpenAI's responses.

use serde_json::Value;

use super::{Part, Seen, count, envelope, text};
use crate::history::{Envelope, Tokens};

pub(super) fn event(event: &Value) -> Option<Seen> {
    let mut seen = Seen::default();
    let kind = event.get("type")?.as_str()?;
    // Every event has its number.
    event.get("sequence_number")?.as_u64()?;
    match kind {
        "response.output_text.delta" => seen.parts.extend(text(event, "/delta").map(Part::Text)),
        "response.function_call_arguments.delta" => seen.parts.extend(text(event, "/delta").map(Part::Arguments)),
        "response.output_item.added" if text(event, "/item/type").as_deref() == Some("function_call") => seen.parts.push(Part::Call),
        "response.completed" | "response.incomplete" => {
            (seen.finish, seen.done) = (true, true);
            seen.usage = event.pointer("/response/usage").filter(|usage| usage.is_object()).map(tokens);
        }
        "response.failed" => seen.error = Some(failure(event.pointer("/response/error")?)),
        "error" => seen.error = Some(failure(event)),
        other if other.starts_with("response.") => {}
        _ => return None,
    }
    Some(seen)
}

pub(super) fn whole(body: &Value) -> Option<Seen> {
    let status = body.get("status")?.as_str()?;
    let mut seen = Seen { finish: matches!(status, "completed" | "incomplete"), ..Seen::default() };
    for item in body.get("output")?.as_array()? {
        match item.get("type").and_then(Value::as_str) {
            Some("message") => {
                let contents = item.get("content").and_then(Value::as_array).into_iter().flatten();
                seen.parts.extend(contents.filter_map(|content| text(content, "/text")).map(Part::Text));
            }
            Some("function_call") => {
                seen.parts.push(Part::Call);
                seen.parts.extend(text(item, "/arguments").map(Part::Arguments));
            }
            _ => {}
        }
    }
    seen.usage = body.get("usage").filter(|usage| usage.is_object()).map(tokens);
    Some(seen)
}

/// An error inside a stream has a code and no type.
fn failure(error: &Value) -> Envelope {
    let code = text(error, "/code");
    envelope(code.as_deref(), code.clone(), error.get("message").and_then(Value::as_str))
}

fn tokens(usage: &Value) -> Tokens {
    let cache_read = count(usage, "/input_tokens_details/cached_tokens");
    let input = count(usage, "/input_tokens").saturating_sub(cache_read);
    Tokens { input, output: count(usage, "/output_tokens"), cache_read, cache_write: 0 }
}
