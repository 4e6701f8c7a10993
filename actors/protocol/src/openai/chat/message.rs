//! Messages and their parts, as clients send them.
//!
//! A part is one struct with every member optional, not a tagged enum: a tagged enum would buffer the part
//! (copying images) and lose the path of an error. Which members belong together is the translator's rule.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use crate::openai::loose::{LooseText, TextOr, TextOrList};

/// Content of a message: text, or parts.
pub type MessageContent = TextOrList<ContentPart>;

/// A media reference: a bare URL, or an object that holds it.
pub type MediaReference = TextOr<MediaObject>;

/// One message of any role.
#[derive(Clone, Deserialize)]
pub struct ChatMessage {
    /// `developer`, `system`, `user`, `assistant`, `tool` or `function`.
    #[serde(default)]
    pub role: Option<String>,
    /// What is said.
    #[serde(default)]
    pub content: Option<MessageContent>,
    /// Participant; function name for role `function`.
    #[serde(default)]
    pub name: Option<String>,
    /// Assistant: the refusal it gave.
    #[serde(default)]
    pub refusal: Option<String>,
    /// Assistant: tools it called.
    #[serde(default)]
    pub tool_calls: Option<Vec<ToolCallIn>>,
    /// Tool: the call it answers.
    #[serde(default)]
    pub tool_call_id: Option<String>,
    /// Tool: the call failed (not OpenAI's; Anthropic's word).
    #[serde(default)]
    pub is_error: Option<bool>,
    /// Assistant: the legacy single call.
    #[serde(default)]
    pub function_call: Option<FunctionCallIn>,
    /// Assistant: audio it answered with.
    #[serde(default)]
    pub audio: Option<AudioReference>,
    /// Assistant: its reasoning as readable text.
    #[serde(default)]
    pub reasoning_content: Option<String>,
    /// As `reasoning_content`, OpenRouter's name.
    #[serde(default)]
    pub reasoning: Option<String>,
    /// Assistant: its reasoning with signatures, OpenRouter's form; we write this form ourselves.
    #[serde(default)]
    pub reasoning_details: Option<Vec<ReasoningDetailIn>>,
    /// Assistant: its reasoning with signatures, LiteLLM's form.
    #[serde(default)]
    pub thinking_blocks: Option<Vec<ThinkingBlock>>,
    /// Cache mark after the whole message.
    #[serde(default)]
    pub cache_control: Option<CacheControl>,
    /// As `cache_control`, OpenAI's form.
    #[serde(default)]
    pub prompt_cache_breakpoint: Option<CacheControl>,
    /// Members we do not know, by name.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, IgnoredAny>,
}

/// One part of a message's content.
#[derive(Clone, Default, Deserialize)]
pub struct ContentPart {
    /// `text`, `image_url`, `input_audio`, `file`, `refusal`, and the Responses and other names.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Text.
    #[serde(default)]
    pub text: Option<String>,
    /// A refusal.
    #[serde(default)]
    pub refusal: Option<String>,
    /// An image.
    #[serde(default)]
    pub image_url: Option<MediaReference>,
    /// A video.
    #[serde(default)]
    pub video_url: Option<MediaReference>,
    /// An audio clip by address.
    #[serde(default)]
    pub audio_url: Option<MediaReference>,
    /// An audio clip.
    #[serde(default)]
    pub input_audio: Option<InputAudio>,
    /// A file.
    #[serde(default)]
    pub file: Option<FilePart>,
    /// The file's members again: Responses clients write them flat (`input_file`, `input_image`).
    #[serde(default)]
    pub file_data: Option<String>,
    /// See `file_data`.
    #[serde(default)]
    pub file_id: Option<String>,
    /// See `file_data`.
    #[serde(default)]
    pub file_url: Option<String>,
    /// See `file_data`.
    #[serde(default)]
    pub filename: Option<String>,
    /// How closely to look at an image or a file: Responses clients write it beside the file's members.
    #[serde(default)]
    pub detail: Option<String>,
    /// Reasoning kept among the parts (`thinking`).
    #[serde(default)]
    pub thinking: Option<String>,
    /// Its signature.
    #[serde(default)]
    pub signature: Option<String>,
    /// Encrypted reasoning kept among the parts (`redacted_thinking`).
    #[serde(default)]
    pub data: Option<String>,
    /// What guarded text is to the guardrail (`guarded_text`).
    #[serde(default)]
    pub qualifiers: Option<Vec<String>>,
    /// Cache mark after this part.
    #[serde(default)]
    pub cache_control: Option<CacheControl>,
    /// As `cache_control`, OpenAI's form.
    #[serde(default)]
    pub prompt_cache_breakpoint: Option<CacheControl>,
}

