//! Items, one by one, into the conversation.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Content, Message, Role, SystemBlock, ToolResultPart, ToolResultStatus},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::openai::{
    body::decode_text,
    loose::TextOrList,
    responses::{InputItem, InputParam},
};
use serde_json::value::RawValue;

use super::{
    fault, history,
    items::{Kind, kind_of},
    linkage, outputs,
    parts::{self, Block, PartReader},
    place::Place,
};
use crate::{
    dialect::{
        Sniff,
        media::{FetchedMedia, MediaReader},
        notes::{Notes, label},
    },
    openai_chat::request::caching::Lifetimes,
};

/// Members that clients copy from an answer into the history, and that say nothing to a model. Sorted.
const ECHOED: &[&str] = &[
    "acknowledged_safety_checks",
    "agent",
    "annotations",
    "approval_request_id",
    "caller",
    "container_id",
    "created_at",
    "created_by",
    "environment",
    "execution",
    "fingerprint",
    "internal_chat_message_metadata_passthrough",
    "logprobs",
    "max_output_length",
    "object",
    "pending_safety_checks",
    "recipient",
];

/// Stands before a summary of the conversation so far. Fixed, so that prefixes stay the same from turn to turn.
const SUMMARY_NOTE: &str = "[Summary of the conversation so far]\n";

/// System blocks and messages.
#[derive(Debug, Default)]
pub(in crate::openai_responses) struct Conversation {
    pub(in crate::openai_responses) system: Vec<SystemBlock>,
    pub(in crate::openai_responses) messages: Vec<Message>,
    /// It ends with the wish for its summary.
    pub(in crate::openai_responses) compact: bool,
}

/// What the tools on offer have to do with the history.
pub(in crate::openai_responses) trait Naming {
    /// The model's name of the client's tool `name`, in a namespace or in none.
    fn model_name(&self, namespace: Option<&str>, name: &str) -> String;

    /// Tools that join the offer in mid-conversation; `place` is the item.
    ///
    /// # Errors
    /// As for `tools`.
    fn add(&mut self, tools: Vec<Box<RawValue>>, place: String, notes: &mut Notes) -> Result<(), GatewayError>;
}

/// Reads items in order.
pub(in crate::openai_responses) struct ItemReader<'a, N> {
    pub(super) media: MediaReader<'a>,
    lifetimes: &'a Lifetimes,
    referenced: &'a BTreeMap<String, JsonText>,
    pub(super) naming: &'a mut N,
    pub(super) notes: &'a mut Notes,
    strict: bool,
    conversation: Conversation,
    /// Calls that came without an id.
    unnamed: u32,
}

impl<'a, N: Naming> ItemReader<'a, N> {
    pub(in crate::openai_responses) fn new(
        fetched: &'a FetchedMedia,
        sniff: Sniff,
        lifetimes: &'a Lifetimes,
        referenced: &'a BTreeMap<String, JsonText>,
        naming: &'a mut N,
        notes: &'a mut Notes,
        strict: bool,
    ) -> Self {
        let media = MediaReader::new(fetched, sniff);
        Self { media, lifetimes, referenced, naming, notes, strict, conversation: Conversation::default(), unnamed: 0 }
    }

    /// Instructions that stand before everything.
    pub(in crate::openai_responses) fn instruct(&mut self, instructions: String) {
        if !instructions.is_empty() {
            self.conversation.system.push(SystemBlock::Text(instructions));
        }
    }

    /// `input`.
    pub(in crate::openai_responses) fn input(&mut self, input: InputParam) -> Result<(), GatewayError> {
        match input {
            TextOrList::Text(text) => self.push(Role::User, vec![Content::Text(text)]),
            TextOrList::List(items) => {
                for (position, raw) in items.into_iter().enumerate() {
                    self.item(raw.get(), Place::Input(position))?;
                }
            }
        }
        Ok(())
    }

    /// What became of it all. Every model wants somebody to answer: instructions alone become the user's words.
    pub(in crate::openai_responses) fn finish(mut self) -> Result<Conversation, GatewayError> {
        if self.conversation.messages.is_empty() {
            let spoken: Vec<Content> = std::mem::take(&mut self.conversation.system).into_iter().map(as_content).collect();
            if spoken.is_empty() {
                return Err(fault::invalid("input", "it must hold at least one item that a model can read."));
            }
            self.notes.harmless("input.role", "user");
            self.conversation.messages.push(Message { role: Role::User, content: spoken });
        }
        Ok(self.conversation)
    }

