//! An OpenAI chat completion, whole or in chunks. Reasoning stands in the content, between tags. Source: what is known of gpt-oss.

use serde::Serialize;

use super::{Answer, Guarded, INTERVENED, Last};
use crate::{
    brain::{Block, Turn, TurnUsage},
    converse::json,
    events::{Event, Events, Part, chunk},
    validate::Refusal,
};

const OPEN: &str = "<reasoning>";
const CLOSE: &str = "</reasoning>";

#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(flatten)]
    guarded: Option<Guarded<'a>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Message<'a>>,
    finish_reason: Option<&'static str>,
}

/// A message or a part of one.
#[derive(Serialize, Default)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: String,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Usage {
    fn of(turn: &Turn) -> Self {
        let TurnUsage { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = turn.usage;
        let prompt_tokens = input + cache_read + cache_write_5m + cache_write_1h;
        Self { prompt_tokens, completion_tokens: output, total_tokens: prompt_tokens + output }
    }
}

fn finish_reason(turn: &Turn) -> &'static str {
    match turn.stop_reason {
        "tool_use" => "tool_calls",
        "max_tokens" | "model_context_window_exceeded" => "length",
        INTERVENED | "content_filtered" => "content_filter",
        _ => "stop",
    }
}

fn completion<'a>(answer: &'a Answer<'_>, object: &'static str, choices: Vec<Choice<'a>>) -> Completion<'a> {
    Completion {
        id: format!("chatcmpl-{}", answer.id),
        object,
        created: answer.created,
        model: answer.model,
        choices,
        usage: None,
        guarded: None,
    }
}

/// The body of an unstreamed answer.
pub(super) fn whole(answer: &Answer<'_>) -> Result<Vec<u8>, Refusal> {
    let (mut text, mut tool_calls) = (String::new(), Vec::new());
    for block in &answer.turn.blocks {
        match block {
            Block::Text(words) | Block::Cited { text: words, .. } => text.push_str(words),
            Block::Reasoning { text: words, .. } => text.extend([OPEN, words, CLOSE]),
            Block::ToolUse { id, name, input } => {
                let function = Function { name: Some(name), arguments: input.to_string() };
                tool_calls.push(Call { index: None, id: Some(id), kind: Some("function"), function });
            }
            // No model with this wire has tools that Bedrock runs.
            Block::Redacted(_) | Block::Native(_) | Block::SystemToolUse { .. } | Block::SystemToolResult { .. } => {}
        }
    }
    let content = (!text.is_empty() || tool_calls.is_empty()).then_some(text);
    let message = Message { role: Some("assistant"), content, tool_calls };
    let choice = Choice { index: 0, message: Some(message), delta: None, finish_reason: Some(finish_reason(answer.turn)) };
    let whole = Completion {
        usage: Some(Usage::of(answer.turn)),
        guarded: Some(answer.guarded()),
        ..completion(answer, "chat.completion", vec![choice])
    };
    json(&whole)
}

/// The chunks of a streamed one. The last has no choice: usage if it was asked for, and AWS's metrics.
pub(super) fn chunks(answer: &Answer<'_>, events: Events<'_>) -> Result<Vec<Event>, Refusal> {
    let mut teller = Teller { answer, events };
    teller.begin()?;
    let mut calls = 0;
    for block in &answer.turn.blocks {
        match block {
            Block::Text(text) | Block::Cited { text, .. } => teller.text(text)?,
            Block::Reasoning { text, .. } => {
                teller.say(OPEN.to_owned(), 0)?;
                teller.text(text)?;
                teller.say(CLOSE.to_owned(), 0)?;
            }
            Block::ToolUse { id, name, input } => {
                teller.call(calls, id, name, input)?;
                calls += 1;
            }
            // No model with this wire has tools that Bedrock runs.
            Block::Redacted(_) | Block::Native(_) | Block::SystemToolUse { .. } | Block::SystemToolResult { .. } => {}
        }
    }
    teller.end()
}

struct Teller<'a> {
    answer: &'a Answer<'a>,
    events: Events<'a>,
}

impl Teller<'_> {
    fn begin(&mut self) -> Result<(), Refusal> {
        let delta = Message { role: Some("assistant"), content: Some(String::new()), tool_calls: Vec::new() };
        self.add(delta, None, Part::Content)
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        for (fragment, words) in self.events.text(text) {
            self.say(fragment, words)?;
        }
        Ok(())
    }

    fn say(&mut self, text: String, words: u32) -> Result<(), Refusal> {
        self.delta(Message { content: Some(text), ..Message::default() }, words)
    }

    fn call(&mut self, index: usize, id: &str, name: &str, input: &serde_json::Value) -> Result<(), Refusal> {
        let call = |id, kind, function| Call { index: Some(index), id, kind, function };
        let function = Function { name: Some(name), arguments: String::new() };
        let opened = Message { tool_calls: vec![call(Some(id), Some("function"), function)], ..Message::default() };
        self.add(opened, None, Part::Content)?;
        for (arguments, words) in self.events.arguments(input) {
            let part = Message { tool_calls: vec![call(None, None, Function { name: None, arguments })], ..Message::default() };
            self.delta(part, words)?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<Vec<Event>, Refusal> {
        self.add(Message::default(), Some(finish_reason(self.answer.turn)), Part::Stop(None))?;
        let usage = self.answer.asks.usage_chunk.then(|| Usage::of(self.answer.turn));
        let guarded = Some(self.answer.guarded());
        let event = Completion { usage, guarded, ..completion(self.answer, "chat.completion.chunk", Vec::new()) };
        let metrics = self.answer.metrics(self.events.waited());
        self.events.add("chunk", chunk(&json(&Last { event, metrics })?), Part::Usage(None));
        Ok(self.events.finish())
    }

    fn add(&mut self, delta: Message<'_>, finish_reason: Option<&'static str>, part: Part) -> Result<(), Refusal> {
        let payload = self.payload(delta, finish_reason)?;
        self.events.add("chunk", payload, part);
        Ok(())
    }

    fn delta(&mut self, delta: Message<'_>, words: u32) -> Result<(), Refusal> {
        let payload = self.payload(delta, None)?;
        self.events.add_delta("chunk", payload, words);
        Ok(())
    }

    fn payload(&self, delta: Message<'_>, finish_reason: Option<&'static str>) -> Result<Vec<u8>, Refusal> {
        let choice = Choice { index: 0, message: None, delta: Some(delta), finish_reason };
        Ok(chunk(&json(&completion(self.answer, "chat.completion.chunk", vec![choice]))?))
    }
}
