//! Numbers, words and labels: those of chat completions, and those that only this API has.

use std::collections::BTreeMap;

use outcrop_domain::{chat::ParallelToolCalls, error::GatewayError};
use outcrop_protocol::openai::{
    body::of_members,
    chat::{ChatCompletionRequest, ReasoningOptions},
    loose::Whole,
    responses::{ReasoningParam, ResponsesRequest},
};
use serde_json::{Map, Value};

use super::{fault, linkage};
use crate::{dialect::notes::Notes, openai_responses::Echo};

/// Chat's names of what has another name here.
const MOVED: [(&str, &str); 10] = [
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    ("functions", "tools"),
    ("function_call", "tool_choice"),
    ("web_search_options", "tools"),
    ("logprobs", "include"),
];

/// Chat's parameters that have no counterpart here.
const CHATS_ALONE: [&str; 5] = ["n", "audio", "modalities", "prediction", "include_reasoning"];

/// Least number of tokens to ask for. Source: `CreateResponse.max_output_tokens`.
const LEAST_OUTPUT_TOKENS: i64 = 16;

/// Most that `top_logprobs` may be. Source: `CreateModelResponseProperties.top_logprobs`.
const MOST_LOGPROBS: i64 = 20;

/// Properties that are the request itself and that this gateway lacks, and those of another API.
pub(super) fn refuse_what_cannot_be(wire: &ResponsesRequest) -> Result<(), GatewayError> {
    if wire.moderation.is_some() {
        return Err(fault::unsupported("moderation", "Apply a guardrail instead ('guardrail')."));
    }
    if wire.prompt.is_some() {
        return Err(fault::unsupported("prompt", "Prompts kept at OpenAI cannot be read; send 'instructions' and 'input'."));
    }
    let given = |name: &str| wire.extra.get(name).is_some_and(|value| !value.is_null());
    if let Some((name, to)) = MOVED.iter().find(|(name, _)| given(name)) {
        return Err(fault::moved(name, to));
    }
    match CHATS_ALONE.iter().find(|name| given(name)) {
        Some(name) => Err(fault::unsupported(*name, "It belongs to chat completions.")),
        None => Ok(()),
    }
}

/// Reads what the response repeats to the client. Fields that the answer is made of by others (`text`, `tools`,
/// `tool_choice`) are theirs to fill in.
pub(super) fn echo(wire: &mut ResponsesRequest, notes: &mut Notes) -> Result<Echo, GatewayError> {
    ignore_what_only_tunes(wire, notes)?;
    Ok(Echo {
        background: wire.background.unwrap_or(false),
        conversation: linkage::conversation_id(wire).map(str::to_owned),
        instructions: wire.instructions.clone(),
        max_output_tokens: max_output_tokens(wire.max_output_tokens)?,
        max_tool_calls: max_tool_calls(wire, notes)?,
        metadata: labels(wire.metadata.as_ref()),
        parallel_tool_calls: wire.parallel_tool_calls.unwrap_or(true),
        previous_response_id: wire.previous_response_id.clone(),
        prompt_cache_key: wire.prompt_cache_key.clone(),
        prompt_cache_retention: wire.prompt_cache_retention.clone().filter(|word| matches!(word.as_str(), "in_memory" | "24h")),
        effort: wire.reasoning.as_ref().and_then(|reasoning| reasoning.effort.clone()),
        summary: summary(wire.reasoning.as_ref(), notes)?,
        safety_identifier: wire.safety_identifier.clone(),
        service_tier: Some(wire.service_tier.clone().unwrap_or_else(|| "auto".to_owned())),
        store: wire.store.unwrap_or(true),
        temperature: wire.temperature,
        top_logprobs: top_logprobs(wire.top_logprobs)?,
        top_p: wire.top_p,
        truncation: truncation(wire)?,
        user: wire.user.clone(),
        ..Echo::default()
    })
}

/// The settings that both APIs share, as a chat request that holds nothing else: its readers read them. Unknown members
/// are in it too, with the spellings of other providers.
pub(super) fn as_chat(wire: &mut ResponsesRequest, notes: &mut Notes) -> Result<ChatCompletionRequest, GatewayError> {
    let mut chat: ChatCompletionRequest = of_members(std::mem::take(&mut wire.extra)).map_err(|error| fault::malformed_body(&error))?;
    chat.temperature = wire.temperature;
    chat.top_p = wire.top_p;
    chat.top_logprobs = wire.top_logprobs;
    chat.service_tier = wire.service_tier.take();
    if chat.service_tier.as_deref() == Some("ultrafast") {
        notes.harmless("service_tier", "priority");
        chat.service_tier = Some("priority".to_owned());
    }
    chat.metadata = wire.metadata.take();
    chat.user = wire.user.take();
    chat.safety_identifier = wire.safety_identifier.take();
    chat.prompt_cache_key = wire.prompt_cache_key.take();
    chat.prompt_cache_options = wire.prompt_cache_options.take();
    chat.prompt_cache_retention = wire.prompt_cache_retention.take();
    chat.reasoning = wire.reasoning.take().map(|reasoning| {
        let ReasoningParam { effort, max_tokens, enabled, exclude, .. } = reasoning;
        ReasoningOptions { effort, max_tokens, enabled, exclude }
    });
    Ok(chat)
}

