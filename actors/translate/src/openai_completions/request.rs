//! `POST /v1/completions` -> the chat hub.

use outcrop_domain::{
    adjust::Adjustments,
    chat::{ChatRequest, Content, Message, ReasoningRequest, ReasoningVisibility, Role},
    error::GatewayError,
};
use outcrop_protocol::openai::{
    body::of_members,
    chat::ChatCompletionRequest,
    completions::{CompletionRequest, Prompt},
    loose::{TextOrList, Whole},
};

use super::CompletionShape;
use crate::{
    dialect::{ReadOptions, notes::Notes},
    errors::openai::malformed_body,
    openai_chat::{
        request::{
            Delivery,
            caching::{self, Lifetimes},
            extras,
            notes::{invalid_value, missing, unsupported},
            parameters, reasoning,
        },
        stream::UsageChunk,
    },
    openai_completions as completions,
};

/// Members of chat's that would be taken for parameters of the model's own.
const CHATS: [&str; 4] = ["messages", "tools", "tool_choice", "response_format"];

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadCompletion {
    /// The model, by the caller's name.
    pub model: String,
    /// One request for each prompt, in no dialect; each is to be answered `shape.choices_per_prompt` times. Choice `n` of
    /// the answer is answer `n % choices_per_prompt` to prompt `n / choices_per_prompt`.
    pub requests: Vec<ChatRequest>,
    /// What was changed.
    pub adjustments: Adjustments,
    /// Whole or bit by bit.
    pub delivery: Delivery,
    /// How the client wants its answer written.
    pub shape: completions::CompletionShape,
}

/// Reads a request.
///
/// # Errors
/// `InvalidRequest` that names the field.
pub fn read(mut wire: CompletionRequest, options: &ReadOptions) -> Result<ReadCompletion, GatewayError> {
    let mut notes = Notes::new(options.strictness);
    let model = wire.model.take().filter(|model| !model.is_empty()).ok_or_else(|| missing("model"))?;
    refuse_what_cannot_be(&wire)?;
    let prompts = prompts(wire.prompt.take())?;
    let choices = choices(&wire, prompts.len(), options.max_choices)?;
    refuse_what_would_multiply(&wire, prompts.len())?;
    let delivery = delivery(&wire, &mut notes)?;
    ignore_what_only_tunes(&wire, choices, &mut notes)?;
    let echo = wire.echo == Some(true);
    let mut chat = as_chat(wire)?;
    let lifetimes = Lifetimes::read(&chat, &mut notes)?;
    let reasoning = ReasoningRequest { visibility: ReasoningVisibility::Hidden, ..reasoning::read(&chat, &mut notes)? };
    let plain = ChatRequest {
        max_tokens: parameters::max_tokens(&chat, &mut notes)?,
        sampling: parameters::sampling(&mut chat, &mut notes)?,
        reasoning,
        cache: caching::policy(&chat, options.cache, &lifetimes)?,
        guardrail: extras::guardrail(&mut chat, &options.guardrail)?,
        service_tier: parameters::service_tier(&chat, options.service_tier, &mut notes)?,
        latency: parameters::latency(&chat, options.latency)?,
        metadata: parameters::metadata(&mut chat, &mut notes),
        beta_flags: extras::beta_flags(&mut chat, &options.beta_flags),
        extra: extras::model_parameters(&mut chat, &mut notes),
        ..ChatRequest::default()
    };
    let says = |prompt: &String| Message { role: Role::User, content: vec![Content::Text(prompt.clone())] };
    let requests = prompts.iter().map(|prompt| ChatRequest { messages: vec![says(prompt)], ..plain.clone() }).collect();
    let shape = CompletionShape { echoed: if echo { prompts } else { Vec::new() }, choices_per_prompt: choices };
    Ok(ReadCompletion { model, requests, adjustments: notes.into_adjustments(), delivery, shape })
}

/// What is the request itself and what no chat model can do.
fn refuse_what_cannot_be(wire: &CompletionRequest) -> Result<(), GatewayError> {
    if wire.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        let message = "`suffix` (filling in the middle) is not available: the models behind this gateway only go on from a prompt";
        return Err(unsupported("suffix", message));
    }
    let given = |name: &&&str| wire.extra.get(**name).is_some_and(|value| !value.is_null());
    match CHATS.iter().find(given) {
        Some(name) => Err(unsupported(*name, format!("`{name}` belongs to /v1/chat/completions"))),
        None => Ok(()),
    }
}

