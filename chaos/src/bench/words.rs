//! The text of streamed answers, put together as a client of each dialect would.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Data of the events of a server-sent stream that are JSON of this shape.
fn events<T: DeserializeOwned>(body: &[u8]) -> Vec<T> {
    let text = String::from_utf8_lossy(body);
    text.lines().filter_map(|line| line.strip_prefix("data: ")).filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// The text that chat chunks add up to.
pub(super) fn of_chat(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Chunk {
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        delta: Delta,
    }
    #[derive(Deserialize)]
    struct Delta {
        content: Option<String>,
    }
    events::<Chunk>(body).into_iter().flat_map(|chunk| chunk.choices).filter_map(|choice| choice.delta.content).collect()
}

/// The text that the deltas of Messages or Responses add up to.
pub(super) fn of_deltas(body: &[u8]) -> String {
    let events = events::<Value>(body);
    let delta = |event: &Value| match event.get("type").and_then(Value::as_str)? {
        "content_block_delta" => event.pointer("/delta/text").and_then(Value::as_str).map(str::to_owned),
        "response.output_text.delta" => event.get("delta").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    events.iter().filter_map(delta).collect()
}

/// The text that the frames of Converse, or of a Claude's InvokeModel, add up to.
pub(super) fn of_frames(body: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = body;
    while let Some((payload, after)) = frame(rest) {
        rest = after;
        let Ok(event) = serde_json::from_slice::<Value>(payload) else { break };
        let chunk = event.get("bytes").and_then(Value::as_str).and_then(|bytes| STANDARD.decode(bytes).ok());
        let event = chunk.and_then(|chunk| serde_json::from_slice::<Value>(&chunk).ok()).unwrap_or(event);
        text.push_str(event.pointer("/delta/text").and_then(Value::as_str).unwrap_or_default());
    }
    text
}

/// The payload of the first frame and what comes after it. Lengths of frame and headers lead, a checksum of four bytes follows each part.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let (total, headers) = (number(0)?, number(4)?);
    Some((bytes.get(12 + headers..total.checked_sub(4)?)?, bytes.get(total..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &str) -> Vec<u8> {
        let total = u32::try_from(payload.len() + 16).unwrap();
        [&total.to_be_bytes()[..], &[0; 8], payload.as_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn every_dialect_is_read() {
        let chat = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{\"content\":\" b\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(of_chat(chat.as_bytes()), "a b");
        let messages =
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a b\"}}\n\n";
        assert_eq!(of_deltas(messages.as_bytes()), "a b");
        let responses = "event: x\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a b\"}\n\ndata: {\"type\":\"response.output_text.done\",\"text\":\"a b\"}\n\n";
        assert_eq!(of_deltas(responses.as_bytes()), "a b");
        let chunk = format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode(r#"{"type":"content_block_delta","delta":{"text":" b"}}"#));
        assert_eq!(of_frames(&[framed(r#"{"delta":{"text":"a"}}"#), framed("{}"), framed(&chunk)].concat()), "a b");
    }
}
