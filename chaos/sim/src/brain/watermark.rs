//! Answers made of words `<call>.<index>`: whoever sees one knows which call of the journal it comes from, and its place.
//!
//! The mock model decides as ever what kind of answer it is (text, tool calls, JSON, reasoning); here its words are
//! replaced, and its bill is drawn anew, unrelated to the words.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Block, Turn, TurnUsage, fill};
use crate::{
    behaviour::{Amount, Watermark},
    draw::{self, Stream},
    models::SimModel,
    validate::{shape, signature},
};

/// Words of a reasoning block: few, since nobody counts them.
const THINKING_WORDS: std::ops::RangeInclusive<usize> = 5..=20;
/// Deviations of the input noise are cut here, so that no draw is absurd.
const MOST_DEVIATIONS: f64 = 3.0;
/// An assistant turn is looked at for a mark only near its end.
const PREFILL_TAIL: usize = 64;

/// How one call is marked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marking<'a> {
    pub(crate) spec: &'a Watermark,
    pub(crate) call: u64,
    pub(crate) seed: u64,
    /// Names the prompt's first message.
    pub(crate) prompt: u64,
    /// It goes on with the words of a begun answer.
    pub(crate) goes_on: bool,
}

impl Marking<'_> {
    /// What the simulator's count of the input is multiplied with, for admission and bill alike.
    pub(crate) fn input_factor(&self) -> f64 {
        let mut stream = draw::stream(self.seed, "watermark/input", self.prompt);
        let deviation = stream.normal().clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
        (self.spec.input_factor * (1.0 + self.spec.input_noise * deviation)).max(0.0)
    }

    /// Tokens after the factor; something stays something.
    pub(crate) fn input(&self, tokens: u64) -> u64 {
        times(tokens, self.input_factor()).max(u64::from(tokens > 0))
    }
}

/// `tokens` times `factor`, rounded. Token counts are far below 2^52, where this is exact.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "see above; casts saturate")]
fn times(tokens: u64, factor: f64) -> u64 {
    (tokens as f64 * factor).round() as u64
}

/// One draw of an amount.
pub(crate) fn drawn(amount: &Amount, stream: &mut Stream) -> u64 {
    #[allow(clippy::cast_precision_loss, reason = "a ratio of percentiles need not be exact")]
    let ratio = |p99: u64| p99 as f64 / amount.p50.max(1) as f64;
    let p99 = amount.p99.unwrap_or(amount.p50);
    times(amount.p50, stream.lognormal(ratio(p99))).min(amount.cap.unwrap_or(p99.saturating_mul(4)))
}

/// A number that names a prompt by the ends of its first message: turns of one conversation have the same.
pub(crate) fn name_of(body: &Value) -> u64 {
    /// Long texts need not be read whole: what tells them apart stands at an end.
    const END: usize = 256;
    let content = body.pointer("/messages/0/content");
    let text =
        content.and_then(|content| content.as_str().or_else(|| content.as_array()?.iter().find_map(|block| block.get("text")?.as_str())));
    let bytes = text.unwrap_or_default().as_bytes();
    let mut hash = Sha256::new();
    hash.update(bytes.len().to_be_bytes());
    hash.update(bytes.get(..END).unwrap_or(bytes));
    hash.update(bytes.get(bytes.len().saturating_sub(END)..).unwrap_or_default());
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The last mark at the end of a prefilled assistant turn.
pub(crate) fn prefilled(body: &Value) -> Option<String> {
    let last = body.get("messages")?.as_array()?.last()?;
    if last.get("role")?.as_str()? != "assistant" {
        return None;
    }
    let content = last.get("content")?;
    let text = content.as_str().or_else(|| content.as_array()?.iter().rev().find_map(|block| block.get("text")?.as_str()))?;
    let word = text.split_whitespace().next_back()?;
    let (call, index) = word.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.len() < PREFILL_TAIL && part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(call) && digits(index)).then(|| word.to_owned())
}

/// Puts marks in place of the turn's words, and a drawn bill in place of its own. The number of words it has now.
pub(super) fn apply(turn: &mut Turn, model: &SimModel, request: &shape::Request<'_>, marking: &Marking<'_>) -> u64 {
    let mut pen =
        Pen { call: marking.call, next: 0, goes_on: marking.goes_on, stream: draw::stream(marking.seed, "watermark/words", marking.call) };
    if turn.stop_reason != "guardrail_intervened" {
        let mut words = drawn(&marking.spec.words, &mut pen.stream).max(1);
        for block in &mut turn.blocks {
            pen.block(block, model, request, &mut words);
        }
    }
    bill(turn, request, marking);
    pen.next
}

