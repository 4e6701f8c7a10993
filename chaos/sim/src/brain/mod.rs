//! The mock model: deterministic answers that are sensible enough to exercise a client, and honest accounting for them.
//!
//! It calls tools that fit, fills their arguments validly for the tool's schema, answers from tool results, obeys response
//! schemas, reasons with valid signatures, honours limits and stop sequences, caches prompts and counts tokens. The same seed and
//! the same calls give the same answers. Phrases with meaning: `say exactly: ...`, `count to N`, `write N words`, `BLOCKME`
//! (trips a guardrail), `REDACTED_THINKING` (one redacted block from a reasoning Claude), and lines `call exactly: TOOL {...}`
//! (one call each, see `orders.rs`). What an agent adds between `<system-reminder>` tags is read as said by nobody.

use std::{sync::Mutex, time::Duration};

use serde_json::Value;

use crate::behaviour::CachePolicy;
use crate::lock::held;
use crate::models::SimModel;
use crate::validate::{Refusal, counted, shape, thinking};

mod caching;
mod choose;
mod compaction;
mod fields;
mod fill;
mod finish;
mod grounding;
mod guard;
mod hints;
mod interpreter;
mod memory;
mod orders;
mod scene;
mod search;
mod speech;
mod think;
pub(crate) mod tokens;
pub(crate) mod watermark;
mod words;

#[cfg(test)]
mod tests;

pub use memory::Memory;

/// What the model answered, before it is encoded for a wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Content blocks in order.
    pub blocks: Vec<Block>,
    /// `stopReason` of Converse.
    pub stop_reason: &'static str,
    /// The stop sequence that ended the turn, if one did.
    pub stop_sequence: Option<String>,
    /// What is billed.
    pub usage: TurnUsage,
    /// `trace.guardrail`, when a guardrail is configured with trace.
    pub guardrail_trace: Option<Value>,
    /// Service tier to echo, when the request named one.
    pub service_tier: Option<String>,
    /// `additionalModelResponseFields`, when paths asked for some that exist.
    pub additional_response_fields: Option<Value>,
}

/// Token counts of one turn. `input` excludes cache reads and writes; `thinking` is a part of `output`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnUsage {
    /// Uncached input tokens.
    pub input: u64,
    /// Output tokens, thinking included.
    pub output: u64,
    /// Input tokens read from the prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the five-minute cache.
    pub cache_write_5m: u64,
    /// Input tokens written to the one-hour cache.
    pub cache_write_1h: u64,
    /// Thinking tokens within `output`.
    pub thinking: u64,
}

/// One block of the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Plain text.
    Text(String),
    /// A tool call; `input` is valid for the tool's schema.
    ToolUse {
        /// Unique id.
        id: String,
        /// Tool name.
        name: String,
        /// Arguments, an object.
        input: Value,
    },
    /// Reasoning; the signature is empty for models that do not sign, the text for models that hide it.
    Reasoning {
        /// Reasoning text.
        text: String,
        /// Signature to replay unchanged.
        signature: String,
    },
    /// A redacted reasoning block, base64.
    Redacted(String),
    /// A call of a tool that Bedrock runs itself.
    SystemToolUse {
        /// Unique id.
        id: String,
        /// The tool.
        name: &'static str,
        /// Arguments, an object.
        input: Value,
    },
    /// What such a tool gave, in the turn that called it.
    SystemToolResult {
        /// Id of the call.
        id: String,
        /// `type` of the result.
        kind: &'static str,
        /// The result, which a stream tells in pieces.
        text: String,
        /// Whether the tool failed.
        failed: bool,
    },
    /// Text with citations (a list of Converse `Citation` objects).
    Cited {
        /// The text; empty where the citations belong to the text before.
        text: String,
        /// The citations.
        citations: Value,
    },
    /// A block of the model's own wire that Converse has no member for, such as a search among its tools: sent as it is by
    /// InvokeModel, left out by Converse.
    Native(Value),
}

/// How a call is answered beyond the model's own habits.
#[derive(Debug, Default)]
pub(crate) struct Setting<'a> {
    /// What the prompt cache keeps.
    pub(crate) cache: CachePolicy,
    /// The cache of a world that is one region, to compare with. All regions share it: it is locked for a moment only.
    pub(crate) ideal: Option<&'a Mutex<Memory>>,
    /// Marks in place of words.
    pub(crate) marking: Option<watermark::Marking<'a>>,
    /// What tool-use ids begin with, where it is not the prefix of Converse.
    pub(crate) tool_prefix: Option<&'static str>,
}

/// The ids of Converse.
const TOOL_PREFIX: &str = "tooluse_";

/// An answer and what only the journal is told about it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) turn: Turn,
    /// Cache tokens that the ideal cache would have given.
    pub(crate) ideal_cache_read: Option<u64>,
    /// Marks in the turn.
    pub(crate) words: u64,
}

/// Answers a Converse body that [`crate::validate::converse`] has passed. `now` is the region's clock; cache entries expire by it.
///
/// # Errors
/// The refusal of a body that is not well-formed, or of a model without a chat surface.
pub fn answer(model: &SimModel, body: &Value, memory: &mut Memory, now: Duration) -> Result<Turn, Refusal> {
    let request = shape::request(body, true)?;
    answer_in(model, &request, memory, now, Setting::default()).map(|answered| answered.turn)
}