    /// One item.
    pub(super) fn item(&mut self, raw: &str, place: Place) -> Result<(), GatewayError> {
        let item: InputItem = decode_text(raw).map_err(|error| fault::inside(&place.path(), &error))?;
        let kind = kind_of(&item).ok_or_else(|| fault::missing(place.of("type")))?;
        if self.conversation.compact {
            return Err(fault::invalid(place.path(), "no item may come after 'compaction_trigger'."));
        }
        self.report_unread(&item);
        match kind {
            Kind::Message => self.message(item, place),
            Kind::Reference => self.reference(item, place),
            Kind::Call(form) => {
                let content = history::call(item, form, place, self)?;
                self.push(Role::Assistant, vec![content]);
                Ok(())
            }
            Kind::Output => self.output(item, place),
            Kind::Answered(form) => history::answered(item, form, self),
            Kind::Reasoning => {
                let blocks = history::reasoning(self.sealed(item), place, self.notes)?;
                self.push(Role::Assistant, blocks.into_iter().map(Content::Reasoning).collect());
                Ok(())
            }
            Kind::Compaction => self.compaction(item, place),
            Kind::CompactionTrigger => {
                // One that was stored has had its answer.
                self.conversation.compact = !place.is_stored();
                Ok(())
            }
            Kind::MoreTools => {
                let tools = item.tools.ok_or_else(|| fault::missing(place.of("tools")))?;
                self.naming.add(tools, place.path(), self.notes)
            }
            Kind::AgentMessage => self.agent_message(item, place),
            Kind::Unused => self.unused(&item, place),
        }
    }

    fn message(&mut self, item: InputItem, place: Place) -> Result<(), GatewayError> {
        const ROLES: [&str; 4] = ["assistant", "system", "developer", "user"];
        match item.role.as_deref() {
            Some("user") => {
                let blocks = self.content(item, place)?;
                self.push(Role::User, parts::flatten(blocks));
                Ok(())
            }
            Some("assistant") => {
                let blocks = self.content(item, place)?;
                self.refuse_media(&blocks, "An assistant's message may only hold text.", place)?;
                self.push(Role::Assistant, parts::flatten(blocks));
                Ok(())
            }
            Some("system" | "developer") => self.instructions(item, place),
            Some(other) => Err(fault::unknown_word(place.of("role"), other, &ROLES)),
            None => Err(fault::missing(place.of("role"))),
        }
    }

    /// Leading instructions become `system`; later ones stay where they are: moving them to the front would change the
    /// cached prefix at every turn.
    fn instructions(&mut self, item: InputItem, place: Place) -> Result<(), GatewayError> {
        let blocks = self.content(item, place)?;
        self.refuse_media(&blocks, "Instructions may only hold text.", place)?;
        let content = parts::flatten(blocks);
        if self.conversation.messages.is_empty() {
            self.conversation.system.extend(content.into_iter().filter_map(as_system));
        } else {
            self.push(Role::System, content);
        }
        Ok(())
    }

    fn content(&mut self, item: InputItem, place: Place) -> Result<Vec<Block>, GatewayError> {
        let content = item.content.ok_or_else(|| fault::missing(place.of("content")))?;
        self.parts().read(content, place, "content")
    }

    pub(super) fn parts(&mut self) -> PartReader<'_, 'a> {
        PartReader { media: &self.media, lifetimes: self.lifetimes, notes: &mut *self.notes }
    }

    fn refuse_media(&self, blocks: &[Block], rule: &str, place: Place) -> Result<(), GatewayError> {
        match blocks.iter().position(|block| matches!(block.content, Some(Content::Media(_)))) {
            Some(part) => Err(fault::invalid(place.of(&format!("content[{part}]")), rule)),
            None => Ok(()),
        }
    }

    fn reference(&mut self, item: InputItem, place: Place) -> Result<(), GatewayError> {
        let id = item.id.filter(|id| !id.is_empty()).ok_or_else(|| fault::missing(place.of("id")))?;
        match self.referenced.get(&id) {
            Some(stored) => self.item(stored.get(), linkage::REFERENCED),
            None => Err(GatewayError::NotFound { message: format!("Item with id '{id}' not found.") }),
        }
    }

    /// Reasoning that came back without what was sealed in it, with that of the stored item.
    fn sealed(&self, item: InputItem) -> InputItem {
        if item.encrypted_content.as_deref().is_some_and(|sealed| !sealed.is_empty()) {
            return item;
        }
        let stored = item.id.as_ref().and_then(|id| self.referenced.get(id));
        let stored = stored.and_then(|stored| decode_text::<InputItem>(stored.get()).ok());
        InputItem { encrypted_content: stored.and_then(|stored| stored.encrypted_content), ..item }
    }

