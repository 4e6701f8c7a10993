//! Hub answers -> `text_completion`.

use std::borrow::Cow;

use outcrop_domain::{
    chat::{ChatResponse, Content},
    usage::Usage,
};
use outcrop_protocol::openai::completions::{Completion, CompletionChoice};

use super::CompletionShape;
use crate::openai_chat::{CallShape, RenderMeta, shape::finish_reason, usage::completion_usage};

/// Writes the answers of one request as a completion: those to the first prompt, then those to the second, and so on.
///
/// Left out, because this API has no place for them: reasoning, citations, media, calls.
#[must_use]
pub fn render<'a>(choices: &'a [ChatResponse], meta: &'a RenderMeta, shape: &'a CompletionShape) -> Completion<'a> {
    let mut usage = Usage::default();
    for choice in choices {
        usage.add(&choice.usage);
    }
    Completion {
        id: Cow::Borrowed(&meta.id),
        object: Cow::Borrowed("text_completion"),
        created: meta.created_unix,
        model: Cow::Borrowed(&meta.model_shown),
        choices: choices.iter().zip(0..).map(|(answer, index)| choice(answer, index, shape)).collect(),
        usage: Some(completion_usage(&usage)),
    }
}

fn choice<'a>(answer: &'a ChatResponse, index: u32, shape: &'a CompletionShape) -> CompletionChoice<'a> {
    let mut text = Cow::Borrowed(shape.echo(index).unwrap_or_default());
    for block in &answer.content {
        if let Content::Text(more) | Content::Cited { text: more, .. } | Content::Guarded { text: more, .. } = block {
            if text.is_empty() {
                text = Cow::Borrowed(more);
            } else {
                text.to_mut().push_str(more);
            }
        }
    }
    let reason = finish_reason(answer.stop, 0, CallShape::ToolCalls);
    CompletionChoice { text, index, logprobs: None, finish_reason: Some(Cow::Borrowed(reason)) }
}

#[cfg(test)]
mod tests;
