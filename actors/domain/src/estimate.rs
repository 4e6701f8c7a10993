//! Token counts where upstream does not tell them: a stream that was cut is billed all the same.
//!
//! The rule is the usual one, four characters to a token, counted in bytes of UTF-8: the same for English, and nearer to
//! the truth for scripts whose characters are tokens of their own. It is good to about a third for prose and worse for
//! code and tables. Not known here, and so not counted: what the prompt cache saved (all input counts as fresh), and
//! thinking that a model bills but shows only in summary.

use crate::{
    chat::{ChatRequest, Content, Media, MediaKind, MediaSource, Reasoning, SearchResult, SystemBlock, Tool, ToolResultPart},
    usage::Usage,
};

/// Bytes of text to a token. Source: the rule of thumb of OpenAI's and Anthropic's documentation (four characters).
const BYTES_PER_TOKEN: u64 = 4;

/// Tokens of an image: Claude counts width x height / 750 and scales to at most 1.2 megapixels. Source: Anthropic's
/// vision documentation. Nova and the others lie in the same range.
const IMAGE_TOKENS: u64 = 1_600;

/// Bytes of a document to a token: a PDF page has some 2,000 tokens and weighs some 64 KB.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 32;

/// Bytes of video or audio to a token: Nova counts 288 tokens a second (source: its documentation of video
/// understanding), and a second of such a clip weighs some 100 KB.
const CLIP_BYTES_PER_TOKEN: u64 = 350;

/// Tokens of something that only AWS can open: about a page or a picture.
const UNSEEN_TOKENS: u64 = 2_000;

/// Tokens of the frame around a turn or a tool.
const FRAME_TOKENS: u64 = 4;

/// Tokens of `bytes` of text, at least one for any text.
#[must_use]
pub fn text_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Input tokens of a request, from its content alone.
#[must_use]
pub fn prompt_tokens(request: &ChatRequest) -> u64 {
    let system = request.system.iter().map(|block| match block {
        SystemBlock::Text(text) | SystemBlock::Guarded { text, .. } => Size::text(text),
        SystemBlock::CachePoint(_) => Size::default(),
    });
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function { name, description, schema, .. } => {
            Size::text(name).and(Size::text(description.as_deref().unwrap_or_default())).and(Size::text(schema.get())).framed()
        }
        Tool::System(tool) => Size::text(&tool.name).framed(),
        Tool::CachePoint(_) => Size::default(),
    });
    let turns = request.messages.iter().map(|message| size_of_all(&message.content).framed());
    system.chain(tools).chain(turns).fold(Size::default(), Size::and).tokens()
}

/// Output tokens of a whole answer, from its content alone.
#[must_use]
pub fn answer_tokens(content: &[Content]) -> u64 {
    size_of_all(content).tokens()
}

/// What a call used whose request and produced text are known by size alone.
#[must_use]
pub fn usage(prompt_tokens: u64, produced_bytes: u64) -> Usage {
    Usage { input: prompt_tokens, output: text_tokens(produced_bytes), ..Usage::default() }
}

/// A growing amount of prompt: text by its bytes, which are divided once at the end, and everything else in tokens.
///
/// For whoever counts without the hub's values, so that the same prompt has the same size on every path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    bytes: u64,
    tokens: u64,
}

impl Size {
    /// Text of so many bytes of UTF-8.
    #[must_use]
    pub fn of_bytes(bytes: u64) -> Self {
        Self { bytes, tokens: 0 }
    }

    /// One image.
    #[must_use]
    pub fn of_image() -> Self {
        Self::of_tokens(IMAGE_TOKENS)
    }

    /// A document of so many bytes of base64.
    #[must_use]
    pub fn of_document(base64_bytes: u64) -> Self {
        Self::of_tokens(decoded(base64_bytes).div_ceil(DOCUMENT_BYTES_PER_TOKEN))
    }

    /// A piece of film or sound of so many bytes of base64.
    #[must_use]
    pub fn of_clip(base64_bytes: u64) -> Self {
        Self::of_tokens(decoded(base64_bytes).div_ceil(CLIP_BYTES_PER_TOKEN))
    }

    /// Something that only upstream can open.
    #[must_use]
    pub fn of_unseen() -> Self {
        Self::of_tokens(UNSEEN_TOKENS)
    }

    /// With the frame around a turn or a tool.
    #[must_use]
    pub fn framed(self) -> Self {
        self.and(Self::of_tokens(FRAME_TOKENS))
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), tokens: self.tokens.saturating_add(other.tokens) }
    }

    /// In tokens.
    #[must_use]
    pub fn tokens(self) -> u64 {
        self.tokens.saturating_add(text_tokens(self.bytes))
    }

    fn text(text: &str) -> Self {
        Self::of_bytes(length(text))
    }

    fn of_tokens(tokens: u64) -> Self {
        Self { bytes: 0, tokens }
    }
}

fn size_of_all(content: &[Content]) -> Size {
    content.iter().map(size_of).fold(Size::default(), Size::and)
}

fn size_of(content: &Content) -> Size {
    match content {
        Content::Text(text)
        | Content::Guarded { text, .. }
        | Content::Cited { text, .. }
        | Content::Reasoning(Reasoning::Text { text, .. } | Reasoning::Redacted(text)) => Size::text(text),
        Content::ToolUse { name, input, .. } => Size::text(name).and(Size::text(input.get())),
        Content::ToolResult { parts, .. } => parts.iter().map(size_of_part).fold(Size::default(), Size::and),
        Content::Media(media) => size_of_media(media),
        Content::SearchResult(result) => size_of_search_result(result),
        Content::CachePoint(_) => Size::default(),
    }
}