/// Answers a request that has been judged, in a setting.
pub(crate) fn answer_in(
    model: &SimModel,
    request: &shape::Request<'_>,
    memory: &mut Memory,
    now: Duration,
    setting: Setting<'_>,
) -> Result<Answered, Refusal> {
    let traits = model.chat()?;
    let call = memory.next_call(setting.tool_prefix.unwrap_or(TOOL_PREFIX));
    let scene = scene::Scene::read(request);
    if let Some(turn) = guard::blocked_input(request) {
        return Ok(Answered { turn, ideal_cache_read: None, words: 0 });
    }
    let segments = tokens::segments(request);
    let total: u64 = segments.iter().map(|segment| segment.tokens).sum();
    let prompt = caching::Prompt::of(model, traits, &segments, &setting.cache);
    let cached = prompt.account(memory, traits, now);
    let ideal = setting.ideal.map(|ideal| prompt.account(&mut held(ideal), traits, now).read);

    let thinking = thinking::resolve(traits, request.additional);
    let thought = think::think(traits, thinking, &scene, call);
    let compacted = compaction::of(request, &scene, total);
    let paused = compacted.as_ref().is_some_and(|compacted| compacted.pause);
    let mut blocks: Vec<Block> = compacted.into_iter().map(|compacted| compacted.block).collect();
    if !paused {
        blocks.extend(thought.blocks);
        blocks.extend(reply(model, request, &scene, call));
    }
    let limits = finish::Limits {
        max_tokens: request.inference.max_tokens.unwrap_or(traits.max_output),
        room: traits.context.saturating_sub(total),
        stops: &request.inference.stop_sequences,
    };
    let mut done = finish::finish(blocks, thought.tokens, &limits);
    let trace = guard::output(request, &mut done);
    let usage = TurnUsage {
        input: total - cached.read - cached.write_5m - cached.write_1h,
        output: done.output,
        cache_read: cached.read,
        cache_write_5m: cached.write_5m,
        cache_write_1h: cached.write_1h,
        thinking: thought.tokens.min(done.output),
    };
    let additional_response_fields = fields::select(model, traits, request, &done, &usage, call);
    let mut turn = Turn {
        blocks: done.blocks,
        stop_reason: if paused { "compaction" } else { done.stop_reason },
        stop_sequence: done.stop_sequence,
        usage,
        guardrail_trace: trace,
        service_tier: request.service_tier.map(str::to_owned),
        additional_response_fields,
    };
    let marking = setting.marking;
    let words = marking.map_or(0, |marking| watermark::apply(&mut turn, model, request, &marking));
    let ideal_cache_read = ideal.map(|read| marking.map_or(read, |marking| marking.input(read)));
    Ok(Answered { turn, ideal_cache_read, words })
}

/// Input tokens of a Converse body, or of a CountTokens body of either kind: as many as the call itself would have. What cannot be
/// read is counted by its text.
#[must_use]
pub fn count(model: &SimModel, body: &Value) -> u64 {
    if let Some(native) = body.pointer("/input/invokeModel/body").and_then(Value::as_str) {
        let read = counted(model, native).ok();
        return read
            .as_ref()
            .and_then(|body| body.request().ok())
            .map_or_else(|| tokens::text(native), |request| tokens::request(&request));
    }
    let body = body.pointer("/input/converse").unwrap_or(body);
    shape::request(body, true).map_or_else(|_| tokens::raw(body), |request| tokens::request(&request))
}

/// The visible part of the answer: what a program printed, grounded text, tool calls, JSON or prose.
fn reply(model: &SimModel, request: &shape::Request<'_>, scene: &scene::Scene<'_>, call: memory::Call) -> Vec<Block> {
    if scene.outcomes.is_empty()
        && let Some(blocks) = interpreter::computed(request, scene, call).or_else(|| grounding::cited(request, scene, call))
    {
        return blocks;
    }
    let calls = choose::calls(request, scene);
    if !calls.is_empty() {
        let mut blocks = Vec::with_capacity(calls.len() + 3);
        if !calls.forced {
            blocks.push(Block::Text(speech::before_tools(&calls.list)));
        }
        blocks.extend(search::blocks(request, &calls.list, call));
        for (index, (name, input)) in calls.list.into_iter().enumerate() {
            blocks.push(Block::ToolUse { id: call.tool_id(index), name, input });
        }
        return blocks;
    }
    let schema = request.schema.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let native = request.additional.and_then(|fields| fields.get("output_config")?.get("format")?.get("schema"));
    if let Some(schema) = schema.as_ref().or(native) {
        let hints = hints::Hints::of(&scene.everything());
        return vec![Block::Text(fill::value(schema, &hints).to_string())];
    }
    if scene.outcomes.is_empty()
        && let Some(blocks) = grounding::quoted(request)
    {
        return blocks;
    }
    vec![Block::Text(speech::prose(&model.name, scene))]
}
