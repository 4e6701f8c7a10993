//! OpenAI's chat completions.

use serde::Deserialize;
use serde_json::Value;

use super::{Part, Seen, of_error};
use crate::history::Tokens;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// Of a chunk.
    delta: Option<Message>,
    /// Of a whole answer.
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
}

#[derive(Deserialize)]
struct ToolCall {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: u64,
}

pub(super) fn event(data: &[u8]) -> Option<Seen> {
    if data == b"[DONE]" {
        return Some(Seen { done: true, ..Seen::default() });
    }
    whole(data)
}

pub(super) fn whole(body: &[u8]) -> Option<Seen> {
    let chunk: Chunk = serde_json::from_slice(body).ok()?;
    let mut seen = Seen { error: chunk.error.as_ref().map(of_error), usage: chunk.usage.map(tokens), ..Seen::default() };
    for Choice { delta, message, finish_reason } in chunk.choices {
        for message in [delta, message].into_iter().flatten() {
            read(message, &mut seen.parts);
        }
        seen.finish |= finish_reason.is_some();
    }
    Some(seen)
}

fn read(message: Message, parts: &mut Vec<Part>) {
    parts.extend(message.content.map(Part::Text));
    for function in message.tool_calls.into_iter().filter_map(|call| call.function) {
        parts.extend(function.name.map(|_| Part::Call));
        parts.extend(function.arguments.map(Part::Arguments));
    }
}

fn tokens(usage: Usage) -> Tokens {
    let cache_read = usage.prompt_tokens_details.map_or(0, |details| details.cached_tokens);
    Tokens { input: usage.prompt_tokens.saturating_sub(cache_read), output: usage.completion_tokens, cache_read, cache_write: 0 }
}