    /// A tool's answer is a user turn of its own; which turns belong together is the surface's rule.
    fn output(&mut self, item: InputItem, place: Place) -> Result<(), GatewayError> {
        let id = history::call_id(&item, place)?;
        let found = outputs::read(item, place, self)?;
        let mut content = vec![Content::ToolResult { id, parts: found.parts, status: found.status }];
        content.extend(found.mark.map(Content::CachePoint));
        self.push(Role::User, content);
        match found.tools {
            Some(tools) => self.naming.add(tools, place.path(), self.notes),
            None => Ok(()),
        }
    }

    /// A call that the provider ran, and what came of it.
    pub(super) fn push_answered(&mut self, call: Content, id: String, parts: Vec<ToolResultPart>, status: ToolResultStatus) {
        self.push(Role::Assistant, vec![call]);
        self.push(Role::User, vec![Content::ToolResult { id, parts, status }]);
    }

    /// The summary stands for all that was said and done before it, an older summary included; what people and
    /// developers said stays beside it.
    fn compaction(&mut self, item: InputItem, place: Place) -> Result<(), GatewayError> {
        let sealed = item.encrypted_content.ok_or_else(|| fault::missing(place.of("encrypted_content")))?;
        match crate::openai_responses::sealed::open_summary(&sealed) {
            Some(summary) => {
                self.conversation.messages.retain(outlasts_a_summary);
                self.push(Role::User, vec![Content::Text(format!("{SUMMARY_NOTE}{summary}"))]);
            }
            None => self.notes.harmless("input.compaction.encrypted_content", "foreign_dropped"),
        }
        Ok(())
    }

    /// What another agent said is said to this one.
    fn agent_message(&mut self, item: InputItem, place: Place) -> Result<(), GatewayError> {
        let author = item.author.clone().unwrap_or_else(|| "another agent".to_owned());
        let mut content = vec![Content::Text(format!("[Message from {author}]"))];
        if let Some(mut said) = item.content {
            if let TextOrList::List(parts) = &mut said {
                // Encrypted parts are for the provider that wrote them.
                let before = parts.len();
                parts.retain(|part| part.kind.as_deref() != Some("encrypted_content"));
                if parts.len() < before {
                    self.notes.harmless("input.agent_message.encrypted_content", "foreign_dropped");
                }
            }
            content.extend(parts::flatten(self.parts().read(said, place, "content")?));
        }
        self.notes.harmless("input.agent_message", "user_turn");
        self.push(Role::User, content);
        Ok(())
    }

    fn unused(&mut self, item: &InputItem, place: Place) -> Result<(), GatewayError> {
        let kind = item.kind.as_deref().unwrap_or_default();
        if self.strict && !place.is_stored() {
            let rule = format!("items of type '{kind}' cannot be given to a model, and strict mode is on.");
            return Err(fault::invalid(place.of("type"), &rule));
        }
        self.notes.harmless(format!("input.{}", label(kind)), "dropped");
        Ok(())
    }

    /// Adds to the conversation. What the assistant said and did in several items is one turn, as it was.
    fn push(&mut self, role: Role, content: Vec<Content>) {
        match self.conversation.messages.last_mut() {
            Some(last) if role == Role::Assistant && last.role == Role::Assistant => last.content.extend(content),
            _ => self.conversation.messages.push(Message { role, content }),
        }
    }

    /// An id for a call that has none.
    pub(super) fn new_call_id(&mut self) -> String {
        let number = self.unnamed;
        self.unnamed += 1;
        format!("call_unnamed_{number}")
    }

    fn report_unread(&mut self, item: &InputItem) {
        if item.phase.is_some() {
            self.notes.harmless("input.phase", "ignored");
        }
        for name in item.unknown.keys().filter(|name| ECHOED.binary_search(&name.as_str()).is_err()) {
            self.notes.harmless(format!("input.{}", label(name)), "ignored");
        }
    }
}

fn outlasts_a_summary(message: &Message) -> bool {
    let is_summarised = |block: &Content| match block {
        Content::ToolResult { .. } => true,
        Content::Text(text) => text.starts_with(SUMMARY_NOTE),
        _ => false,
    };
    message.role != Role::Assistant && !message.content.iter().any(is_summarised)
}

fn as_content(block: SystemBlock) -> Content {
    match block {
        SystemBlock::Text(text) => Content::Text(text),
        SystemBlock::Guarded { text, qualifiers } => Content::Guarded { text, qualifiers },
        SystemBlock::CachePoint(mark) => Content::CachePoint(mark),
    }
}

fn as_system(content: Content) -> Option<SystemBlock> {
    match content {
        Content::Text(text) => Some(SystemBlock::Text(text)),
        Content::Guarded { text, qualifiers } => Some(SystemBlock::Guarded { text, qualifiers }),
        Content::CachePoint(mark) => Some(SystemBlock::CachePoint(mark)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoed_members_are_sorted_for_the_search() {
        assert!(ECHOED.is_sorted());
    }
}
