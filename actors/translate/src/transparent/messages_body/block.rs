//! One content block, and the blocks within it.

use outcrop_domain::estimate::Size;

use super::{Mark, Part, Traits, ids};
use crate::transparent::json::{Fault, Kind, Scanner, Span, Text, Value};

/// Kinds of blocks that rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transparent) enum BlockKind {
    Text,
    Thinking,
    RedactedThinking,
    ToolUse,
    ToolResult,
    /// Images, documents, server tools, and all that is newer than this list.
    Other,
}

impl BlockKind {
    /// True for the blocks that only the model that wrote them can read.
    pub(in crate::transparent) fn is_thinking(self) -> bool {
        matches!(self, Self::Thinking | Self::RedactedThinking)
    }
}

/// Is a block of this `type` a call of a tool, whoever runs it?
pub(super) fn is_call(kind: &str) -> bool {
    matches!(kind, "tool_use" | "server_tool_use" | "mcp_tool_use")
}

/// What was seen of a block.
#[derive(Debug, Clone, Copy)]
pub(in crate::transparent) struct Block {
    pub(in crate::transparent) span: Span,
    pub(in crate::transparent) kind: BlockKind,
    /// Text of a text block.
    pub(in crate::transparent) text: Option<Text>,
    /// Blocks of a tool result.
    pub(in crate::transparent) parts: Option<Span>,
    /// A tool result that tells of a failure.
    pub(in crate::transparent) error: bool,
    pub(super) traits: Traits,
    pub(super) size: Size,
}

impl Block {
    /// A text block that says nothing.
    pub(in crate::transparent) fn is_blank_text(&self) -> bool {
        self.kind == BlockKind::Text && self.traits.blank
    }

    /// Thinking that lacks its signature.
    pub(in crate::transparent) fn is_unsigned(&self) -> bool {
        self.kind == BlockKind::Thinking && self.traits.unsigned
    }
}

/// Most blocks of one list, and most cache marks of a body. No request has so many, and a body of millions must not become a
/// list of them.
pub(super) const MAX_BLOCKS: usize = 100_000;

/// More blocks than that.
pub(super) const TOO_MANY_BLOCKS: &str = "a list holds more than 100000 blocks";

/// Reads the block that begins at the scanner. Marks on it and within it are added to `marks`; `before` is what stands before
/// it in its part of the prompt.
pub(in crate::transparent) fn read_block(
    scanner: &mut Scanner<'_>,
    part: Part,
    before: Size,
    marks: &mut Vec<Mark>,
) -> Result<Block, Fault> {
    if scanner.kind()? != Kind::Object {
        let value = scanner.skip()?;
        return Ok(Block::strange(value.span));
    }
    let start = scanner.at();
    let seen = Seen::read(scanner, part, before, marks)?;
    let block = seen.block(scanner.text(), Span::new(start, scanner.at()));
    if let Some((value, long)) = seen.mark {
        if marks.len() == MAX_BLOCKS {
            return Err(Fault { at: start, what: "more than 100000 cache marks" });
        }
        marks.push(Mark { part, object: block.span, value, long, covers: before.and(block.size) });
    }
    Ok(block)
}

/// Reads the value of `cache_control`; `None` for `null`.
pub(super) fn read_mark(scanner: &mut Scanner<'_>) -> Result<Option<(Span, bool)>, Fault> {
    if scanner.kind()? != Kind::Object {
        scanner.skip()?;
        return Ok(None);
    }
    let (start, mut long) = (scanner.at(), false);
    let mut members = scanner.enter()?;
    while let Some(key) = scanner.key(&mut members)? {
        let is_ttl = key.is(scanner.text(), "ttl");
        let value = scanner.skip()?;
        long |= is_ttl && value.span.of(scanner.text()) == b"\"1h\"";
    }
    Ok(Some((Span::new(start, scanner.at()), long)))
}

impl Block {
    fn strange(span: Span) -> Self {
        let size = Size::of_bytes(span.len());
        let kind = BlockKind::Other;
        Self { span, kind, text: None, parts: None, error: false, traits: Traits::default(), size }
    }
}

/// Members of a block, whatever their order.
#[derive(Default)]
struct Seen {
    kind: Option<Text>,
    text: Option<Text>,
    thinking: Option<Text>,
    signature: Option<Text>,
    data: Option<Text>,
    id: Option<Text>,
    tool_use_id: Option<Text>,
    /// `name`, `title`, `context`: small texts that count.
    labels: Size,
    input: Option<Value>,
    content: Content,
    source: Option<Source>,
    error: bool,
    mark: Option<(Span, bool)>,
}

/// `content` of a block.
#[derive(Default)]
struct Content {
    size: Size,
    parts: Option<Span>,
    traits: Traits,
}

/// `source` of an image or document.
struct Source {
    kind: Option<Text>,
    data: Option<Text>,
    content: Content,
}

