//! The messages of a chat body.

use serde_json::{Map, Value};

use super::shapes::{Block, Bytes, Message, SystemText};
use super::{Refusal, malformed, member, wrong};

/// What was said so far, in Converse's terms.
#[derive(Default)]
pub(super) struct Told {
    pub(super) messages: Vec<Message>,
    pub(super) system: Vec<SystemText>,
    /// Names of the tools that were called.
    pub(super) used: Vec<String>,
}

/// Reads `messages`.
pub(super) fn read(body: &Map<String, Value>) -> Result<Told, Refusal> {
    let list = match member(body, "messages") {
        None => return Err(malformed("#: required key [messages] not found")),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong("#/messages", "JSONArray", other)),
    };
    if list.is_empty() {
        return Err(malformed("#/messages: expected minimum item count: 1, found: 0"));
    }
    let mut told = Told::default();
    for (index, message) in list.iter().enumerate() {
        let at = format!("#/messages/{index}");
        let Value::Object(message) = message else { return Err(wrong(&at, "JSONObject", message)) };
        told.message(message, &at)?;
    }
    Ok(told)
}

impl Told {
    fn message(&mut self, message: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
        let content = member(message, "content");
        match message.get("role").and_then(Value::as_str) {
            Some("system" | "developer") => {
                let texts = texts(content, at)?.into_iter().filter(|text| !text.trim().is_empty());
                self.system.extend(texts.map(|text| SystemText { text }));
            }
            Some("user") => {
                let blocks = parts(content, at)?;
                self.say("user", blocks);
            }
            Some("assistant") => {
                let mut blocks = Vec::new();
                if let Some(text) = member(message, "reasoning_content").and_then(Value::as_str) {
                    blocks.push(Block::ReasoningContent { reasoning_text: SystemText { text: text.to_owned() } });
                }
                blocks.extend(texts(content, at)?.into_iter().filter(|text| !text.trim().is_empty()).map(Block::Text));
                blocks.extend(self.calls(message, at)?);
                self.say("assistant", blocks);
            }
            Some("tool") => {
                let Some(id) = message.get("tool_call_id").and_then(Value::as_str) else {
                    return Err(malformed(&format!("{at}: required key [tool_call_id] not found")));
                };
                let texts = texts(content, at)?.into_iter().filter(|text| !text.trim().is_empty());
                let content = texts.map(|text| SystemText { text }).collect();
                self.say("user", vec![Block::ToolResult { tool_use_id: id.to_owned(), content }]);
            }
            _ => return Err(malformed(&format!("{at}/role: the value is not one of system, developer, user, assistant, tool"))),
        }
        Ok(())
    }

    /// Adds to the turn of this role, or begins one. Who says nothing has no turn.
    fn say(&mut self, role: &'static str, blocks: Vec<Block>) {
        if blocks.is_empty() {
            return;
        }
        match self.messages.last_mut().filter(|last| last.role == role) {
            Some(last) => last.content.extend(blocks),
            None => self.messages.push(Message { role, content: blocks }),
        }
    }

    fn calls(&mut self, message: &Map<String, Value>, at: &str) -> Result<Vec<Block>, Refusal> {
        let calls = match member(message, "tool_calls") {
            None => return Ok(Vec::new()),
            Some(Value::Array(calls)) => calls,
            Some(other) => return Err(wrong(&format!("{at}/tool_calls"), "JSONArray", other)),
        };
        let mut blocks = Vec::with_capacity(calls.len());
        for (index, call) in calls.iter().enumerate() {
            let at = format!("{at}/tool_calls/{index}");
            let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str);
            let (Some(id), Some(name)) = (text("/id"), text("/function/name")) else {
                return Err(malformed(&format!("{at}: required keys [id, function] not found")));
            };
            let arguments = text("/function/arguments").filter(|arguments| !arguments.is_empty()).unwrap_or("{}");
            let input: Value = serde_json::from_str(arguments)
                .ok()
                .filter(Value::is_object)
                .ok_or_else(|| malformed(&format!("{at}/function/arguments: the value is not the JSON text of an object")))?;
            self.used.push(name.to_owned());
            blocks.push(Block::ToolUse { tool_use_id: id.to_owned(), name: name.to_owned(), input });
        }
        Ok(blocks)
    }
}

/// The texts of a content that can be nothing else.
fn texts(content: Option<&Value>, at: &str) -> Result<Vec<String>, Refusal> {
    let blocks = parts(content, at)?;
    let text = |block| match block {
        Block::Text(text) => Ok(text),
        _ => Err(malformed(&format!("{at}/content: only text parts are permitted here"))),
    };
    blocks.into_iter().map(text).collect()
}

/// Texts and images; texts that say nothing are left out.
fn parts(content: Option<&Value>, at: &str) -> Result<Vec<Block>, Refusal> {
    let spoken = |text: &str| (!text.trim().is_empty()).then(|| Block::Text(text.to_owned()));
    let list = match content {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => return Ok(spoken(text).into_iter().collect()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong(&format!("{at}/content"), "JSONArray", other)),
    };
    let mut blocks = Vec::with_capacity(list.len());
    for (index, part) in list.iter().enumerate() {
        let at = format!("{at}/content/{index}");
        match part.get("type").and_then(Value::as_str) {
            Some("text") => match part.get("text") {
                Some(Value::String(text)) => blocks.extend(spoken(text)),
                _ => return Err(malformed(&format!("{at}: required key [text] not found"))),
            },
            Some("image_url") => blocks.push(image(part, &at)?),
            _ => return Err(malformed(&format!("{at}/type: the value is not one of text, image_url"))),
        }
    }
    Ok(blocks)
}

/// An image by a data URL: Bedrock fetches nothing.
fn image(part: &Value, at: &str) -> Result<Block, Refusal> {
    let url = part.pointer("/image_url/url").and_then(Value::as_str).unwrap_or_default();
    let data = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    let Some((format, bytes)) = data else {
        return Err(malformed(&format!("{at}/image_url/url: only base64 data URLs of images are permitted")));
    };
    Ok(Block::Image { format: format.to_owned(), source: Bytes { bytes: bytes.to_owned() } })
}
