//! The blocks of a whole answer as output items.

use outcrop_domain::{
    chat::{Content, Reasoning, ToolOrigin, ToolResultPart},
    json::JsonText,
};
use outcrop_protocol::openai::responses::{Annotation, ItemStatus, OutputItem};

use super::mark_incomplete;
use crate::{
    openai_chat::request::tools::INTERPRETER,
    openai_responses::{
        CallKind, ResponseMeta, ResponseShape, custom,
        ids::{self, ItemKind},
        items::{self, Call},
    },
};

/// The output while its blocks come in. Neighbouring texts are one message of one part.
pub(super) struct Draft<'a> {
    meta: &'a ResponseMeta,
    shape: &'a ResponseShape,
    output: Vec<OutputItem>,
    text: Option<Text>,
    /// Programs that were run: the call's id, and its place in the output.
    programs: Vec<(String, usize)>,
}

#[derive(Default)]
struct Text {
    text: String,
    characters: u64,
    annotations: Vec<Annotation>,
}

impl<'a> Draft<'a> {
    /// Nothing as yet.
    pub(super) fn new(meta: &'a ResponseMeta, shape: &'a ResponseShape) -> Self {
        Self { meta, shape, output: Vec::new(), text: None, programs: Vec::new() }
    }

    /// The next block of the answer.
    pub(super) fn add(&mut self, block: Content) {
        match block {
            Content::Text(text) | Content::Guarded { text, .. } => {
                self.add_text(text);
            }
            Content::Cited { text, citations } => {
                let start = self.text.as_ref().map_or(0, |text| text.characters);
                let message = self.add_text(text);
                let end = message.characters;
                message.annotations.extend(citations.iter().filter_map(|citation| items::annotation(citation, start, end)));
            }
            Content::Reasoning(block) => self.add_reasoning(block),
            Content::ToolUse { id, name, input, origin: ToolOrigin::Client } => {
                let call = Call::of(name, id, &self.shape.tools);
                let text = match call.kind {
                    CallKind::Function => input.get().to_owned(),
                    CallKind::Custom => custom::input_of(input.get()),
                };
                let kind = if call.kind == CallKind::Custom { ItemKind::Custom } else { ItemKind::Function };
                self.push(kind, |id| call.item(id, text, ItemStatus::Completed));
            }
            Content::ToolUse { id, name, input, origin: ToolOrigin::Server } => self.add_server_call(id, &name, &input),
            Content::ToolResult { id, parts, .. } => self.add_server_result(&id, parts),
            Content::Media(_) | Content::SearchResult(_) | Content::CachePoint(_) => {}
        }
    }

    fn add_text(&mut self, text: String) -> &mut Text {
        let message = self.text.get_or_insert_default();
        message.characters += text.chars().count() as u64;
        if message.text.is_empty() {
            message.text = text;
        } else {
            message.text.push_str(&text);
        }
        message
    }

    fn add_reasoning(&mut self, block: Reasoning) {
        let says_nothing = match &block {
            Reasoning::Text { text, signature } => text.is_empty() && signature.as_deref().is_none_or(str::is_empty),
            Reasoning::Redacted(data) => data.is_empty(),
        };
        if says_nothing {
            return;
        }
        let summary = self.shape.summary;
        self.push(ItemKind::Reasoning, |id| items::reasoning(id, &[block], summary, ItemStatus::Completed));
    }

    fn add_server_call(&mut self, call_id: String, name: &str, input: &JsonText) {
        if name == INTERPRETER {
            let container_id = ids::of_container(&self.meta.id);
            let code = Some(items::code_of(input.get()));
            let status = ItemStatus::Completed;
            self.push(ItemKind::Code, |id| OutputItem::CodeInterpreterCall { id, status, code, container_id, outputs: None });
            self.programs.push((call_id, self.output.len() - 1));
        } else {
            self.push(ItemKind::WebSearch, |id| items::search(id, input.get(), ItemStatus::Completed));
        }
    }

    /// What a program printed goes into its call. Who shows the call leaves it out where it was not asked for.
    fn add_server_result(&mut self, id: &str, parts: Vec<ToolResultPart>) {
        let call = self.programs.iter().rfind(|(call_id, _)| call_id == id).and_then(|(_, index)| self.output.get_mut(*index));
        if let Some(OutputItem::CodeInterpreterCall { outputs, .. }) = call {
            let outputs = outputs.get_or_insert_default();
            for part in &parts {
                match part {
                    ToolResultPart::Text(text) => items::add_logs(outputs, text, false),
                    ToolResultPart::Json(json) => items::add_logs(outputs, json.get(), false),
                    ToolResultPart::Media(_) | ToolResultPart::SearchResult(_) => {}
                }
            }
        }
    }

    /// Ends the message that is open and adds an item after it.
    fn push(&mut self, kind: ItemKind, make: impl FnOnce(String) -> OutputItem) {
        self.end_text(ItemStatus::Completed);
        let id = self.next_id(kind);
        self.output.push(make(id));
    }

    fn next_id(&self, kind: ItemKind) -> String {
        ids::of_output(&self.meta.id, kind, u32::try_from(self.output.len()).unwrap_or(u32::MAX))
    }

    fn end_text(&mut self, status: ItemStatus) {
        if let Some(Text { text, annotations, .. }) = self.text.take().filter(|text| !text.text.is_empty()) {
            let id = self.next_id(ItemKind::Message);
            self.output.push(items::message(id, text, annotations, status));
        }
    }

    /// The output. When the model was cut off, the last item is incomplete.
    pub(super) fn into_output(mut self, cut: bool) -> Vec<OutputItem> {
        self.end_text(ItemStatus::Completed);
        if cut && let Some(last) = self.output.last_mut() {
            mark_incomplete(last);
        }
        self.output
    }
}
