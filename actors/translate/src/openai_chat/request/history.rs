//! What the assistant did earlier: its tool calls and its reasoning.

use std::collections::{HashMap, VecDeque};

use outcrop_domain::{
    chat::{Content, Reasoning, ToolOrigin},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::openai::chat::{ChatMessage, CustomCallIn, FunctionCallIn, ReasoningDetailIn, ThinkingBlock, ToolCallIn};
use serde::Serialize;

use super::notes::{Notes, missing};
use crate::dialect::arguments::{self, unwritable};

/// The field that reports of repaired arguments name.
const ARGUMENTS: &str = "messages.tool_calls.arguments";

/// The reasoning that a message carries beside its content. Signed forms win over the readable one, which
/// repeats them.
pub(super) fn reasoning(message: &mut ChatMessage, notes: &mut Notes) -> Vec<Reasoning> {
    let details = details(message.reasoning_details.take().unwrap_or_default(), notes);
    if !details.is_empty() {
        return details;
    }
    thinking_blocks(message.thinking_blocks.take().unwrap_or_default(), notes)
}

/// The readable reasoning, for messages that have no other.
pub(super) fn plain_reasoning(message: &mut ChatMessage) -> Option<Reasoning> {
    let text = message.reasoning_content.take().or_else(|| message.reasoning.take())?;
    (!text.is_empty()).then_some(Reasoning::Text { text, signature: None })
}

/// One entry of `tool_calls`. `place` is its path.
pub(super) fn tool_call(call: ToolCallIn, place: &str, notes: &mut Notes) -> Result<Content, GatewayError> {
    let id = call.id.filter(|id| !id.is_empty()).ok_or_else(|| missing(format!("{place}.id")))?;
    let custom = call.kind.as_deref() == Some("custom");
    let (name, input) = match (call.function, call.custom) {
        (None, Some(CustomCallIn { name, input })) => {
            (named(name, || format!("{place}.custom.name"))?, custom_arguments(input.as_deref().unwrap_or_default())?)
        }
        (Some(FunctionCallIn { name, arguments }), _) => {
            let name = named(name, || format!("{place}.function.name"))?;
            (name, arguments::object(arguments.map(|text| text.0).unwrap_or_default(), ARGUMENTS, notes)?)
        }
        (None, None) => return Err(missing(format!("{place}.{}", if custom { "custom" } else { "function" }))),
    };
    Ok(Content::ToolUse { id, name, input, origin: ToolOrigin::Client })
}

/// Legacy calls have no ids: each gets one, and each result the id of the oldest open call of its name.
#[derive(Default)]
pub(super) struct LegacyCalls {
    made: u32,
    /// Ids by name, oldest first.
    open: HashMap<String, VecDeque<String>>,
}

impl LegacyCalls {
    /// A call in an assistant message.
    pub(super) fn call(&mut self, wire: FunctionCallIn, place: &str, notes: &mut Notes) -> Result<Content, GatewayError> {
        let name = named(wire.name, || format!("{place}.name"))?;
        let input = arguments::object(wire.arguments.map(|text| text.0).unwrap_or_default(), ARGUMENTS, notes)?;
        let id = self.new_id(&name);
        self.open.entry(name.clone()).or_default().push_back(id.clone());
        Ok(Content::ToolUse { id, name, input, origin: ToolOrigin::Client })
    }

    /// The id of the call that a message of role `function` answers; a new one when there is none, for the
    /// surface to find that it answers nothing.
    pub(super) fn answered(&mut self, name: &str) -> String {
        let open = self.open.get_mut(name).and_then(VecDeque::pop_front);
        open.unwrap_or_else(|| self.new_id(name))
    }

    fn new_id(&mut self, name: &str) -> String {
        /// Converse takes ids of 64 characters at most; the rest is for prefix and number.
        const LONGEST_NAME: usize = 40;
        let fit = |character: char| if character.is_ascii_alphanumeric() || matches!(character, '_' | '-') { character } else { '_' };
        let name: String = name.chars().take(LONGEST_NAME).map(fit).collect();
        let number = self.made;
        self.made += 1;
        format!("function_{name}_{number}")
    }
}

pub(crate) fn custom_arguments(input: &str) -> Result<JsonText, GatewayError> {
    #[derive(Serialize)]
    struct CustomArguments<'a> {
        input: &'a str,
    }
    JsonText::of(&CustomArguments { input }).map_err(|error| unwritable(&error))
}

fn named(name: Option<String>, place: impl FnOnce() -> String) -> Result<String, GatewayError> {
    name.filter(|name| !name.is_empty()).ok_or_else(|| missing(place()))
}

/// Entries in OpenRouter's form. A client that collected a stream may hold a block in pieces: those share their
/// `index`, and the signature comes with the last.
fn details(entries: Vec<ReasoningDetailIn>, notes: &mut Notes) -> Vec<Reasoning> {
    let mut blocks: Vec<(Option<i64>, Reasoning)> = Vec::new();
    for entry in entries {
        let block = match entry.kind.as_deref() {
            Some("reasoning.text") => Reasoning::Text { text: entry.text.unwrap_or_default(), signature: entry.signature },
            Some("reasoning.summary") => Reasoning::Text { text: entry.summary.unwrap_or_default(), signature: None },
            Some("reasoning.encrypted") => match entry.data {
                Some(data) => Reasoning::Redacted(data),
                None => continue,
            },
            _ => {
                notes.harmless("messages.reasoning_details", "unknown_dropped");
                continue;
            }
        };
        match (blocks.last_mut(), block) {
            (Some((index, Reasoning::Text { text, signature: open @ None })), Reasoning::Text { text: more, signature })
                if index.is_some() && *index == entry.index =>
            {
                text.push_str(&more);
                *open = signature;
            }
            (_, block) => blocks.push((entry.index, block)),
        }
    }
    let blocks = blocks.into_iter().map(|(_, block)| block);
    blocks.filter(|block| !matches!(block, Reasoning::Text { text, signature: None } if text.is_empty())).collect()
}

fn thinking_blocks(entries: Vec<ThinkingBlock>, notes: &mut Notes) -> Vec<Reasoning> {
    let mut blocks = Vec::with_capacity(entries.len());
    for entry in entries {
        match (entry.kind.as_deref(), entry.thinking, entry.data) {
            (Some("thinking"), text, _) => {
                blocks.push(Reasoning::Text { text: text.unwrap_or_default(), signature: entry.signature.filter(|text| !text.is_empty()) });
            }
            (Some("redacted_thinking"), _, Some(data)) => blocks.push(Reasoning::Redacted(data)),
            _ => notes.harmless("messages.thinking_blocks", "unknown_dropped"),
        }
    }
    blocks
}
