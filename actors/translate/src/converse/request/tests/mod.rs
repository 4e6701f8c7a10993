//! Tests of the Converse writer, by theme. Hub values are built here; what was written is read back as plain JSON.

mod answers;
mod cached;
mod checker;
mod conversation;
mod families;
mod files;
mod found;
mod presets;
mod properties;
mod settings;
mod thinking;
mod tooling;

use outcrop_domain::{
    chat::{ChatRequest, Content, Message, Reasoning, Role, SystemBlock, Tool, ToolOrigin, ToolResultPart, ToolResultStatus},
    error::GatewayError,
    json::JsonText,
    model::ChatCapabilities,
};
use serde_json::Value;

use super::{ConverseBody, EffortBudgets, Mode, WriteOptions, write};

fn options() -> WriteOptions {
    WriteOptions { model: "test-model".to_owned(), mode: Mode::Whole, max_output_tokens: Some(64_000), budgets: EffortBudgets::default() }
}

/// What was written.
struct Written {
    json: Value,
    body: ConverseBody,
}

impl Written {
    fn adjusted(&self) -> String {
        self.body.adjustments.to_string()
    }

    fn messages(&self) -> &Vec<Value> {
        self.json["messages"].as_array().unwrap()
    }

    fn fields(&self) -> &Value {
        &self.json["additionalModelRequestFields"]
    }
}

fn written(request: &ChatRequest, model: &ChatCapabilities) -> Written {
    written_with(request, model, &options())
}

fn written_with(request: &ChatRequest, model: &ChatCapabilities, options: &WriteOptions) -> Written {
    let body = write(request, model, options).unwrap();
    Written { json: serde_json::from_slice(&body.bytes).unwrap(), body }
}

/// Message and field of a refusal.
fn refused(request: &ChatRequest, model: &ChatCapabilities) -> (String, String) {
    match write(request, model, &options()).unwrap_err() {
        GatewayError::InvalidRequest { message, param, .. } => (message, param.unwrap()),
        other => panic!("not a bad request: {other:?}"),
    }
}

fn json(text: &str) -> JsonText {
    JsonText::parse(text.to_owned()).unwrap()
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn user(says: &str) -> Message {
    Message { role: Role::User, content: vec![text(says)] }
}

fn users(content: Vec<Content>) -> Message {
    Message { role: Role::User, content }
}

fn assistant(content: Vec<Content>) -> Message {
    Message { role: Role::Assistant, content }
}

fn system(says: &str) -> Message {
    Message { role: Role::System, content: vec![text(says)] }
}

fn call(id: &str, name: &str) -> Content {
    Content::ToolUse { id: id.to_owned(), name: name.to_owned(), input: json(r#"{"a":1}"#), origin: ToolOrigin::Client }
}

fn result(id: &str, says: &str) -> Content {
    let parts = vec![ToolResultPart::Text(says.to_owned())];
    Content::ToolResult { id: id.to_owned(), parts, status: ToolResultStatus::Unstated }
}

fn signed(says: &str) -> Content {
    Content::Reasoning(Reasoning::Text { text: says.to_owned(), signature: Some("c2ln".to_owned()) })
}

fn unsigned(says: &str) -> Content {
    Content::Reasoning(Reasoning::Text { text: says.to_owned(), signature: None })
}

fn tool(name: &str) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: Some(format!("Does {name}.")),
        schema: json(r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#),
        strict: None,
    }
}

fn asking(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { messages, ..ChatRequest::default() }
}

fn with_tools(messages: Vec<Message>, tools: Vec<Tool>) -> ChatRequest {
    ChatRequest { messages, tools, ..ChatRequest::default() }
}

fn instructed(mut request: ChatRequest, says: &str) -> ChatRequest {
    request.system.push(SystemBlock::Text(says.to_owned()));
    request
}
