//! Messages.

use outcrop_domain::{
    chat::{CacheMark, Content, Message, Role, SystemBlock, ToolResultPart, ToolResultStatus},
    error::GatewayError,
};
use outcrop_protocol::openai::chat::{ChatCompletionRequest, ChatMessage};

use super::{
    FetchedMedia, Sniff,
    caching::Lifetimes,
    history::{self, LegacyCalls},
    is_responses_body,
    notes::{Notes, invalid_value, label, missing},
    parts::{self, Block},
};
use crate::{dialect::media::MediaReader, openai_responses::cursor};

/// Members that clients copy from an answer into the history, and that say nothing to a model.
const ECHOED: &[&str] = &["annotations", "id", "logprobs", "object", "provider_specific_fields", "index", "created"];

/// System blocks and messages.
pub(super) struct Conversation {
    pub(super) system: Vec<SystemBlock>,
    pub(super) messages: Vec<Message>,
}

/// Reads `messages`. Leading instructions become `system`; later ones stay where they are: moving them to the
/// front would change the cached prefix at every turn.
pub(super) fn read(
    wire: &mut ChatCompletionRequest,
    fetched: &FetchedMedia,
    sniff: Sniff,
    lifetimes: &Lifetimes,
    notes: &mut Notes,
) -> Result<Conversation, GatewayError> {
    let messages = match wire.messages.take() {
        None if is_responses_body(wire) => {
            let (system, messages) = cursor::conversation(wire, fetched, sniff, lifetimes, notes)?;
            return Ok(Conversation { system, messages });
        }
        None => return Err(missing("messages")),
        Some(messages) if messages.is_empty() => return Err(invalid_value("messages", "`messages` must hold at least one message")),
        Some(messages) => messages,
    };
    let reader = Reader {
        media: MediaReader::new(fetched, sniff),
        lifetimes,
        notes,
        legacy: LegacyCalls::default(),
        system: Vec::new(),
        messages: Vec::with_capacity(messages.len()),
    };
    reader.read(messages)
}

struct Reader<'a> {
    media: MediaReader<'a>,
    lifetimes: &'a Lifetimes,
    notes: &'a mut Notes,
    legacy: LegacyCalls,
    system: Vec<SystemBlock>,
    messages: Vec<Message>,
}

