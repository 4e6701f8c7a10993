//! Shape of the answer: native, by a tool, by asking.

use outcrop_domain::{
    chat::{ChatRequest, Guardrail, ReasoningMode, ReasoningRequest, ResponseFormat, ToolChoice},
    model::{ChatCapabilities, Structured},
};
use serde_json::{Value, json};

use super::{asking, assistant, json as json_text, options, presets, text, tool, user, with_tools, written, written_with};
use crate::converse::{Mode, WriteOptions, context::FormatTool};

fn schema(text: &str) -> ResponseFormat {
    ResponseFormat::JsonSchema { name: "report".to_owned(), description: None, schema: json_text(text), strict: None }
}

fn wanting(format: ResponseFormat) -> ChatRequest {
    ChatRequest { format, ..asking(vec![user("Report.")]) }
}

const OBJECT: &str = r#"{"type":"object","properties":{"why":{"type":"string"},"n":{"type":"integer"}}}"#;

#[test]
fn pain_35_native_models_get_the_schema_as_a_closed_string_in_its_own_order() {
    let written = written(&wanting(schema(OBJECT)), &presets::claude_budget());
    assert_eq!(
        written.json["outputConfig"],
        json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
            "name": "report",
            "schema": r#"{"type":"object","properties":{"why":{"type":"string"},"n":{"type":"integer"}},"additionalProperties":false}"#,
        }}}})
    );
    assert_eq!(written.json["toolConfig"], Value::Null);
    assert_eq!(written.adjusted(), "response_format.schema=closed");
}

#[test]
fn pain_35_other_models_answer_by_a_tool_that_is_forced() {
    let forced = written(&wanting(schema(OBJECT)), &presets::nova());
    assert_eq!(forced.json["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"], serde_json::from_str::<Value>(OBJECT).unwrap());
    assert_eq!(forced.json["toolConfig"]["toolChoice"], json!({"tool": {"name": "json_output"}}));
    assert_eq!(forced.json["system"], Value::Null);
    assert_eq!(forced.body.reply.format_tool, Some(FormatTool { name: "json_output".to_owned(), wrapped: false }));
    assert_eq!(forced.adjusted(), "");
    assert_eq!(written(&wanting(schema(OBJECT)), &presets::gpt_oss()).json["toolConfig"]["toolChoice"], json!({"any": {}}));
}

#[test]
fn pain_35_where_forcing_is_impossible_an_instruction_goes_along() {
    let unforced = written(&wanting(schema(OBJECT)), &presets::llama());
    assert_eq!(unforced.json["toolConfig"]["toolChoice"], Value::Null);
    assert_eq!(
        unforced.json["system"],
        json!([{"text": "Give your final answer by calling the tool `json_output`; do not give it as plain text."}])
    );
    let model = ChatCapabilities { structured: Structured::ForcedTool, ..presets::claude_budget() };
    let reasoning = ReasoningRequest { mode: ReasoningMode::On, ..ReasoningRequest::default() };
    let thinking = written(&ChatRequest { reasoning, ..wanting(schema(OBJECT)) }, &model);
    assert_eq!(thinking.json["toolConfig"]["toolChoice"], Value::Null);
    assert_eq!(thinking.fields()["thinking"]["type"], "enabled");
    assert_eq!(thinking.json["system"].as_array().unwrap().len(), 1);
}

#[test]
fn beside_other_tools_some_tool_must_be_called() {
    let request = ChatRequest { format: schema(OBJECT), ..with_tools(vec![user("a")], vec![tool("f")]) };
    let any = written(&request, &presets::nova());
    assert_eq!(any.json["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(any.json["toolConfig"]["tools"].as_array().unwrap().len(), 2);
    let named = written(&ChatRequest { tool_choice: ToolChoice::Named("f".to_owned()), ..request.clone() }, &presets::nova());
    assert_eq!(named.json["toolConfig"]["toolChoice"], json!({"tool": {"name": "f"}}));
    let none = written(&ChatRequest { tool_choice: ToolChoice::None, ..request }, &presets::nova());
    assert_eq!(none.json["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(none.json["toolConfig"]["toolChoice"], json!({"tool": {"name": "json_output"}}));
}

#[test]
fn the_answer_tool_never_takes_a_clients_name() {
    let request = ChatRequest { format: schema(OBJECT), ..with_tools(vec![user("a")], vec![tool("json_output")]) };
    let written = written(&request, &presets::nova());
    let name = written.body.reply.format_tool.unwrap().name;
    assert_ne!(name, "json_output");
    assert_eq!(written.json["toolConfig"]["tools"][1]["toolSpec"]["name"], name.as_str());
}

#[test]
fn a_schema_that_is_no_object_is_wrapped_for_the_tool_and_unwrapped_by_the_reader() {
    let written = written(&wanting(schema(r#"{"type":"array","items":{}}"#)), &presets::nova());
    assert!(written.json["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["properties"]["answer"].is_object());
    assert!(written.body.reply.format_tool.unwrap().wrapped);
}

#[test]
fn models_without_tools_are_asked_and_the_client_told() {
    let written = written(&wanting(schema(OBJECT)), &presets::deepseek_r1());
    assert!(written.json["system"][0]["text"].as_str().unwrap().ends_with(OBJECT));
    assert_eq!(written.adjusted(), "response_format=asked_in_text");
}

#[test]
fn any_json_object_is_asked_for_without_further_ado() {
    let written = written(&wanting(ResponseFormat::JsonObject), &presets::claude_budget());
    assert!(written.json["system"][0]["text"].as_str().unwrap().starts_with("Answer with one valid JSON object"));
    assert_eq!((written.adjusted(), &written.json["outputConfig"]), (String::new(), &Value::Null));
}

#[test]
fn an_answer_can_go_on_elsewhere_when_it_is_plain_streamed_text_of_a_model_that_takes_a_begun_one() {
    let streamed = WriteOptions { mode: Mode::Stream, ..options() };
    let plain = || asking(vec![user("a")]);
    let on = ReasoningRequest { mode: ReasoningMode::On, ..ReasoningRequest::default() };
    let guardrail = Guardrail { identifier: "gr1".to_owned(), version: "DRAFT".to_owned(), trace: None, stream_mode: None };
    let model = presets::claude_budget();
    let continuable =
        |request: &ChatRequest, model: &ChatCapabilities, options: &WriteOptions| written_with(request, model, options).body.continuable;
    assert!(continuable(&plain(), &model, &streamed));
    assert!(!continuable(&plain(), &model, &options()), "not streamed");
    assert!(!continuable(&plain(), &presets::claude_adaptive(), &streamed), "the model takes no begun answer");
    for (request, why) in [
        (ChatRequest { reasoning: on, ..plain() }, "thinking"),
        (ChatRequest { guardrail: Some(guardrail), ..plain() }, "a guardrail"),
        (ChatRequest { format: schema(OBJECT), ..plain() }, "a schema"),
        (with_tools(vec![user("a")], vec![tool("f")]), "tools"),
        (asking(vec![user("a"), assistant(vec![text("b")])]), "an answer that the client began"),
    ] {
        assert!(!continuable(&request, &model, &streamed), "{why}");
    }
}