/// `parallel_tool_calls`.
pub(super) fn parallel(echo: &Echo) -> ParallelToolCalls {
    if echo.parallel_tool_calls { ParallelToolCalls::ModelDecides } else { ParallelToolCalls::Forbidden }
}

/// Hints without which the answer is the same in kind.
fn ignore_what_only_tunes(wire: &ResponsesRequest, notes: &mut Notes) -> Result<(), GatewayError> {
    if wire.access_programs.is_some() {
        notes.harmless("access_programs", "ignored");
    }
    if wire.image.is_some() {
        notes.harmless("image", "ignored");
    }
    if wire.context_management.as_ref().is_some_and(|entries| !entries.is_empty()) {
        notes.meaning("context_management", "ignored")?;
    }
    let Some(reasoning) = &wire.reasoning else { return Ok(()) };
    match reasoning.context.as_deref() {
        None | Some("auto" | "all_turns") => {}
        Some("current_turn") => notes.harmless("reasoning.context", "ignored"),
        Some(word) => return Err(fault::unknown_word("reasoning.context", word, &["auto", "current_turn", "all_turns"])),
    }
    match reasoning.mode.as_deref() {
        None | Some("standard") => Ok(()),
        Some("pro") => notes.meaning("reasoning.mode", "ignored"),
        Some(word) => Err(fault::unknown_word("reasoning.mode", word, &["standard", "pro"])),
    }
}

/// `reasoning.summary`, or its older name. Models write their summaries as they like.
fn summary(reasoning: Option<&ReasoningParam>, notes: &mut Notes) -> Result<Option<String>, GatewayError> {
    let Some(reasoning) = reasoning else { return Ok(None) };
    let (word, field) = match (&reasoning.summary, &reasoning.generate_summary) {
        (Some(word), _) => (word, "reasoning.summary"),
        (None, Some(word)) => (word, "reasoning.generate_summary"),
        (None, None) => return Ok(None),
    };
    match word.as_str() {
        "auto" => {}
        "concise" | "detailed" => notes.harmless(field, "auto"),
        // What Codex says for none.
        "none" => return Ok(None),
        _ => return Err(fault::unknown_word(field, word, &["auto", "concise", "detailed"])),
    }
    Ok(Some(word.clone()))
}

fn max_output_tokens(wire: Option<Whole>) -> Result<Option<u32>, GatewayError> {
    match wire {
        None => Ok(None),
        Some(Whole(number)) if number < LEAST_OUTPUT_TOKENS => Err(fault::too_small("max_output_tokens", LEAST_OUTPUT_TOKENS, number)),
        // Beyond any model's limit anyway; surfaces cap it to the model's.
        Some(Whole(number)) => Ok(Some(u32::try_from(number).unwrap_or(u32::MAX))),
    }
}

/// Bounds the calls of tools that the provider runs, which Bedrock does not count.
fn max_tool_calls(wire: &ResponsesRequest, notes: &mut Notes) -> Result<Option<i64>, GatewayError> {
    match wire.max_tool_calls {
        None => Ok(None),
        Some(Whole(number)) if number < 1 => Err(fault::too_small("max_tool_calls", 1, number)),
        Some(Whole(number)) => {
            notes.harmless("max_tool_calls", "ignored");
            Ok(Some(number))
        }
    }
}

fn top_logprobs(wire: Option<Whole>) -> Result<u32, GatewayError> {
    match wire {
        None => Ok(0),
        Some(Whole(number)) => u32::try_from(number)
            .ok()
            .filter(|_| number <= MOST_LOGPROBS)
            .ok_or_else(|| fault::invalid("top_logprobs", &format!("expected a value between 0 and {MOST_LOGPROBS}, but got {number}."))),
    }
}

fn truncation(wire: &ResponsesRequest) -> Result<String, GatewayError> {
    match wire.truncation.as_deref() {
        None => Ok("disabled".to_owned()),
        Some(word @ ("auto" | "disabled")) => Ok(word.to_owned()),
        Some(word) => Err(fault::unknown_word("truncation", word, &["auto", "disabled"])),
    }
}

/// Labels as the response repeats them: text to text.
pub(in crate::openai_responses) fn labels(wire: Option<&Map<String, Value>>) -> BTreeMap<String, String> {
    let labels = wire.into_iter().flatten().filter(|(_, value)| !value.is_null());
    labels.map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}