fn size_of_part(part: &ToolResultPart) -> Size {
    match part {
        ToolResultPart::Text(text) => Size::text(text),
        ToolResultPart::Json(json) => Size::text(json.get()),
        ToolResultPart::Media(media) => size_of_media(media),
        ToolResultPart::SearchResult(result) => size_of_search_result(result),
    }
}

fn size_of_search_result(result: &SearchResult) -> Size {
    let head = Size::text(&result.source).and(Size::text(&result.title));
    result.blocks.iter().map(|text| Size::text(text)).fold(head, Size::and)
}

fn size_of_media(media: &Media) -> Size {
    match (&media.source, media.format.kind) {
        (MediaSource::Text(text), _) => Size::text(text),
        (MediaSource::TextBlocks(blocks), _) => blocks.iter().map(|text| Size::text(text)).fold(Size::default(), Size::and),
        (_, MediaKind::Image) => Size::of_image(),
        (MediaSource::S3 { .. }, _) => Size::of_unseen(),
        (MediaSource::Base64(data), MediaKind::Document) => Size::of_document(length(data)),
        (MediaSource::Base64(data), MediaKind::Video | MediaKind::Audio) => Size::of_clip(length(data)),
    }
}

/// Bytes behind base64 text.
fn decoded(base64_bytes: u64) -> u64 {
    base64_bytes / 4 * 3
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::{MediaFormat, Message, Role},
        json::JsonText,
    };

    fn asking(content: Vec<Content>) -> ChatRequest {
        ChatRequest { messages: vec![Message { role: Role::User, content }], ..ChatRequest::default() }
    }

    fn media(kind: MediaKind, source: MediaSource) -> Content {
        let format = MediaFormat { kind, name: "any" };
        Content::Media(Media { format, source, name: None, context: None, citations: false })
    }

    #[test]
    fn four_bytes_are_a_token_and_any_text_is_one() {
        assert_eq!([0, 1, 4, 5, 400].map(text_tokens), [0, 1, 1, 2, 100]);
        assert_eq!(text_tokens(u64::MAX), u64::MAX / 4 + 1);
    }

    #[test]
    fn system_tools_and_turns_all_count() {
        let mut request = asking(vec![Content::Text("x".repeat(400))]);
        assert_eq!(prompt_tokens(&request), 100 + FRAME_TOKENS);
        request.system.push(SystemBlock::Text("x".repeat(40)));
        assert_eq!(prompt_tokens(&request), 110 + FRAME_TOKENS);
        request.tools.push(Tool::Function {
            name: "find".to_owned(),
            description: Some("x".repeat(34)),
            schema: JsonText::empty_object(),
            strict: None,
        });
        assert_eq!(prompt_tokens(&request), 120 + 2 * FRAME_TOKENS);
        assert_eq!(prompt_tokens(&ChatRequest::default()), 0);
    }

    #[test]
    fn a_megabyte_of_base64_is_a_picture_and_no_quarter_million_tokens() {
        let data = || MediaSource::Base64("A".repeat(1 << 20));
        let of = |kind| prompt_tokens(&asking(vec![media(kind, data())])) - FRAME_TOKENS;
        assert_eq!(of(MediaKind::Image), IMAGE_TOKENS);
        assert_eq!(of(MediaKind::Document), 786_432 / DOCUMENT_BYTES_PER_TOKEN);
        assert_eq!(of(MediaKind::Video), of(MediaKind::Audio));
        assert!((2_000..3_000).contains(&of(MediaKind::Video)), "{}", of(MediaKind::Video));
        let unseen = MediaSource::S3 { uri: "s3://b/k".to_owned(), bucket_owner: None };
        assert_eq!(prompt_tokens(&asking(vec![media(MediaKind::Document, unseen)])), UNSEEN_TOKENS + FRAME_TOKENS);
    }

    #[test]
    fn tool_calls_and_their_results_count_by_their_text() {
        let input = JsonText::parse(r#"{"city":"Rome"}"#.to_owned()).unwrap();
        let call = Content::ToolUse { id: "1".to_owned(), name: "where".to_owned(), input, origin: crate::chat::ToolOrigin::Client };
        assert_eq!(answer_tokens(std::slice::from_ref(&call)), 5);
        let result = Content::ToolResult {
            id: "1".to_owned(),
            parts: vec![ToolResultPart::Text("sunny here".to_owned()), ToolResultPart::Json(JsonText::empty_object())],
            status: crate::chat::ToolResultStatus::Success,
        };
        assert_eq!(prompt_tokens(&asking(vec![result])), 3 + FRAME_TOKENS);
    }

    #[test]
    fn documents_of_blocks_and_search_results_count_by_their_text() {
        let blocks = MediaSource::TextBlocks(vec!["x".repeat(40), "x".repeat(40)]);
        assert_eq!(prompt_tokens(&asking(vec![media(MediaKind::Document, blocks)])), 20 + FRAME_TOKENS);
        let found = SearchResult {
            source: "https://a.example".to_owned(),
            title: "abc".to_owned(),
            blocks: vec!["x".repeat(20), "x".repeat(40)],
            citations: true,
        };
        assert_eq!(prompt_tokens(&asking(vec![Content::SearchResult(found.clone())])), 20 + FRAME_TOKENS);
        let status = crate::chat::ToolResultStatus::Success;
        let result = Content::ToolResult { id: "1".to_owned(), parts: vec![ToolResultPart::SearchResult(found)], status };
        assert_eq!(prompt_tokens(&asking(vec![result])), 20 + FRAME_TOKENS);
    }

    #[test]
    fn an_estimate_has_input_and_output_only() {
        assert_eq!(usage(120, 33), Usage { input: 120, output: 9, ..Usage::default() });
    }
}
