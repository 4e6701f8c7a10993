//! Hub answers -> `chat.completion`.

use std::borrow::Cow;

use outcrop_domain::{
    chat::{ChatResponse, Citation, Content, Reasoning, ReasoningVisibility, ServiceTier, ToolOrigin},
    usage::Usage,
};
use outcrop_protocol::openai::chat::{
    Annotation, AnswerMessage, ChatCompletion, Choice, CustomCall, FunctionCallOut, ReasoningDetailOut, ToolCallOut, UrlCitation,
};

use super::{
    AnswerShape, CallShape, RenderMeta,
    shape::{custom_input, finish_reason, web_source},
    usage::completion_usage,
};

/// Writes the answers of one request (one per choice) as a completion. Texts are borrowed where they can be.
///
/// Left out, because this API has no place for them: results of the provider's own tools, citations that do not
/// point to the web, media.
#[must_use]
pub fn render<'a>(choices: &'a [ChatResponse], meta: &'a RenderMeta, shape: &AnswerShape) -> ChatCompletion<'a> {
    let mut usage = Usage::default();
    for choice in choices {
        usage.add(&choice.usage);
    }
    ChatCompletion {
        id: Cow::Borrowed(&meta.id),
        object: Cow::Borrowed("chat.completion"),
        created: meta.created_unix,
        model: Cow::Borrowed(&meta.model_shown),
        choices: choices.iter().zip(0..).map(|(choice, index)| render_choice(choice, index, shape)).collect(),
        usage: completion_usage(&usage),
        service_tier: choices.iter().find_map(|choice| choice.service_tier).map(ServiceTier::as_str).map(Cow::Borrowed),
        system_fingerprint: None,
        traces: choices.iter().filter_map(|choice| choice.trace.clone()).collect(),
    }
}

fn render_choice<'a>(answer: &'a ChatResponse, index: u32, shape: &AnswerShape) -> Choice<'a> {
    let mut draft = Draft::default();
    for block in &answer.content {
        draft.add(block, shape);
    }
    let calls = u32::try_from(draft.calls.len()).unwrap_or(u32::MAX);
    Choice {
        index,
        message: draft.into_message(shape),
        logprobs: None,
        finish_reason: finish_reason(answer.stop, calls, shape.calls).into(),
    }
}

/// A message while its blocks come in.
#[derive(Default)]
struct Draft<'a> {
    text: Option<Cow<'a, str>>,
    characters: u64,
    annotations: Vec<Annotation<'a>>,
    reasoning: Option<Cow<'a, str>>,
    details: Vec<ReasoningDetailOut<'a>>,
    calls: Vec<ToolCallOut<'a>>,
}

impl<'a> Draft<'a> {
    fn add(&mut self, block: &'a Content, shape: &AnswerShape) {
        match block {
            Content::Text(text) | Content::Guarded { text, .. } => self.add_text(text),
            Content::Cited { text, citations } => {
                let start = self.characters;
                self.add_text(text);
                self.annotations.extend(citations.iter().filter_map(|citation| annotation(citation, start, self.characters)));
            }
            Content::Reasoning(reasoning) if shape.reasoning == ReasoningVisibility::Shown => self.add_reasoning(reasoning),
            Content::ToolUse { id, name, input, origin: ToolOrigin::Client } => self.calls.push(call(id, name, input.get(), shape)),
            Content::Reasoning(_)
            | Content::ToolUse { origin: ToolOrigin::Server, .. }
            | Content::ToolResult { .. }
            | Content::Media(_)
            | Content::SearchResult(_)
            | Content::CachePoint(_) => {}
        }
    }

    fn add_text(&mut self, text: &'a str) {
        self.characters += text.chars().count() as u64;
        append(&mut self.text, text);
    }

    fn add_reasoning(&mut self, reasoning: &'a Reasoning) {
        let index = u32::try_from(self.details.len()).unwrap_or(u32::MAX);
        match reasoning {
            Reasoning::Text { text, signature } => {
                if !text.is_empty() {
                    append(&mut self.reasoning, text);
                }
                let signature = signature.as_deref().map(Cow::Borrowed);
                self.details.push(ReasoningDetailOut::Text { text: Cow::Borrowed(text), signature, index });
            }
            Reasoning::Redacted(data) => self.details.push(ReasoningDetailOut::Encrypted { data: Cow::Borrowed(data), index }),
        }
    }

    fn into_message(self, shape: &AnswerShape) -> AnswerMessage<'a> {
        let (tool_calls, function_call) = match shape.calls {
            CallShape::ToolCalls => (self.calls, None),
            CallShape::FunctionCall => (Vec::new(), self.calls.into_iter().find_map(legacy_call)),
        };
        // Null beside a call, as OpenAI has it; else clients may rely on text, be it empty.
        let called = !tool_calls.is_empty() || function_call.is_some();
        AnswerMessage {
            role: Cow::Borrowed("assistant"),
            content: if called { self.text } else { Some(self.text.unwrap_or_default()) },
            refusal: None,
            annotations: self.annotations,
            reasoning_content: self.reasoning,
            reasoning_details: self.details,
            tool_calls,
            function_call,
        }
    }
}

fn append<'a>(whole: &mut Option<Cow<'a, str>>, text: &'a str) {
    match whole {
        None => *whole = Some(Cow::Borrowed(text)),
        Some(before) => before.to_mut().push_str(text),
    }
}

fn annotation(citation: &Citation, start_index: u64, end_index: u64) -> Option<Annotation<'_>> {
    let (title, url) = web_source(citation)?;
    let url_citation = UrlCitation { start_index, end_index, title: Cow::Borrowed(title), url: Cow::Borrowed(url) };
    Some(Annotation::UrlCitation { url_citation })
}

fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str, shape: &AnswerShape) -> ToolCallOut<'a> {
    let (id, name) = (Cow::Borrowed(id), Cow::Borrowed(name));
    if shape.custom_tools.contains(name.as_ref()) {
        ToolCallOut::Custom { id, custom: CustomCall { name, input: Cow::Owned(custom_input(arguments)) } }
    } else {
        ToolCallOut::Function { id, function: FunctionCallOut { name, arguments: Cow::Borrowed(arguments) } }
    }
}

fn legacy_call(call: ToolCallOut<'_>) -> Option<FunctionCallOut<'_>> {
    match call {
        ToolCallOut::Function { function, .. } => Some(function),
        ToolCallOut::Custom { .. } => None,
    }
}

#[cfg(test)]
mod tests;
