//! Blocks of a message.

use outcrop_domain::{
    chat::{Content, Reasoning, SearchResult, ToolOrigin},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::{
    anthropic::messages::{BlockContent, BlockSource, CitationSwitch, Citations, ContentBlock},
    loose::ListOr,
};
use serde_json::value::RawValue;

use super::{
    caching,
    conversation::report_unread,
    faults::{fault, missing, unknown_tag},
    place::Place,
    results,
};
use crate::{
    anthropic_messages::citations,
    dialect::{
        arguments,
        media::MediaReader,
        notes::{Notes, label},
    },
};

/// Kinds that a user turn may hold.
const USER_KINDS: [&str; 5] = ["text", "image", "document", "search_result", "tool_result"];

/// Kinds that only the model writes.
const ASSISTANT_KINDS: [&str; 4] = ["thinking", "redacted_thinking", "tool_use", "server_tool_use"];

/// Turns the client's blocks into the hub's.
pub(super) struct BlockReader<'a> {
    pub(super) media: MediaReader<'a>,
    pub(super) notes: &'a mut Notes,
}

impl BlockReader<'_> {
    /// A block of a user turn.
    pub(super) fn user(&mut self, block: ContentBlock, place: &Place<'_>, content: &mut Vec<Content>) -> Result<(), GatewayError> {
        match kind_of(&block, place)? {
            "text" => self.text(block, place, content),
            "image" | "document" => self.media(block, place, content),
            "search_result" => self.search_result(block, place, content),
            "tool_result" => results::tool_result(self, block, place, content),
            "container_upload" => {
                Err(fault(place.to_string(), "files cannot be uploaded into a container here; send the file itself as a `document`"))
            }
            kind if ASSISTANT_KINDS.contains(&kind) || is_server_result(kind) => {
                Err(fault(place.to_string(), format_args!("`{kind}` blocks can only be in `assistant` messages")))
            }
            kind => Err(unknown_tag(place.to_string(), kind, &USER_KINDS)),
        }
    }

    /// A block of an assistant turn. What a model wrote elsewhere must not end the session: kinds that are not known are
    /// left out and reported.
    pub(super) fn assistant(&mut self, block: ContentBlock, place: &Place<'_>, content: &mut Vec<Content>) -> Result<(), GatewayError> {
        match kind_of(&block, place)? {
            "text" => self.text(block, place, content),
            "thinking" => self.thinking(block, place, content),
            "redacted_thinking" => {
                let mark = self.mark(&block, place)?;
                content.push(Content::Reasoning(Reasoning::Redacted(block.data.ok_or_else(|| missing(place.of("data")))?)));
                content.extend(mark);
                Ok(())
            }
            "tool_use" => self.tool_use(block, ToolOrigin::Client, place, content),
            "server_tool_use" | "mcp_tool_use" => self.tool_use(block, ToolOrigin::Server, place, content),
            "compaction" => {
                self.summary(block, content);
                Ok(())
            }
            kind if is_server_result(kind) => results::server_result(self, block, place, content),
            kind if USER_KINDS.contains(&kind) => {
                Err(fault(place.to_string(), format_args!("`{kind}` blocks can only be in `user` messages")))
            }
            kind => {
                self.notes.harmless(format!("messages.content.{}", label(kind)), "dropped");
                Ok(())
            }
        }
    }

    /// Text, with its sources where an earlier answer had some. An empty text stays in its place: the surface leaves it
    /// out and keeps its mark.
    pub(super) fn text(&mut self, block: ContentBlock, place: &Place<'_>, content: &mut Vec<Content>) -> Result<(), GatewayError> {
        let mark = self.mark(&block, place)?;
        report_unread("messages.content", &block.rest, self.notes);
        let text = block.text.ok_or_else(|| missing(place.of("text")))?;
        content.push(match block.citations {
            Some(ListOr::List(sources)) if !sources.is_empty() => {
                Content::Cited { text, citations: sources.into_iter().map(citations::read).collect() }
            }
            _ => Content::Text(text),
        });
        content.extend(mark);
        Ok(())
    }

    /// The cache mark of a block, to stand after it.
    pub(super) fn mark(&mut self, block: &ContentBlock, place: &Place<'_>) -> Result<Option<Content>, GatewayError> {
        let mark = caching::mark(block.cache_control.as_ref(), || place.of("cache_control"), self.notes)?;
        Ok(mark.map(Content::CachePoint))
    }

    fn media(&mut self, block: ContentBlock, place: &Place<'_>, content: &mut Vec<Content>) -> Result<(), GatewayError> {
        let mark = self.mark(&block, place)?;
        content.extend(super::media::read(self, block, place)?.into_iter().map(Content::Media));
        content.extend(mark);
        Ok(())
    }

    fn search_result(&mut self, block: ContentBlock, place: &Place<'_>, content: &mut Vec<Content>) -> Result<(), GatewayError> {
        let mark = self.mark(&block, place)?;
        content.push(Content::SearchResult(self.found(block, place)?));
        content.extend(mark);
        Ok(())
    }

    /// A `search_result` block.
    pub(super) fn found(&mut self, block: ContentBlock, place: &Place<'_>) -> Result<SearchResult, GatewayError> {
        report_unread("messages.content", &block.rest, self.notes);
        let source = match block.source {
            Some(BlockSource::Text(source)) => source,
            Some(BlockSource::Object(_)) => return Err(fault(place.of("source"), "Input should be a valid string")),
            None => return Err(missing(place.of("source"))),
        };
        let mut blocks = Vec::new();
        match block.content {
            None => return Err(missing(place.of("content"))),
            Some(BlockContent::Text(text)) => blocks.push(text),
            Some(BlockContent::Object(_)) => return Err(fault(place.of("content"), "Input should be a valid list")),
            Some(BlockContent::List(parts)) => {
                for (position, part) in parts.into_iter().enumerate() {
                    let place = place.inside("content", position);
                    match kind_of(&part, &place)? {
                        "text" => blocks.push(part.text.ok_or_else(|| missing(place.of("text")))?),
                        kind => return Err(unknown_tag(place.to_string(), kind, &["text"])),
                    }
                }
            }
        }
        let title = block.title.ok_or_else(|| missing(place.of("title")))?;
        Ok(SearchResult { source, title, blocks, citations: is_switched_on(block.citations.as_ref()) })
    }

    /// Reasoning comes back byte for byte. A signature alone is worth keeping; a block without text and signature says
    /// nothing.
    fn thinking(&mut self, block: ContentBlock, place: &Place<'_>, content: &mut Vec<Content>) -> Result<(), GatewayError> {
        let mark = self.mark(&block, place)?;
        let text = block.thinking.ok_or_else(|| missing(place.of("thinking")))?;
        let signature = block.signature.filter(|signature| !signature.is_empty());
        if text.is_empty() && signature.is_none() {
            self.notes.harmless("messages.content.thinking", "empty_dropped");
        } else {
            content.push(Content::Reasoning(Reasoning::Text { text, signature }));
        }
        content.extend(mark);
        Ok(())
    }

    fn tool_use(
        &mut self,
        block: ContentBlock,
        origin: ToolOrigin,
        place: &Place<'_>,
        content: &mut Vec<Content>,
    ) -> Result<(), GatewayError> {
        let mark = self.mark(&block, place)?;
        if origin == ToolOrigin::Client {
            report_unread("messages.content", &block.rest, self.notes);
        }
        let id = block.id.filter(|id| !id.is_empty()).ok_or_else(|| missing(place.of("id")))?;
        let name = block.name.filter(|name| !name.is_empty()).ok_or_else(|| missing(place.of("name")))?;
        content.push(Content::ToolUse { id, name, input: self.input(block.input)?, origin });
        content.extend(mark);
        Ok(())
    }

    /// The input of a call as an object, whatever a client made of it: a model's slip must not end the session for good.
    fn input(&mut self, input: Option<Box<RawValue>>) -> Result<JsonText, GatewayError> {
        const FIELD: &str = "messages.content.tool_use.input";
        let Some(raw) = input else { return Ok(JsonText::empty_object()) };
        if raw.get().starts_with('{') {
            return Ok(JsonText::from(raw));
        }
        let text = match serde_json::from_str::<String>(raw.get()) {
            Ok(text) => text,
            Err(_) => String::from(Box::<str>::from(raw)),
        };
        arguments::object(text, FIELD, self.notes)
    }

    /// A summary that stands for the conversation before it: what can be read of it is text.
    fn summary(&mut self, block: ContentBlock, content: &mut Vec<Content>) {
        match block.content {
            Some(BlockContent::Text(text)) => {
                self.notes.harmless("messages.content.compaction", "text");
                content.push(Content::Text(text));
            }
            _ => self.notes.harmless("messages.content.compaction", "dropped"),
        }
    }
}

/// The kind of a block; where a client leaves it out, a text tells.
pub(super) fn kind_of<'b>(block: &'b ContentBlock, place: &Place<'_>) -> Result<&'b str, GatewayError> {
    match &block.kind {
        Some(kind) => Ok(kind),
        None if block.text.is_some() => Ok("text"),
        None => Err(missing(place.of("type"))),
    }
}

/// Whether the answer shall cite a document or search result.
pub(super) fn is_switched_on(citations: Option<&Citations>) -> bool {
    matches!(citations, Some(ListOr::Object(CitationSwitch { enabled: Some(true) })))
}

/// Results of tools that a provider ran: `web_search_tool_result`, `mcp_tool_result` and their like.
fn is_server_result(kind: &str) -> bool {
    kind.ends_with("_tool_result")
}