/// Draws the bill. Input parts keep their proportions, so that cache hits stay visible.
fn bill(turn: &mut Turn, request: &shape::Request<'_>, marking: &Marking<'_>) {
    let mut stream = draw::stream(marking.seed, "watermark/bill", marking.call);
    let most = request.inference.max_tokens.unwrap_or(u64::MAX);
    let output = drawn(&marking.spec.output_tokens, &mut stream).clamp(1, most.max(1));
    let factor = marking.input_factor();
    let usage = &turn.usage;
    let thinking = if usage.thinking > 0 { stream.below(output) } else { 0 };
    turn.usage = TurnUsage {
        input: times(usage.input, factor).max(u64::from(usage.input > 0)),
        output,
        cache_read: times(usage.cache_read, factor),
        cache_write_5m: times(usage.cache_write_5m, factor),
        cache_write_1h: times(usage.cache_write_1h, factor),
        thinking,
    };
    match turn.stop_reason {
        // The words are not those the stop sequence or the limit was found in.
        "stop_sequence" | "max_tokens" | "model_context_window_exceeded" | "end_turn" => {
            turn.stop_reason = if output >= most { "max_tokens" } else { "end_turn" };
            turn.stop_sequence = None;
        }
        _ => {}
    }
}

struct Pen {
    call: u64,
    next: u64,
    /// The next text goes on with another one.
    goes_on: bool,
    stream: Stream,
}

impl Pen {
    fn word(&mut self) -> String {
        let word = format!("{}.{}", self.call, self.next);
        self.next += 1;
        word
    }

    fn words(&mut self, count: u64) -> String {
        let words: Vec<String> = (0..count).map(|_| self.word()).collect();
        words.join(" ")
    }

    /// The first text gets all words of the answer, further ones a single word each.
    fn block(&mut self, block: &mut Block, model: &SimModel, request: &shape::Request<'_>, words: &mut u64) {
        match block {
            Block::Text(text) => {
                let schema = answer_schema(request);
                let written = serde_json::from_str::<Value>(text).ok().filter(|value| value.is_object() || value.is_array());
                *text = match (schema, written) {
                    (Some(schema), Some(mut value)) => {
                        self.json(&mut value, &schema);
                        value.to_string()
                    }
                    _ => {
                        // A begun answer ends in a word, never in the space behind it.
                        let space = if std::mem::take(&mut self.goes_on) { " " } else { "" };
                        format!("{space}{}", self.words(std::mem::replace(words, 1)))
                    }
                };
            }
            Block::Cited { text, .. } if text.is_empty() => {}
            Block::Cited { text, .. } => *text = self.words(std::mem::replace(words, 1)),
            Block::ToolUse { name, input, .. } => {
                if let Some(schema) = tool_schema(request, name) {
                    self.json(input, schema);
                }
            }
            Block::Reasoning { text, signature } if !signature.is_empty() && !text.is_empty() => {
                *text = self.thought();
                let lineage = model.traits.as_ref().map_or("", |traits| traits.lineage.as_str());
                *signature = signature::sign(lineage, text, self.stream.u64());
            }
            // What a model shows in place of reasoning it hides is not its words.
            Block::Reasoning { text, .. } if !text.is_empty() && !text.starts_with('[') => *text = self.thought(),
            Block::Reasoning { .. }
            | Block::Redacted(_)
            | Block::SystemToolUse { .. }
            | Block::SystemToolResult { .. }
            | Block::Native(_) => {}
        }
    }

    fn thought(&mut self) -> String {
        let count = self.stream.within(THINKING_WORDS);
        self.words(count as u64)
    }

    /// Marks the strings of `value` that may be anything: those whose change leaves it valid.
    fn json(&mut self, value: &mut Value, schema: &Value) {
        // Formats are not checked, so that none may be broken.
        let Some(rules) = schema.as_object().filter(|_| !schema.to_string().contains("\"format\"")) else { return };
        let mut places = Vec::new();
        strings(value, String::new(), &mut places);
        for place in places {
            let (next, mark) = (self.next, self.word());
            let Some(leaf) = value.pointer_mut(&place) else { continue };
            let before = std::mem::replace(leaf, Value::String(mark));
            if !fill::conforms(rules, value, schema) {
                if let Some(leaf) = value.pointer_mut(&place) {
                    *leaf = before;
                }
                self.next = next;
            }
        }
    }
}

/// JSON pointers of all strings, in order.
fn strings(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::String(_) => into.push(at),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| strings(item, format!("{at}/{index}"), into)),
        Value::Object(map) => {
            for (key, item) in map {
                strings(item, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn answer_schema(request: &shape::Request<'_>) -> Option<Value> {
    let asked = request.schema.and_then(|text| serde_json::from_str::<Value>(text).ok());
    asked.or_else(|| native(request.additional).cloned())
}

fn native(additional: Option<&Map<String, Value>>) -> Option<&Value> {
    additional?.get("output_config")?.get("format")?.get("schema")
}

fn tool_schema<'a>(request: &shape::Request<'a>, wanted: &str) -> Option<&'a Value> {
    request.tools.iter().flat_map(|config| &config.tools).find_map(|(_, tool)| match tool {
        shape::Tool::Spec { name, schema, .. } if *name == wanted => Some(*schema),
        _ => None,
    })
}