impl Reader<'_> {
    fn read(mut self, messages: Vec<ChatMessage>) -> Result<Conversation, GatewayError> {
        for (position, message) in messages.into_iter().enumerate() {
            self.report_unread(&message);
            match message.role.as_deref() {
                Some("system" | "developer") => self.instructions(message, position)?,
                Some("user") => self.user(message, position)?,
                Some("assistant") => self.assistant(message, position)?,
                Some("tool") => self.tool(message, position)?,
                Some("function") => self.function(message, position)?,
                None => return Err(missing(format!("messages.{position}.role"))),
                Some(_) => {
                    let message = "`role` must be one of developer, system, user, assistant, tool, function";
                    return Err(invalid_value(format!("messages.{position}.role"), message));
                }
            }
        }
        self.speak_to_someone();
        Ok(Conversation { system: self.system, messages: self.messages })
    }

    fn instructions(&mut self, mut message: ChatMessage, position: usize) -> Result<(), GatewayError> {
        let blocks = self.blocks(&mut message, position)?;
        let leading = self.messages.is_empty();
        let mut later = Vec::new();
        for (part, block) in blocks.into_iter().enumerate() {
            let content = match block.content {
                None => None,
                Some(content @ (Content::Text(_) | Content::Guarded { .. })) => Some(content),
                Some(_) => return Err(misplaced(position, part, "instructions may only hold text")),
            };
            if leading {
                self.system.extend(content.and_then(system_block));
                self.system.extend(block.mark.map(SystemBlock::CachePoint));
            } else {
                later.extend(content);
                later.extend(block.mark.map(Content::CachePoint));
            }
        }
        if !leading {
            self.messages.push(Message { role: Role::System, content: later });
        }
        Ok(())
    }

    fn user(&mut self, mut message: ChatMessage, position: usize) -> Result<(), GatewayError> {
        let blocks = self.blocks(&mut message, position)?;
        if let Some(part) = blocks.iter().position(|block| matches!(block.content, Some(Content::Reasoning(_)))) {
            return Err(misplaced(position, part, "reasoning may only stand in assistant messages"));
        }
        self.messages.push(Message { role: Role::User, content: flatten(blocks) });
        Ok(())
    }

    /// Reasoning, text, tool calls: the order in which models write and want them.
    fn assistant(&mut self, mut message: ChatMessage, position: usize) -> Result<(), GatewayError> {
        let mut blocks = self.blocks(&mut message, position)?;
        if let Some(part) = blocks.iter().position(|block| matches!(block.content, Some(Content::Media(_)))) {
            return Err(misplaced(position, part, "media may only stand in user and tool messages"));
        }
        let mut reasoning = history::reasoning(&mut message, self.notes);
        let among_parts = |block: &Block| matches!(block.content, Some(Content::Reasoning(_)));
        if !reasoning.is_empty() {
            blocks.retain(|block| !among_parts(block));
        } else if !blocks.iter().any(among_parts) {
            reasoning.extend(history::plain_reasoning(&mut message));
        }
        if let Some(refusal) = message.refusal.take().filter(|text| !text.is_empty() && blocks.is_empty()) {
            blocks.push(Block { content: Some(Content::Text(refusal)), mark: None });
        }
        let mark = self.message_mark(&message, position)?;
        let mut content: Vec<Content> = reasoning.into_iter().map(Content::Reasoning).collect();
        content.extend(flatten(blocks));
        for (number, call) in message.tool_calls.take().into_iter().flatten().enumerate() {
            content.push(history::tool_call(call, &format!("messages.{position}.tool_calls.{number}"), self.notes)?);
        }
        if let Some(call) = message.function_call.take() {
            content.push(self.legacy.call(call, &format!("messages.{position}.function_call"), self.notes)?);
        }
        if message.audio.is_some() {
            self.notes.meaning("messages.audio", "ignored")?;
        }
        content.extend(mark.map(Content::CachePoint));
        self.messages.push(Message { role: Role::Assistant, content });
        Ok(())
    }

    fn tool(&mut self, mut message: ChatMessage, position: usize) -> Result<(), GatewayError> {
        let id = message.tool_call_id.take().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| missing(format!("messages.{position}.tool_call_id")))?;
        self.result(id, message, position)
    }

    fn function(&mut self, message: ChatMessage, position: usize) -> Result<(), GatewayError> {
        let name = message.name.as_deref().filter(|name| !name.is_empty());
        let id = self.legacy.answered(name.ok_or_else(|| missing(format!("messages.{position}.name")))?);
        self.result(id, message, position)
    }

    /// A tool's answer is a user turn of its own; which turns belong together is the surface's rule. Nothing can
    /// be marked inside an answer, so any mark in it stands after it.
    fn result(&mut self, id: String, mut message: ChatMessage, position: usize) -> Result<(), GatewayError> {
        let status = match message.is_error {
            None => ToolResultStatus::Unstated,
            Some(true) => ToolResultStatus::Error,
            Some(false) => ToolResultStatus::Success,
        };
        let mut parts = Vec::new();
        let mut mark = None;
        for (number, block) in self.blocks(&mut message, position)?.into_iter().enumerate() {
            match block.content {
                None => {}
                Some(Content::Text(text) | Content::Guarded { text, .. }) => parts.push(ToolResultPart::Text(text)),
                Some(Content::Media(media)) => parts.push(ToolResultPart::Media(media)),
                Some(_) => return Err(misplaced(position, number, "a tool's answer may only hold text and media")),
            }
            mark = block.mark.or(mark);
        }
        let mut content = vec![Content::ToolResult { id, parts, status }];
        content.extend(mark.map(Content::CachePoint));
        self.messages.push(Message { role: Role::User, content });
        Ok(())
    }

    /// The blocks of a message's content. A mark on the message is one on its last block, except that an
    /// assistant's calls come after: there the caller places it.
    fn blocks(&mut self, message: &mut ChatMessage, position: usize) -> Result<Vec<Block>, GatewayError> {
        let mut blocks = match message.content.take() {
            None => Vec::new(),
            Some(content) => parts::read(content, position, &self.media, self.lifetimes, self.notes)?,
        };
        if message.role.as_deref() != Some("assistant")
            && let Some(mark) = self.message_mark(message, position)?
        {
            match blocks.last_mut() {
                Some(last) => last.mark = last.mark.or(Some(mark)),
                None => blocks.push(Block { content: None, mark: Some(mark) }),
            }
        }
        Ok(blocks)
    }

    fn message_mark(&mut self, message: &ChatMessage, position: usize) -> Result<Option<CacheMark>, GatewayError> {
        let place = |member: &str| format!("messages.{position}.{member}");
        self.lifetimes.mark(message.cache_control.as_ref(), message.prompt_cache_breakpoint.as_ref(), place, self.notes)
    }

    fn report_unread(&mut self, message: &ChatMessage) {
        if message.name.is_some() && message.role.as_deref() != Some("function") {
            self.notes.harmless("messages.name", "ignored");
        }
        for name in message.unknown.keys().filter(|name| !ECHOED.contains(&name.as_str())) {
            self.notes.harmless(format!("messages.{}", label(name)), "ignored");
        }
    }

    /// Every model wants somebody to answer: instructions alone become the user's words.
    fn speak_to_someone(&mut self) {
        if !self.messages.is_empty() {
            return;
        }
        self.notes.harmless("messages.role", "user");
        let content = std::mem::take(&mut self.system).into_iter().map(|block| match block {
            SystemBlock::Text(text) => Content::Text(text),
            SystemBlock::Guarded { text, qualifiers } => Content::Guarded { text, qualifiers },
            SystemBlock::CachePoint(mark) => Content::CachePoint(mark),
        });
        self.messages.push(Message { role: Role::User, content: content.collect() });
    }
}

fn flatten(blocks: Vec<Block>) -> Vec<Content> {
    blocks.into_iter().flat_map(|block| block.content.into_iter().chain(block.mark.map(Content::CachePoint))).collect()
}

fn system_block(content: Content) -> Option<SystemBlock> {
    match content {
        Content::Text(text) => Some(SystemBlock::Text(text)),
        Content::Guarded { text, qualifiers } => Some(SystemBlock::Guarded { text, qualifiers }),
        _ => None,
    }
}

fn misplaced(position: usize, part: usize, rule: &str) -> GatewayError {
    invalid_value(format!("messages.{position}.content.{part}"), format!("`messages.{position}.content.{part}`: {rule}"))
}