impl Seen {
    fn read(scanner: &mut Scanner<'_>, part: Part, before: Size, marks: &mut Vec<Mark>) -> Result<Self, Fault> {
        let mut seen = Self::default();
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            match key.decode(scanner.text()).as_deref() {
                Some("type") => seen.kind = string(scanner)?,
                Some("text") => seen.text = string(scanner)?,
                Some("thinking") => seen.thinking = string(scanner)?,
                Some("signature") => seen.signature = string(scanner)?,
                Some("data") => seen.data = string(scanner)?,
                Some("id") => seen.id = string(scanner)?,
                Some("tool_use_id") => seen.tool_use_id = string(scanner)?,
                Some("name" | "title" | "context") => seen.labels = seen.labels.and(length(string(scanner)?)),
                Some("input") => seen.input = Some(scanner.skip()?),
                Some("content") => seen.content = Content::read(scanner, part, before, marks)?,
                Some("source") => seen.source = Source::read(scanner, part, before)?,
                Some("is_error") => seen.error = scanner.skip()?.span.of(scanner.text()) == b"true",
                Some("cache_control") => seen.mark = read_mark(scanner)?,
                _ => drop(scanner.skip()?),
            }
        }
        Ok(seen)
    }

    fn block(&self, text: &[u8], span: Span) -> Block {
        let kind = self.kind.and_then(|kind| kind.decode(text));
        let called = kind.as_deref().is_some_and(is_call);
        let (kind, size) = match kind.as_deref() {
            Some("text") => (BlockKind::Text, length(self.text)),
            Some("thinking") => (BlockKind::Thinking, length(self.thinking)),
            Some("redacted_thinking") => (BlockKind::RedactedThinking, length(self.data)),
            Some("tool_use") => (BlockKind::ToolUse, self.call()),
            Some(_) if called => (BlockKind::Other, self.call()),
            Some("tool_result") => (BlockKind::ToolResult, self.content.size),
            Some("image") => (BlockKind::Other, Size::of_image()),
            Some("document") => {
                (BlockKind::Other, self.labels.and(self.source.as_ref().map_or_else(Size::of_unseen, |source| source.size(text))))
            }
            _ => (BlockKind::Other, Size::of_bytes(span.len())),
        };
        let traits = Traits {
            blank: match kind {
                BlockKind::Text => self.text.is_some_and(|said| said.is_blank(text)),
                BlockKind::ToolResult => self.content.traits.blank,
                _ => false,
            },
            unsigned: kind == BlockKind::Thinking && self.signature.is_none_or(|signature| signature.decoded == 0),
            thinking: kind == BlockKind::RedactedThinking
                || (kind == BlockKind::Thinking && self.signature.is_some_and(|signature| signature.decoded > 0)),
            tool_use: kind == BlockKind::ToolUse,
            tool_result: kind == BlockKind::ToolResult,
            odd_id: self.has_odd_id(text, called),
            link: self.content.traits.link || self.source.as_ref().is_some_and(|source| source.links(text)),
        };
        let text = self.text.filter(|_| kind == BlockKind::Text);
        let parts = self.content.parts.filter(|_| kind == BlockKind::ToolResult);
        Block { span, kind, text, parts, error: self.error, traits, size }
    }

    fn has_odd_id(&self, text: &[u8], called: bool) -> bool {
        let ids = [self.id.filter(|_| called), self.tool_use_id];
        ids.into_iter().flatten().filter_map(|id| id.decode(text)).any(|id| !ids::is_taken(&id))
    }

    fn call(&self) -> Size {
        self.labels.and(self.input.map(|input| Size::of_bytes(input.span.len())).unwrap_or_default())
    }
}

impl Content {
    fn read(scanner: &mut Scanner<'_>, part: Part, before: Size, marks: &mut Vec<Mark>) -> Result<Self, Fault> {
        if scanner.kind()? != Kind::Array {
            return Ok(Self { size: length(string(scanner)?), ..Self::default() });
        }
        let start = scanner.at();
        let (mut content, mut count) = (Self::default(), 0);
        let mut members = scanner.enter()?;
        while scanner.element(&mut members)? {
            count += 1;
            if count > MAX_BLOCKS {
                return Err(Fault { at: scanner.at(), what: TOO_MANY_BLOCKS });
            }
            let block = read_block(scanner, part, before.and(content.size), marks)?;
            content.size = content.size.and(block.size);
            content.traits.add(block.traits);
        }
        content.parts = Some(Span::new(start, scanner.at()));
        Ok(content)
    }
}

impl Source {
    fn read(scanner: &mut Scanner<'_>, part: Part, before: Size) -> Result<Option<Self>, Fault> {
        if scanner.kind()? != Kind::Object {
            scanner.skip()?;
            return Ok(None);
        }
        let mut source = Self { kind: None, data: None, content: Content::default() };
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            match key.decode(scanner.text()).as_deref() {
                Some("type") => source.kind = string(scanner)?,
                Some("data") => source.data = string(scanner)?,
                // Marks within a source are none of the prompt's.
                Some("content") => source.content = Content::read(scanner, part, before, &mut Vec::new())?,
                _ => drop(scanner.skip()?),
            }
        }
        Ok(Some(source))
    }

    fn size(&self, text: &[u8]) -> Size {
        match self.kind.and_then(|kind| kind.decode(text)).as_deref() {
            Some("base64") => Size::of_document(self.data.map_or(0, |data| u64::from(data.decoded))),
            Some("text") => length(self.data),
            Some("content") => self.content.size,
            _ => Size::of_unseen(),
        }
    }

    fn links(&self, text: &[u8]) -> bool {
        self.content.traits.link || self.kind.is_some_and(|kind| kind.is(text, "url"))
    }
}

/// A string, or anything else passed over.
pub(super) fn string(scanner: &mut Scanner<'_>) -> Result<Option<Text>, Fault> {
    if scanner.kind()? == Kind::String { scanner.string().map(Some) } else { scanner.skip().map(|_| None) }
}

fn length(text: Option<Text>) -> Size {
    Size::of_bytes(text.map_or(0, |text| u64::from(text.decoded)))
}
