//! A request of the Anthropic Messages API, on its way to InvokeModel as the client wrote it.
//!
//! [`read`] looks at the body once: it checks the syntax and keeps spans and sums. [`MessagesBody::invoke`] then writes the
//! exact InvokeModel body for a model, in which only what that model would refuse is changed. Where it names web addresses,
//! [`MessagesBody::with_media`] first puts in their place what stands behind them.

use std::{collections::BTreeMap, fmt};

use outcrop_domain::{
    error::GatewayError,
    estimate::Size,
    routing::{
        affinity::{ConversationHints, affinity_key},
        view::CacheLife,
    },
};

use super::json::{Kind, Span, Text, Value};

mod betas;
mod blanks;
mod block;
mod draft;
mod effort;
mod hoist;
mod ids;
mod invoke;
mod links;
mod marks;
mod meaning;
mod reading;
mod settings;
mod turns;
mod wishes;

pub use invoke::{CachedPrefix, InvokeBody, InvokeOptions};
pub use links::Inlined;
pub use wishes::{WishOptions, Wishes};

pub(super) use betas::{flags, json_list};
pub(super) use blanks::{no_content_block, read_blocks};
pub(super) use block::Block;
pub(super) use draft::Draft;
pub(super) use reading::index;
pub(super) use settings::{is_enabled, without_thinking};
pub(super) use turns::without_system_role;

#[cfg(test)]
mod tests;

/// `anthropic_version` of every InvokeModel body. Source: Anthropic Claude Messages page of the Bedrock user guide.
pub(super) const ANTHROPIC_VERSION: &str = "bedrock-2023-05-31";

/// Stands where a message or a tool result says nothing and must say something.
pub(super) const NO_CONTENT: &str = "(no content)";

/// What a body is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An answer is wanted: `max_tokens` must be there.
    Answer,
    /// Its tokens are to be counted: clients send no `max_tokens`, and upstream wants one all the same.
    Count,
}

/// Reads a body.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] when it is no JSON object, names a field twice, has no `messages` or, where an answer is
/// wanted, no `max_tokens`. Everything else that may be wrong is for the model to say.
pub fn read<B: AsRef<[u8]>>(body: B, purpose: Purpose) -> Result<MessagesBody<B>, GatewayError> {
    let index = reading::index(body.as_ref(), purpose)?;
    Ok(MessagesBody { body, index })
}

/// A body that was read.
pub struct MessagesBody<B> {
    body: B,
    index: Index,
}

impl<B: AsRef<[u8]>> MessagesBody<B> {
    /// The name of the model that the client asks for.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.index.model.as_deref()
    }

    /// The answer shall be streamed.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.index.stream
    }

    /// Most tokens of the answer; `None` only when tokens are to be counted.
    #[must_use]
    pub fn max_tokens(&self) -> Option<u64> {
        self.index.max_tokens
    }

    /// Input tokens, by the rules of [`outcrop_domain::estimate`].
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        self.index.tools.size.and(self.index.system.size).and(self.index.messages_size).tokens()
    }

    /// `metadata.user_id`: agents put their session into it.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.index.user_id.as_deref()
    }

    /// The number of its conversation, which is the same in every turn and replica. `scope` keeps tenants and models apart,
    /// `session` is the client's session header. Without a session, tools, system prompt and first user turn tell, together
    /// with the user id.
    #[must_use]
    pub fn affinity(&self, scope: &[&str], session: Option<&str>) -> u64 {
        let hints = ConversationHints { session, prompt_cache_key: None, user: self.user_id() };
        affinity_key(scope, &hints, self.opening().map(|span| span.of(self.text())))
    }

    /// What its cache marks cover, whether or not that is enough to be cached.
    pub(super) fn marked(&self) -> Option<CachedPrefix> {
        let last = self.index.marks.iter().max_by_key(|mark| (mark.part, mark.object.end))?;
        let long = self.index.marks.iter().any(|mark| mark.long);
        Some(self.index.prefix(last.part, last.covers, if long { CacheLife::Long } else { CacheLife::Short }))
    }

    /// What is the same in every turn of the conversation.
    pub(super) fn opening(&self) -> impl Iterator<Item = Span> {
        let opening = [&self.index.tools.opening, &self.index.system.opening, &self.index.first_words];
        opening.into_iter().flatten().copied()
    }

    /// Does it name addresses in the place of content? Bedrock fetches none.
    #[must_use]
    pub fn names_urls(&self) -> bool {
        self.index.messages.iter().any(|message| message.traits.link)
    }

    /// The body as it came.
    pub fn as_inner(&self) -> &B {
        &self.body
    }

    /// The body as it came.
    pub fn into_inner(self) -> B {
        self.body
    }

    fn text(&self) -> &[u8] {
        self.body.as_ref()
    }
}

