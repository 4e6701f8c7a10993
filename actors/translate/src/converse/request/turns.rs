//! Hub messages as turns of wire blocks: blank text left out, consecutive messages of one role joined, cache marks
//! hung on the block they follow.

use std::borrow::Cow;

use outcrop_domain::{
    adjust::Adjustments,
    chat::{
        CacheMark, CacheTtl, Content, GuardQualifier, Message, Reasoning, Role as Speaker, SearchResult, ToolOrigin, ToolResultPart,
        ToolResultStatus,
    },
    error::GatewayError,
    json::JsonText,
    model::{MidSystem, ReasoningReplay, ToolResultImages, ToolSupport},
};
use outcrop_protocol::bedrock::converse::{
    ContentBlock, GuardContent, GuardText, ReasoningContent, ReasoningText, Role, ToolResult, ToolResultContent, ToolUse,
};
use serde_json::value::RawValue;

use super::{
    Scope,
    documents::DocumentNames,
    media,
    names::ToolNames,
    search_results::{self, Written},
};

/// Stands before instructions of mid-conversation in models that know no such turn. Fixed, so that prefixes stay
/// the same from turn to turn.
pub(crate) const MID_SYSTEM_NOTE: &str = "[Instruction from the system, not from the user]\n";
/// `type` of calls of tools that Bedrock runs.
pub(super) const SERVER_TOOL: &str = "server_tool_use";
/// Stands where a tool answered nothing.
const EMPTY_RESULT: &str = "(no output)";

/// Something that a cache mark may follow.
pub(super) struct Marked<T> {
    pub(super) value: T,
    pub(super) mark: Option<Mark>,
}

impl<T> Marked<T> {
    pub(super) fn plain(value: T) -> Self {
        Self { value, mark: None }
    }
}

/// "Cache up to here."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) ttl: Option<CacheTtl>,
    /// Set by us, not by the client.
    pub(super) automatic: bool,
}

impl Mark {
    pub(super) fn explicit(mark: CacheMark) -> Self {
        Self { ttl: mark.ttl, automatic: false }
    }

    /// Hangs a mark where one may hang already: the longer lifetime holds.
    pub(super) fn attach(slot: &mut Option<Mark>, mark: Mark) {
        *slot = Some(match *slot {
            Some(old) => Mark { ttl: old.ttl.max(mark.ttl), automatic: old.automatic && mark.automatic },
            None => mark,
        });
    }
}

/// A block of a message with its mark.
pub(super) type Piece<'a> = Marked<ContentBlock<'a>>;

/// One turn.
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) pieces: Vec<Piece<'a>>,
    /// The client's message it begins with, for error texts.
    pub(super) message: usize,
}

/// Where a block stands in the client's request.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) message: usize,
    pub(super) block: usize,
}

impl Place {
    /// The field by its path.
    pub(super) fn param(self) -> String {
        format!("messages[{}].content[{}]", self.message, self.block)
    }
}

/// Translates all messages.
pub(super) fn collect<'a>(scope: Scope<'a>, names: &ToolNames, notes: &mut Adjustments) -> Result<Vec<Turn<'a>>, GatewayError> {
    let mut collector = Collector { scope, names, notes, documents: DocumentNames::default(), turns: Vec::new() };
    for (position, message) in scope.request.messages.iter().enumerate() {
        collector.message(position, message)?;
    }
    let turns = collector.turns;
    Ok(settle(turns, scope.model.mid_system, notes))
}

struct Collector<'a, 's> {
    scope: Scope<'a>,
    names: &'s ToolNames,
    notes: &'s mut Adjustments,
    documents: DocumentNames,
    turns: Vec<Turn<'a>>,
}

