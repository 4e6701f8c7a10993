//! The same requests in the words of other dialects than chat.

use serde_json::{Value, json};

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

impl<'a> Wish<'a> {
    pub(super) fn of(kind: &KindPlan, model: &'a str, messages: &'a [Message<'a>], cache_key: Option<String>) -> Self {
        Self { model, messages, max_tokens: kind.max_tokens, stream: kind.stream, tools: kind.tools, cache_key }
    }

    /// The body; nothing for chat, which has types of its own.
    pub(super) fn body(&self, dialect: Dialect) -> Value {
        let mut body = match dialect {
            Dialect::Chat => json!({}),
            Dialect::Messages => self.anthropic(),
            Dialect::Responses => self.responses(),
            Dialect::Converse => return self.bedrock(),
        };
        if let Some(members) = body.as_object_mut() {
            members.insert("model".to_owned(), self.model.into());
            if self.stream {
                members.insert("stream".to_owned(), true.into());
            }
        }
        body
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
    fn anthropic(&self) -> Value {
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
        let mut body = json!({"max_tokens": self.max_tokens});
        if let Some(system) = self.system() {
            if let Some(last) = messages.last_mut().and_then(|last| last.pointer_mut("/content/0")) {
                last["cache_control"] = marker.clone();
            }
            body["system"] = json!([{"type": "text", "text": system, "cache_control": marker}]);
        }
        body["messages"] = messages.into();
        if self.tools > 0 {
            body["tools"] = self.tools(|name, about, schema| json!({"name": name, "description": about, "input_schema": schema})).into();
        }
        body
    }

    fn responses(&self) -> Value {
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
        let mut body = json!({"input": input, "max_output_tokens": self.max_tokens, "store": false});
        if let Some(system) = self.system() {
            body["instructions"] = system.into();
        }
        if let Some(key) = &self.cache_key {
            body["prompt_cache_key"] = key.as_str().into();
        }
        if self.tools > 0 {
            let tool = |name: String, about: &str, schema: Value| json!({"type": "function", "name": name, "description": about, "parameters": schema});
            body["tools"] = self.tools(tool).into();
        }
        body
    }

    fn bedrock(&self) -> Value {
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
        let mut body = json!({"messages": messages, "inferenceConfig": {"maxTokens": self.max_tokens}});
        if let Some(system) = self.system() {
            body["system"] = json!([{"text": system}, {"cachePoint": {"type": "default"}}]);
        }
        if self.tools > 0 {
            let tool = |name: String, about: &str, schema: Value| json!({"toolSpec": {"name": name, "description": about, "inputSchema": {"json": schema}}});
            body["toolConfig"] = json!({"tools": self.tools(tool)});
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
