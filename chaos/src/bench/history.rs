//! An agent's history in every dialect: turns, each with a tool call and what the tool found, and 40 tools. 200 turns are two megabytes.

use serde_json::{Value, json};

/// Turns of a long history.
pub const LONG: usize = 200;

/// Turns of a request as a coding agent sends it all day: a tenth of a megabyte, most of it tools and files.
pub(super) const SHORT: usize = 6;

/// Tools that are offered.
const TOOLS: usize = 40;

/// Bytes that a tool finds each turn: with the rest they make the two megabytes.
const FOUND: usize = 9_600;

/// What the operator says.
const SYSTEM: &str = "You are an agent that reads and changes files. Think before you act, and say what you did.";

/// One turn: what the user wants, what is said before the call, the argument of the call, and what the tool found.
struct Turn {
    id: String,
    wish: String,
    remark: String,
    path: String,
    found: String,
}

fn turns(count: usize) -> impl Iterator<Item = Turn> {
    (0..count).map(|turn| {
        // Source text, as agents read it: quotes, line ends and a letter beyond ASCII make the decoder work.
        let line = format!("    let \"value_{turn}\" = compute(input, {turn}); // größer\n\t");
        Turn {
            id: format!("call_{turn:024}"),
            wish: format!("Please look into part {turn} and tell me what it does."),
            remark: format!("I read the file of part {turn} first."),
            path: format!("src/part_{turn}/mod.rs"),
            found: line.repeat(FOUND / line.len()),
        }
    })
}

fn schema() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    json!({
        "type": "object",
        "properties": {
            "path": text("Where the file is, from the root of the repository"),
            "from": {"type": "integer", "minimum": 1, "description": "The first line that is wanted"},
            "until": {"type": "integer", "minimum": 1, "description": "The last line that is wanted"},
            "kinds": {"type": "array", "items": {"enum": ["text", "binary", "link"]}, "description": "What kinds of files are wanted"},
        },
        "required": ["path"],
    })
}

fn tools(tool: impl Fn(&str, &str, Value) -> Value) -> Vec<Value> {
    let about = "Reads a file of the repository and returns its lines with their numbers. ".repeat(6);
    (0..TOOLS).map(|index| tool(&format!("read_file_{index}"), &about, schema())).collect()
}

/// As a chat client sends it, without the model.
#[must_use]
pub fn chat(count: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": SYSTEM})];
    for turn in turns(count) {
        let call = json!({"name": "read_file_0", "arguments": json!({"path": turn.path}).to_string()});
        messages.push(json!({"role": "user", "content": turn.wish}));
        messages.push(
            json!({"role": "assistant", "content": turn.remark, "tool_calls": [{"id": turn.id, "type": "function", "function": call}]}),
        );
        messages.push(json!({"role": "tool", "tool_call_id": turn.id, "content": turn.found}));
    }
    let tool = |name: &str, about: &str, schema: Value| json!({"type": "function", "function": {"name": name, "description": about, "parameters": schema}});
    json!({"messages": messages, "tools": tools(tool)})
}

/// As Anthropic's client sends it, without the model.
#[must_use]
pub fn messages(count: usize) -> Value {
    let mut messages = Vec::new();
    let mut result = None;
    for turn in turns(count) {
        let content: Vec<Value> = result.into_iter().chain([json!({"type": "text", "text": turn.wish})]).collect();
        let call = json!({"type": "tool_use", "id": turn.id, "name": "read_file_0", "input": {"path": turn.path}});
        messages.push(json!({"role": "user", "content": content}));
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": turn.remark}, call]}));
        result = Some(json!({"type": "tool_result", "tool_use_id": turn.id, "content": turn.found}));
    }
    messages.push(json!({"role": "user", "content": result.into_iter().collect::<Vec<_>>()}));
    let tool = |name: &str, about: &str, schema: Value| json!({"name": name, "description": about, "input_schema": schema});
    json!({"max_tokens": 4000, "system": SYSTEM, "messages": messages, "tools": tools(tool)})
}

/// As AWS's client sends it to a Claude by InvokeModel.
#[must_use]
pub fn invoke(count: usize) -> Value {
    let mut body = messages(count);
    if let Some(members) = body.as_object_mut() {
        members.insert("anthropic_version".to_owned(), "bedrock-2023-05-31".into());
    }
    body
}

/// As AWS's client sends it to Converse.
#[must_use]
pub fn converse(count: usize) -> Value {
    let mut messages = Vec::new();
    let mut result = None;
    for turn in turns(count) {
        let content: Vec<Value> = result.into_iter().chain([json!({"text": turn.wish})]).collect();
        let call = json!({"toolUse": {"toolUseId": turn.id, "name": "read_file_0", "input": {"path": turn.path}}});
        messages.push(json!({"role": "user", "content": content}));
        messages.push(json!({"role": "assistant", "content": [{"text": turn.remark}, call]}));
        result = Some(json!({"toolResult": {"toolUseId": turn.id, "content": [{"text": turn.found}]}}));
    }
    messages.push(json!({"role": "user", "content": result.into_iter().collect::<Vec<_>>()}));
    let tool =
        |name: &str, about: &str, schema: Value| json!({"toolSpec": {"name": name, "description": about, "inputSchema": {"json": schema}}});
    json!({"system": [{"text": SYSTEM}], "messages": messages, "toolConfig": {"tools": tools(tool)}})
}

/// As a client of the Responses API sends it, without the model.
#[must_use]
pub fn responses(count: usize) -> Value {
    let mut input = Vec::new();
    for turn in turns(count) {
        input.push(json!({"role": "user", "content": turn.wish}));
        input.push(json!({"role": "assistant", "content": turn.remark}));
        let arguments = json!({"path": turn.path}).to_string();
        input.push(json!({"type": "function_call", "call_id": turn.id, "name": "read_file_0", "arguments": arguments}));
        input.push(json!({"type": "function_call_output", "call_id": turn.id, "output": turn.found}));
    }
    let tool =
        |name: &str, about: &str, schema: Value| json!({"type": "function", "name": name, "description": about, "parameters": schema});
    json!({"instructions": SYSTEM, "input": input, "store": false, "tools": tools(tool)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_two_megabytes_forty_tools_and_two_hundred_calls() {
        let tool_lists = [
            (chat(LONG), "/tools"),
            (messages(LONG), "/tools"),
            (invoke(LONG), "/tools"),
            (converse(LONG), "/toolConfig/tools"),
            (responses(LONG), "/tools"),
        ];
        for (body, tools) in tool_lists {
            assert_eq!(body.pointer(tools).unwrap().as_array().unwrap().len(), TOOLS);
            let text = body.to_string();
            assert!((1_900_000..2_300_000).contains(&text.len()), "{}", text.len());
            let calls = text.matches("\"call_00000").count();
            assert_eq!(calls, 2 * LONG, "each call and its result have the id");
        }
    }
}