impl<'a> Collector<'a, '_> {
    fn message(&mut self, position: usize, message: &'a Message) -> Result<(), GatewayError> {
        let role = match message.role {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
            Speaker::System => Role::System,
        };
        // A cache mark is no block of the client's, and errors name the client's.
        let mut block = 0;
        for content in &message.content {
            self.content(role, content, Place { message: position, block })?;
            block += usize::from(!matches!(content, Content::CachePoint(_)));
        }
        Ok(())
    }

    fn content(&mut self, role: Role, content: &'a Content, place: Place) -> Result<(), GatewayError> {
        match content {
            Content::Text(text) => self.text(role, text, place),
            Content::Cited { text, citations } => {
                if !citations.is_empty() {
                    self.notes.note("messages.content.citations", "dropped");
                }
                self.text(role, text, place);
            }
            Content::Guarded { text, qualifiers } => self.guarded(role, text, qualifiers, place),
            Content::Media(_) if role == Role::Assistant => self.notes.note("messages.content", "assistant_media_dropped"),
            Content::Media(item) => {
                let block = media::block(item, self.scope, place, &mut self.documents, self.notes)?;
                self.push(role, block, place);
            }
            Content::SearchResult(_) if role == Role::Assistant => self.notes.note("messages.content", "assistant_search_result_dropped"),
            Content::SearchResult(found) => self.search_result(role, found, place),
            Content::ToolUse { id, name, input, origin } => self.tool_use(role, (id, name, input), *origin, place),
            Content::ToolResult { id, parts, status } => self.tool_result(role, id, parts, *status, place)?,
            Content::Reasoning(reasoning) => self.reasoning(role, reasoning, place),
            Content::CachePoint(mark) => self.mark(*mark),
        }
        Ok(())
    }

    fn push(&mut self, role: Role, block: ContentBlock<'a>, place: Place) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.pieces.push(Marked::plain(block)),
            _ => self.turns.push(Turn { role, pieces: vec![Marked::plain(block)], message: place.message }),
        }
    }

    fn text(&mut self, role: Role, text: &'a str, place: Place) {
        if text.trim().is_empty() {
            self.notes.note("messages.content", "blank_text_removed");
        } else {
            self.push(role, ContentBlock::Text(Cow::Borrowed(text)), place);
        }
    }

    fn search_result(&mut self, role: Role, found: &'a SearchResult, place: Place) {
        let block = match search_results::write(found, self.scope.model, self.notes) {
            Written::Block(block) => ContentBlock::SearchResult(block),
            Written::Text(text) => ContentBlock::Text(text),
        };
        self.push(role, block, place);
    }

    fn guarded(&mut self, role: Role, text: &'a str, qualifiers: &[GuardQualifier], place: Place) {
        if role == Role::Assistant || !self.scope.model.guardrails || text.trim().is_empty() {
            self.text(role, text, place);
        } else {
            self.push(role, ContentBlock::GuardContent(guard_content(text, qualifiers)), place);
        }
    }

    fn mark(&mut self, mark: CacheMark) {
        match self.turns.last_mut().and_then(|turn| turn.pieces.last_mut()) {
            Some(piece) => Mark::attach(&mut piece.mark, Mark::explicit(mark)),
            None => self.notes.note("cache_control", "dropped"),
        }
    }

    fn tool_use(&mut self, role: Role, (id, name, input): (&'a str, &'a str, &'a JsonText), origin: ToolOrigin, place: Place) {
        let server = origin == ToolOrigin::Server;
        if role != Role::Assistant {
            self.notes.note("messages.tool_calls", "dropped_outside_assistant");
            return;
        }
        // Bedrock's own tools are known by name; another provider's are of no use to any model here.
        if server && !(self.runs_server_tools() && self.scope.model.system_tools.iter().any(|own| own == name)) {
            self.notes.note("messages.server_tools", "dropped");
            return;
        }
        let input = if input.is_object() {
            Cow::Borrowed(input.raw())
        } else {
            self.notes.note("messages.tool_calls.arguments", "wrapped");
            Cow::Owned(malformed_arguments(input))
        };
        let call = ToolUse { tool_use_id: Cow::Borrowed(id), name: self.names.wire(name), input, kind: server.then_some(SERVER_TOOL) };
        self.push(role, ContentBlock::ToolUse(call), place);
    }

    fn tool_result(
        &mut self,
        role: Role,
        id: &'a str,
        parts: &'a [ToolResultPart],
        status: ToolResultStatus,
        place: Place,
    ) -> Result<(), GatewayError> {
        if role == Role::Assistant && !self.runs_server_tools() {
            self.notes.note("messages.server_tools", "dropped");
            return Ok(());
        }
        let mut content = Vec::with_capacity(parts.len());
        let mut beside = Vec::new();
        for part in parts {
            match part {
                ToolResultPart::Text(text) if text.trim().is_empty() => {}
                ToolResultPart::Text(text) => content.push(ToolResultContent::Text(Cow::Borrowed(text))),
                ToolResultPart::Json(json) if json.is_object() => content.push(ToolResultContent::Json(Cow::Borrowed(json.raw()))),
                ToolResultPart::Json(json) => content.push(ToolResultContent::Text(Cow::Borrowed(json.get()))),
                ToolResultPart::Media(item) => {
                    let block = media::block(item, self.scope, place, &mut self.documents, self.notes)?;
                    match inside(block, self.scope.model.tool_result_images) {
                        Ok(part) => content.push(part),
                        Err(block) => beside.push(block),
                    }
                }
                ToolResultPart::SearchResult(found) => content.push(match search_results::write(found, self.scope.model, self.notes) {
                    Written::Block(block) => ToolResultContent::SearchResult(block),
                    Written::Text(text) => ToolResultContent::Text(text),
                }),
            }
        }
        if !beside.is_empty() {
            self.notes.note("messages.tool.content", "media_moved_beside");
        }
        if content.is_empty() {
            content.push(ToolResultContent::Text(Cow::Borrowed(if beside.is_empty() { EMPTY_RESULT } else { "(see the attached file)" })));
        }
        let result = ToolResult { tool_use_id: Cow::Borrowed(id), content, status: self.status(status) };
        self.push(role, ContentBlock::ToolResult(result), place);
        for block in beside {
            self.push(role, block, place);
        }
        Ok(())
    }

    fn status(&self, status: ToolResultStatus) -> Option<&'static str> {
        match status {
            _ if !self.scope.model.tool_result_status => None,
            ToolResultStatus::Unstated => None,
            ToolResultStatus::Success => Some("success"),
            ToolResultStatus::Error => Some("error"),
        }
    }

    fn reasoning(&mut self, role: Role, reasoning: &'a Reasoning, place: Place) {
        let content = match (self.scope.model.reasoning_replay, reasoning) {
            _ if role != Role::Assistant => None,
            (ReasoningReplay::Signed, Reasoning::Text { text, signature: Some(signature) }) if !signature.is_empty() => {
                let text = ReasoningText { text: Cow::Borrowed(text), signature: Some(Cow::Borrowed(signature)) };
                Some(ReasoningContent::ReasoningText(text))
            }
            (ReasoningReplay::Signed, Reasoning::Redacted(data)) => Some(ReasoningContent::RedactedContent(Cow::Borrowed(data))),
            (ReasoningReplay::Plain, Reasoning::Text { text, .. }) if !text.trim().is_empty() => {
                Some(ReasoningContent::ReasoningText(ReasoningText { text: Cow::Borrowed(text), signature: None }))
            }
            _ => None,
        };
        match content {
            Some(content) => self.push(role, ContentBlock::ReasoningContent(content), place),
            None => self.notes.note("messages.reasoning", "dropped"),
        }
    }

    /// Calls of Bedrock's own tools go back only to models that have such tools.
    fn runs_server_tools(&self) -> bool {
        !self.scope.model.system_tools.is_empty() && self.scope.model.tools != ToolSupport::None
    }
}

