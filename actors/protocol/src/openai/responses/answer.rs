//! Answers of the endpoints around responses: lists of items, counts, compactions, conversations, deletions.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::ResponseUsage;

/// A page of items: `input_items` of a response, items of a conversation. Source: `ResponseItemList`.
#[derive(Debug, Clone, Serialize)]
pub struct ItemList<'a> {
    /// `list`.
    pub object: &'static str,
    /// The items as they are stored.
    pub data: Vec<&'a RawValue>,
    /// Id of the first; empty when there is none.
    pub first_id: &'a str,
    /// Id of the last; empty when there is none.
    pub last_id: &'a str,
    /// There are more after these.
    pub has_more: bool,
}

/// Answer of `input_tokens`. Source: `TokenCountsResource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InputTokens {
    /// `response.input_tokens`.
    pub object: &'static str,
    /// Tokens.
    pub input_tokens: u64,
}

impl InputTokens {
    /// So many tokens.
    #[must_use]
    pub fn new(input_tokens: u64) -> Self {
        Self { object: "response.input_tokens", input_tokens }
    }
}

/// Answer of `compact`. Source: `CompactResource`.
#[derive(Debug, Clone, Serialize)]
pub struct Compaction<'a> {
    /// `resp_...`.
    pub id: &'a str,
    /// `response.compaction`.
    pub object: &'static str,
    /// Unix seconds.
    pub created_at: u64,
    /// What stands for the conversation from now on.
    pub output: Vec<&'a RawValue>,
    /// Tokens that making it took.
    pub usage: ResponseUsage,
}

/// A conversation. Source: `ConversationResource`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation<'a> {
    /// `conv_...`.
    pub id: Cow<'a, str>,
    /// `conversation`.
    pub object: Cow<'a, str>,
    /// Unix seconds.
    pub created_at: u64,
    /// Labels.
    pub metadata: Cow<'a, BTreeMap<String, String>>,
}

/// Body of `POST /v1/conversations`, and of a change of one. Source: `CreateConversationBody`, `UpdateConversationBody`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConversationBody {
    /// Labels. Published as text to text; clients send more. `Some(None)` is a null: in a change it takes them away.
    #[serde(deserialize_with = "given")]
    pub metadata: Option<Option<serde_json::Map<String, serde_json::Value>>>,
    /// Items to begin with, or to add.
    pub items: Option<Vec<Box<RawValue>>>,
    /// Everything else. With it, a body is an object: without, the values of an array would be taken for its members.
    #[serde(flatten)]
    pub rest: IgnoredAny,
}

/// A member that is there, be it null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(member: D) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}

/// A conversation that is gone. Source: `DeletedConversationResource`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConversationDeleted<'a> {
    /// `conv_...`.
    pub id: &'a str,
    /// `conversation.deleted`.
    pub object: &'static str,
    /// True.
    pub deleted: bool,
}

impl<'a> ConversationDeleted<'a> {
    /// That `id` is gone.
    #[must_use]
    pub fn new(id: &'a str) -> Self {
        Self { id, object: "conversation.deleted", deleted: true }
    }
}

/// A response that is gone. The official clients read no body; OpenAI sends this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResponseDeleted<'a> {
    /// `resp_...`.
    pub id: &'a str,
    /// `response`.
    pub object: &'static str,
    /// True.
    pub deleted: bool,
}

impl<'a> ResponseDeleted<'a> {
    /// That `id` is gone.
    #[must_use]
    pub fn new(id: &'a str) -> Self {
        Self { id, object: "response", deleted: true }
    }
}

/// A message as it is listed. Source: `InputMessageResource`, `Message`.
#[derive(Debug, Clone, Serialize)]
pub struct InputMessage<'a> {
    /// `msg_...`.
    pub id: &'a str,
    /// `message`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `completed`.
    pub status: &'static str,
    /// `user`.
    pub role: &'static str,
    /// The text.
    pub content: [InputTextPart<'a>; 1],
}

/// Text of a message.
#[derive(Debug, Clone, Serialize)]
pub struct InputTextPart<'a> {
    /// `input_text`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The text.
    pub text: &'a str,
}