fn prompts(wire: Option<Prompt>) -> Result<Vec<String>, GatewayError> {
    let prompts = match wire {
        None => return Err(missing("prompt")),
        Some(Prompt::Tokens) => {
            let message = "`prompt` must be text: tokens mean nothing to a model with another tokenizer";
            return Err(invalid_value("prompt", message));
        }
        Some(Prompt::Text(text)) => vec![text],
        Some(Prompt::Texts(texts)) => texts,
    };
    if prompts.is_empty() || prompts.iter().any(|prompt| prompt.trim().is_empty()) {
        return Err(invalid_value("prompt", "`prompt` must not be empty"));
    }
    Ok(prompts)
}

/// `n`, bounded so that all answers together keep to the limit.
fn choices(wire: &CompletionRequest, prompts: usize, most: u32) -> Result<u32, GatewayError> {
    let n = wire.n.map_or(1, |Whole(n)| n);
    let all = i64::try_from(prompts).unwrap_or(i64::MAX).saturating_mul(n);
    match u32::try_from(n) {
        Ok(choices) if choices >= 1 && all <= i64::from(most) => Ok(choices),
        Ok(choices) if choices >= 1 && prompts > 1 => Err(invalid_value(
            "prompt",
            format!("{prompts} prompts with `n` = {n} make {all} answers, and this gateway gives {most} at most"),
        )),
        _ => Err(invalid_value("n", format!("`n` must be between 1 and {most}, got {n}"))),
    }
}

/// Most bytes of all that stands once in a body and then in the call of every prompt.
const MOST_SHARED: usize = 64 * 1024;

/// Several prompts share their settings: a small body must not become many large ones.
fn refuse_what_would_multiply(wire: &CompletionRequest, prompts: usize) -> Result<(), GatewayError> {
    if prompts == 1 {
        return Ok(());
    }
    let maps = [Some(&wire.extra), wire.logit_bias.as_ref()].into_iter().flatten();
    let stops = match &wire.stop {
        None => 0,
        Some(TextOrList::Text(text)) => text.len(),
        Some(TextOrList::List(texts)) => texts.iter().map(String::len).sum(),
    };
    let members = maps.flatten().map(|(name, value)| name.len() + value.to_string().len());
    let shared = members.sum::<usize>() + stops + wire.user.as_ref().map_or(0, String::len);
    if shared > MOST_SHARED {
        let message = format!("several prompts may have at most {} KiB of other members beside them", MOST_SHARED / 1024);
        return Err(invalid_value("prompt", message));
    }
    Ok(())
}

fn delivery(wire: &CompletionRequest, notes: &mut Notes) -> Result<Delivery, GatewayError> {
    let stream_options = wire.stream_options.as_ref();
    if wire.stream != Some(true) {
        if stream_options.is_some() {
            notes.harmless("stream_options", "ignored");
        }
        return Ok(Delivery::Whole);
    }
    if stream_options.and_then(|options| options.include_obfuscation) == Some(true) {
        notes.meaning("stream_options.include_obfuscation", "ignored")?;
    }
    let wanted = stream_options.and_then(|options| options.include_usage) == Some(true);
    Ok(Delivery::Stream { usage: if wanted { UsageChunk::Sent } else { UsageChunk::Omitted } })
}

fn ignore_what_only_tunes(wire: &CompletionRequest, choices: u32, notes: &mut Notes) -> Result<(), GatewayError> {
    if wire.logprobs.is_some() {
        notes.meaning("logprobs", "ignored")?;
    }
    match wire.best_of {
        // Choosing as many as there are is no choice.
        None => Ok(()),
        Some(Whole(best_of)) if best_of == i64::from(choices) => Ok(()),
        Some(Whole(best_of)) if (0..=20).contains(&best_of) => notes.meaning("best_of", "ignored"),
        Some(Whole(best_of)) => Err(invalid_value("best_of", format!("`best_of` must be between 0 and 20, got {best_of}"))),
    }
}

/// The settings that both APIs share, as a chat request that holds nothing else: its readers read them.
fn as_chat(wire: CompletionRequest) -> Result<ChatCompletionRequest, GatewayError> {
    let mut chat: ChatCompletionRequest = of_members(wire.extra).map_err(|error| malformed_body(&error))?;
    chat.frequency_penalty = wire.frequency_penalty;
    chat.logit_bias = wire.logit_bias;
    chat.max_tokens = wire.max_tokens;
    chat.presence_penalty = wire.presence_penalty;
    chat.seed = wire.seed;
    chat.stop = wire.stop;
    chat.temperature = wire.temperature;
    chat.top_p = wire.top_p;
    chat.user = wire.user;
    Ok(chat)
}

#[cfg(test)]
mod tests;