/// Text for the guardrail.
pub(super) fn guard_content<'a>(text: &'a str, qualifiers: &[GuardQualifier]) -> GuardContent<'a> {
    let qualifiers = qualifiers
        .iter()
        .map(|qualifier| match qualifier {
            GuardQualifier::GroundingSource => "grounding_source",
            GuardQualifier::Query => "query",
            GuardQualifier::GuardContent => "guard_content",
        })
        .collect();
    GuardContent::Text(GuardText { text: Cow::Borrowed(text), qualifiers })
}

/// A media block as a part of a tool result, where it may be one; else back again.
fn inside(block: ContentBlock<'_>, images: ToolResultImages) -> Result<ToolResultContent<'_>, ContentBlock<'_>> {
    match block {
        ContentBlock::Image(image) if images == ToolResultImages::Inside => Ok(ToolResultContent::Image(image)),
        ContentBlock::Document(document) => Ok(ToolResultContent::Document(document)),
        ContentBlock::Video(video) => Ok(ToolResultContent::Video(video)),
        other => Err(other),
    }
}

/// Arguments that are no object, kept inside one: history must never fail a request.
fn malformed_arguments(input: &JsonText) -> Box<RawValue> {
    RawValue::from_string(format!("{{\"_malformed_arguments\":{}}}", input.get()))
        .unwrap_or_else(|_| JsonText::empty_object().raw().to_owned())
}

/// Decides which mid-conversation instructions stay turns of their own; the others become user turns in place.
/// Only between a user turn and an assistant turn (or at the end) is such a turn certain not to break alternation
/// or to part tool calls from their results.
fn settle<'a>(turns: Vec<Turn<'a>>, support: MidSystem, notes: &mut Adjustments) -> Vec<Turn<'a>> {
    let mut settled: Vec<Turn<'a>> = Vec::with_capacity(turns.len());
    let mut rest = turns.into_iter().peekable();
    while let Some(mut turn) = rest.next() {
        if turn.role == Role::System {
            let text_only = turn.pieces.iter().all(|piece| matches!(piece.value, ContentBlock::Text(_)));
            let after_user = settled.last().is_some_and(|last| last.role == Role::User);
            let before_assistant = rest.peek().is_none_or(|next| next.role == Role::Assistant);
            if !(support == MidSystem::Native && text_only && after_user && before_assistant) {
                as_user(&mut turn);
                notes.note("messages.system", "user_turn");
            }
        }
        match settled.last_mut() {
            Some(last) if last.role == turn.role => last.pieces.append(&mut turn.pieces),
            _ => settled.push(turn),
        }
    }
    settled
}

fn as_user(turn: &mut Turn<'_>) {
    turn.role = Role::User;
    match turn.pieces.first_mut().map(|piece| &mut piece.value) {
        Some(ContentBlock::Text(text)) => *text = Cow::Owned(format!("{MID_SYSTEM_NOTE}{text}")),
        _ => turn.pieces.insert(0, Marked::plain(ContentBlock::Text(Cow::Borrowed(MID_SYSTEM_NOTE.trim_end())))),
    }
}