/// Where a medium is.
#[derive(Clone, Deserialize)]
pub struct MediaObject {
    /// `data:`, `http(s):` or `s3:`.
    #[serde(default)]
    pub url: Option<String>,
    /// `auto`, `low`, `high`, `original`.
    #[serde(default)]
    pub detail: Option<String>,
    /// Account that owns the bucket of an `s3:` address (Bedrock's member, twelve digits).
    #[serde(default)]
    pub bucket_owner: Option<String>,
}

/// An audio clip.
#[derive(Clone, Deserialize)]
pub struct InputAudio {
    /// Base64.
    pub data: String,
    /// `wav` or `mp3`.
    #[serde(default)]
    pub format: Option<String>,
}

/// A file.
#[derive(Clone, Default, Deserialize)]
pub struct FilePart {
    /// A data URL, plain base64, or (OpenRouter) a web address.
    #[serde(default)]
    pub file_data: Option<String>,
    /// Id of an uploaded file.
    #[serde(default)]
    pub file_id: Option<String>,
    /// A web or `s3:` address.
    #[serde(default)]
    pub file_url: Option<String>,
    /// Its name.
    #[serde(default)]
    pub filename: Option<String>,
}

/// A cache mark: Anthropic's `{type: ephemeral, ttl}` or OpenAI's `{mode: explicit, ttl}`.
#[derive(Clone, Deserialize)]
pub struct CacheControl {
    /// `ephemeral`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// `explicit`.
    #[serde(default)]
    pub mode: Option<String>,
    /// `5m`, `30m`, `1h`, `12h`.
    #[serde(default)]
    pub ttl: Option<String>,
}

/// A tool call in history.
#[derive(Clone, Deserialize)]
pub struct ToolCallIn {
    /// Id the tool message refers to.
    #[serde(default)]
    pub id: Option<String>,
    /// `function` or `custom`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Function call.
    #[serde(default)]
    pub function: Option<FunctionCallIn>,
    /// Custom call.
    #[serde(default)]
    pub custom: Option<CustomCallIn>,
}

/// Name and arguments of a function call.
#[derive(Clone, Deserialize)]
pub struct FunctionCallIn {
    /// Function.
    #[serde(default)]
    pub name: Option<String>,
    /// A string of JSON; an object with some clients.
    #[serde(default)]
    pub arguments: Option<LooseText>,
}

/// Name and text of a custom call.
#[derive(Clone, Deserialize)]
pub struct CustomCallIn {
    /// Tool.
    #[serde(default)]
    pub name: Option<String>,
    /// Free text.
    #[serde(default)]
    pub input: Option<String>,
}

/// Audio of an earlier answer.
#[derive(Clone, Deserialize)]
pub struct AudioReference {
    /// Its id.
    #[serde(default)]
    pub id: Option<String>,
}

/// A piece of reasoning in OpenRouter's form: `reasoning.text`, `reasoning.encrypted`, `reasoning.summary`.
#[derive(Clone, Deserialize)]
pub struct ReasoningDetailIn {
    /// Which form.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// `reasoning.text`: the text.
    #[serde(default)]
    pub text: Option<String>,
    /// `reasoning.text`: its signature.
    #[serde(default)]
    pub signature: Option<String>,
    /// `reasoning.encrypted`: base64.
    #[serde(default)]
    pub data: Option<String>,
    /// `reasoning.summary`: the text.
    #[serde(default)]
    pub summary: Option<String>,
    /// Block it belongs to: streamed pieces of one block share it.
    #[serde(default)]
    pub index: Option<i64>,
}

/// A piece of reasoning in Anthropic's form: `thinking`, `redacted_thinking`.
#[derive(Clone, Deserialize)]
pub struct ThinkingBlock {
    /// Which form.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// `thinking`: the text.
    #[serde(default)]
    pub thinking: Option<String>,
    /// `thinking`: its signature.
    #[serde(default)]
    pub signature: Option<String>,
    /// `redacted_thinking`: base64.
    #[serde(default)]
    pub data: Option<String>,
}
