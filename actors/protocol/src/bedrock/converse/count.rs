//! CountTokens.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Message, SystemBlock, ToolConfig};

/// Body of CountTokens.
#[derive(Clone, Serialize)]
pub struct CountTokensRequest<'a> {
    /// What to count.
    pub input: CountTokensInput<'a>,
}

/// What to count.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CountTokensInput<'a> {
    /// A Converse request.
    Converse(CountableConverse<'a>),
}

/// The parts of a Converse request that count.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountableConverse<'a> {
    /// Tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig<'a>>,
    /// Instructions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<SystemBlock<'a>>,
    /// Members of the model's own body.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub additional_model_request_fields: Map<String, Value>,
    /// The conversation.
    pub messages: Vec<Message<'a>>,
}

/// Answer of CountTokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountTokensResponse {
    /// Tokens of the input.
    pub input_tokens: u64,
}
