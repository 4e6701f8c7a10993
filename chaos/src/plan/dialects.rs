//! The same requests in the words of other dialects than chat.

use serde_json::{Map, Value, json};

use super::prompt::{Content, Message, Part};
use crate::scenario::{Dialect, KindPlan};

/// What is asked, whatever the dialect.
pub(super) struct Wish<'a> {
    pub(super) model: &'a str,
    pub(super) messages: &'a [Message<'a>],
    pub(super) max_tokens: u64,
    pub(super) stream: bool,
    pub(super) tools: u64,
    pub(super) cache_key: Option<String>,
}

/// A body as it grows.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl<'a> Wish<'a> {
    pub(super) fn of(kind: &KindPlan, model: &'a str, messages: &'a [Message<'a>], cache_key: Option<String>) -> Self {
        Self { model, messages, max_tokens: kind.max_tokens, stream: kind.stream, tools: kind.tools, cache_key }
    }

    /// The body; nothing for chat, which has types of its own.
    pub(super) fn body(&self, dialect: Dialect) -> Value {
        let mut body = match dialect {
            Dialect::Chat => Members::default(),
            Dialect::Messages => self.anthropic(),
            Dialect::Responses => self.responses(),
            Dialect::Converse => return Value::Object(self.bedrock().0),
        };
        body.set("model", self.model);
        if self.stream {
            body.set("stream", true);
        }
        Value::Object(body.0)
    }

    fn system(&self) -> Option<&str> {
        self.messages.iter().find(|message| message.role == "system").and_then(|message| match &message.content {
            Content::Text(text) => Some(text.as_ref()),
            Content::Parts(_) => None,
        })
    }

    fn said(&self) -> impl Iterator<Item = &Message<'a>> {
        self.messages.iter().filter(|message| message.role != "system")
    }

    fn tools(&self, tool: impl Fn(String, &str, Value) -> Value) -> Vec<Value> {
        let schema = || {
            let text = |about: &str| json!({"type": "string", "description": about});
            let properties = json!({"path": text("File of the survey"), "note": text("What to remember of it")});
            json!({"type": "object", "properties": properties, "required": ["path", "note"]})
        };
        (0..self.tools)
            .map(|number| tool(format!("tool_{number}"), "Looks at a file of the survey and leaves a note about it", schema()))
            .collect()
    }

    /// Anthropic's clients mark what is to be cached themselves: the instructions, and where they are now.
    fn anthropic(&self) -> Members {
        let marker = json!({"type": "ephemeral"});
        let mut messages: Vec<Value> = self
            .said()
            .map(|message| {
                let part = |part: &Part| match part {
                    Part::Text { text } => json!({"type": "text", "text": text}),
                    Part::ImageUrl { image_url } => {
                        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image_url.base64()}})
                    }
                };
                json!({"role": message.role, "content": parts(&message.content, part, |text| json!({"type": "text", "text": text}))})
            })
            .collect();
        let mut body = Members::default();
        body.set("max_tokens", self.max_tokens);
        if let Some(system) = self.system() {
            if let Some(last) = messages.last_mut().and_then(|last| last.pointer_mut("/content/0")).and_then(Value::as_object_mut) {
                last.insert("cache_control".to_owned(), marker.clone());
            }
            body.set("system", json!([{"type": "text", "text": system, "cache_control": marker}]));
        }
        body.set("messages", messages);
        if self.tools > 0 {
            body.set("tools", self.tools(|name, about, schema| json!({"name": name, "description": about, "input_schema": schema})));
        }
        body
    }

    fn responses(&self) -> Members {
        let input: Vec<Value> = self
            .said()
            .map(|message| {
                let content = match &message.content {
                    Content::Text(text) => json!(text),
                    Content::Parts(list) => list
                        .iter()
                        .map(|part| match part {
                            Part::Text { text } => json!({"type": "input_text", "text": text}),
                            Part::ImageUrl { image_url } => json!({"type": "input_image", "detail": "auto", "image_url": image_url.url}),
                        })
                        .collect(),
                };
                json!({"role": message.role, "content": content})
            })
            .collect();
        let mut body = Members::default();
        body.set("input", input);
        body.set("max_output_tokens", self.max_tokens);
        body.set("store", false);
        if let Some(system) = self.system() {
            body.set("instructions", system);
        }
        if let Some(key) = &self.cache_key {
            body.set("prompt_cache_key", key.as_str());
        }
        if self.tools > 0 {
            let tool = |name: String, about: &str, schema: Value| json!({"type": "function", "name": name, "description": about, "parameters": schema});
            body.set("tools", self.tools(tool));
        }
        body
    }

    fn bedrock(&self) -> Members {
        let messages: Vec<Value> = self
            .said()
            .map(|message| {
                let part = |part: &Part| match part {
                    Part::Text { text } => json!({"text": text}),
                    Part::ImageUrl { image_url } => json!({"image": {"format": "png", "source": {"bytes": image_url.base64()}}}),
                };
                json!({"role": message.role, "content": parts(&message.content, part, |text| json!({"text": text}))})
            })
            .collect();
        let mut body = Members::default();
        body.set("messages", messages);
        body.set("inferenceConfig", json!({"maxTokens": self.max_tokens}));
        if let Some(system) = self.system() {
            body.set("system", json!([{"text": system}, {"cachePoint": {"type": "default"}}]));
        }
        if self.tools > 0 {
            let tool = |name: String, about: &str, schema: Value| json!({"toolSpec": {"name": name, "description": about, "inputSchema": {"json": schema}}});
            body.set("toolConfig", json!({"tools": self.tools(tool)}));
        }
        body
    }
}

/// Content as a list of parts.
fn parts(content: &Content<'_>, part: impl Fn(&Part) -> Value, text: impl Fn(&str) -> Value) -> Vec<Value> {
    match content {
        Content::Text(whole) => vec![text(whole)],
        Content::Parts(list) => list.iter().map(part).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::plan::prompt::ImageUrl;

    #[test]
    fn every_dialect_says_the_same() {
        let text = |text: &'static str| Content::Text(Cow::Borrowed(text));
        let image = Part::ImageUrl { image_url: ImageUrl { url: "data:image/png;base64,AAAA".to_owned() } };
        let messages = [
            Message { role: "system", content: text("be kind") },
            Message { role: "user", content: Content::Parts(vec![image, Part::Text { text: "nonce".to_owned() }]) },
        ];
        let wish = Wish { model: "m", messages: &messages, max_tokens: 9, stream: true, tools: 2, cache_key: Some("talk-1".to_owned()) };
        for (dialect, wanted) in [
            (Dialect::Messages, ["/system/0/text", "/messages/0/content/1/text", "/tools/1/name", "/messages/0/content/0/source/data"]),
            (Dialect::Responses, ["/instructions", "/input/0/content/1/text", "/tools/1/name", "/prompt_cache_key"]),
            (
                Dialect::Converse,
                [
                    "/system/0/text",
                    "/messages/0/content/1/text",
                    "/toolConfig/tools/1/toolSpec/name",
                    "/messages/0/content/0/image/source/bytes",
                ],
            ),
        ] {
            let body = wish.body(dialect);
            let said: Vec<&str> = wanted.iter().map(|path| body.pointer(path).and_then(Value::as_str).unwrap_or_default()).collect();
            let last = if dialect == Dialect::Responses { "talk-1" } else { "AAAA" };
            assert_eq!(said, ["be kind", "nonce", "tool_1", last], "{body}");
            assert_eq!(body.get("stream").is_some(), dialect != Dialect::Converse);
        }
    }
}