impl<B> fmt::Debug for MessagesBody<B> {
    /// Callers' content never reaches logs: of the body only counts are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagesBody")
            .field("messages", &self.index.messages.len())
            .field("max_tokens", &self.index.max_tokens)
            .field("stream", &self.index.stream)
            .finish_non_exhaustive()
    }
}

/// What one pass over a body found.
#[derive(Debug, Default)]
pub(in crate::transparent) struct Index {
    /// Every member of the body.
    pub(super) members: Vec<(Text, Value)>,
    pub(super) model: Option<String>,
    pub(super) stream: bool,
    pub(super) max_tokens: Option<u64>,
    pub(super) user_id: Option<String>,
    pub(super) tools: Section,
    pub(super) system: Section,
    pub(super) messages: Vec<Message>,
    pub(super) messages_size: Size,
    /// Of all but the last message.
    pub(super) messages_size_before_last: Size,
    /// Text of the first user turn.
    pub(super) first_words: Vec<Span>,
    /// Cache marks, in the order they were read.
    pub(super) marks: Vec<Mark>,
}

impl Index {
    /// A member by its name. Names are unique: [`read`] sees to it.
    pub(super) fn member(&self, text: &[u8], name: &str) -> Option<&(Text, Value)> {
        self.members.iter().find(|(key, _)| key.is(text, name))
    }

    /// What a cache can know of a prompt whose last mark covers `covers` of `part`: up to there, but not the newest turn.
    pub(super) fn prefix(&self, part: Part, covers: Size, life: CacheLife) -> CachedPrefix {
        let before_messages = self.tools.size.and(self.system.size);
        let before = match part {
            Part::Tools => Size::default(),
            Part::System => self.tools.size,
            Part::Messages => before_messages,
        };
        let known = before_messages.and(self.messages_size_before_last).tokens();
        CachedPrefix { tokens: before.and(covers).tokens().min(known), life }
    }

    /// Lists of blocks that hold thinking.
    pub(super) fn thinking_messages(&self) -> impl Iterator<Item = Span> {
        let thinking = self.messages.iter().filter(|message| message.traits.thinking || message.traits.unsigned);
        thinking.filter_map(|message| message.content).filter(|content| content.kind == Kind::Array).map(|content| content.span)
    }

    /// The model is to go on with tools that it has called.
    pub(super) fn ends_in_tool_loop(&self) -> bool {
        let mut newest = self.messages.iter().rev().take_while(|message| message.role != Role::Assistant);
        newest.any(|message| message.traits.tool_result)
    }
}

/// `tools` or `system`.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) size: Size,
    /// What identifies it from turn to turn: cache marks, which wander, are not among it.
    pub(super) opening: Vec<Span>,
    /// The last tool or block that may be marked, and what stands up to its end. Tools whose loading is deferred may not.
    pub(super) last: Option<(Span, Size)>,
    /// A text of it says nothing.
    pub(super) blank: bool,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) span: Span,
    pub(super) role: Role,
    /// Where the role is written.
    pub(super) role_value: Span,
    pub(super) content: Option<Value>,
    pub(super) traits: Traits,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
    System,
    /// A role newer than this list, or none.
    Other,
}

/// What rules ask of a message before they look into it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traits {
    /// A text says nothing, in the message or in a tool result of it; or the whole message does.
    pub(super) blank: bool,
    /// Thinking without a signature.
    pub(super) unsigned: bool,
    /// Thinking with a signature, or redacted.
    pub(super) thinking: bool,
    pub(super) tool_use: bool,
    pub(super) tool_result: bool,
    /// An image or document stands behind a web address.
    pub(super) link: bool,
    /// An id of a tool call that Claude refuses.
    pub(super) odd_id: bool,
}

impl Traits {
    pub(super) fn add(&mut self, other: Self) {
        self.blank |= other.blank;
        self.unsigned |= other.unsigned;
        self.thinking |= other.thinking;
        self.tool_use |= other.tool_use;
        self.tool_result |= other.tool_result;
        self.link |= other.link;
        self.odd_id |= other.odd_id;
    }
}

/// Parts of a prompt, in the order in which caches see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Tools,
    System,
    Messages,
}

/// A cache mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) part: Part,
    /// The tool or block that it stands on.
    pub(super) object: Span,
    /// Its value, an object.
    pub(super) value: Span,
    /// It asks for the lifetime of an hour.
    pub(super) long: bool,
    /// What it covers of its part of the prompt.
    pub(super) covers: Size,
}

/// Cache marks by the object that they stand on, or have moved to.
pub(super) type Marks = BTreeMap<Span, Mark>;

/// True for values that say nothing: JSON's `null`.
pub(super) fn is_null(value: Value) -> bool {
    value.kind == Kind::Null
}
