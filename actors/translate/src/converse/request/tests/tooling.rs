//! Tools: names, schemas, choices, calls and results.

use outcrop_domain::{
    chat::{ChatRequest, Content, ParallelToolCalls, SystemTool, Tool, ToolChoice, ToolOrigin, ToolResultPart, ToolResultStatus},
    model::{ChatCapabilities, ToolSupport},
};
use serde_json::{Value, json};

use super::{
    Mode, WriteOptions, Written, asking, assistant, call, json as json_text, options, presets, refused, result, text, tool, user, users,
    with_tools, written, written_with,
};
use crate::converse::context::ToolCalls;

fn choosing(tool_choice: ToolChoice, tools: &[&str]) -> ChatRequest {
    ChatRequest { tool_choice, ..with_tools(vec![user("Hi")], tools.iter().map(|name| tool(name)).collect()) }
}

fn choice(written: &Written) -> Value {
    written.json["toolConfig"]["toolChoice"].clone()
}

#[test]
fn pain_03_tool_history_without_tools_gets_a_spec_per_name() {
    let turns = vec![
        user("a"),
        assistant(vec![call("1", "f"), call("2", "g.h"), call("3", "f")]),
        users(vec![result("1", "x"), result("2", "y"), result("3", "z")]),
    ];
    let written = written(&asking(turns), &presets::claude_budget());
    let tools = written.json["toolConfig"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 2);
    assert_eq!(tools[0]["toolSpec"]["name"], "f");
    assert_eq!(tools[0]["toolSpec"]["inputSchema"], json!({"json": {"type": "object"}}));
    assert!(!tools[0]["toolSpec"]["description"].as_str().unwrap().is_empty());
    assert_eq!(choice(&written), Value::Null);
    assert_eq!(written.body.reply.tool_calls, ToolCalls::Withheld);
    assert_eq!(written.adjusted(), "tools.name=renamed,tools=added_from_history");
}

#[test]
fn pain_05_parallel_results_share_one_turn_in_call_order_before_other_content() {
    let calls: Vec<_> = (0..8).map(|number| call(&format!("id{number}"), "f")).collect();
    let mut turns = vec![user("a"), assistant(calls)];
    turns.extend([3, 1, 0, 2, 7, 6, 5, 4].map(|number| users(vec![result(&format!("id{number}"), "x")])));
    turns.push(user("and?"));
    let written = written(&with_tools(turns, vec![tool("f")]), &presets::claude_budget());
    let content = written.messages()[2]["content"].as_array().unwrap();
    let ids: Vec<_> = content.iter().filter_map(|block| block["toolResult"]["toolUseId"].as_str()).collect();
    assert_eq!(ids, ["id0", "id1", "id2", "id3", "id4", "id5", "id6", "id7"]);
    assert_eq!(content[8], json!({"text": "and?"}));
    assert_eq!(written.adjusted(), "");
}

#[test]
fn pain_05_missing_results_are_added_orphans_become_text_and_the_last_duplicate_wins() {
    let turns = vec![
        user("a"),
        assistant(vec![call("1", "f"), call("2", "f")]),
        users(vec![result("9", "lost"), result("1", "old"), result("1", "new")]),
    ];
    let written = written(&with_tools(turns, vec![tool("f")]), &presets::claude_budget());
    assert_eq!(
        written.messages()[2]["content"],
        json!([
            {"toolResult": {"toolUseId": "1", "content": [{"text": "new"}]}},
            {"toolResult": {"toolUseId": "2", "content": [{"text": "[no result was recorded for this tool call]"}], "status": "error"}},
            {"text": "[result of a tool call that is not part of this conversation]\nlost"},
        ])
    );
    assert_eq!(
        written.adjusted(),
        "messages.tool=orphan_result_as_text,messages.tool=duplicate_result_dropped,messages.tool=missing_result_added"
    );
}

#[test]
fn calls_at_the_very_end_are_answered_too() {
    let written = written(&with_tools(vec![user("a"), assistant(vec![call("1", "f")])], vec![tool("f")]), &presets::llama());
    assert_eq!(written.messages().len(), 3);
    assert_eq!(written.messages()[2]["content"][0]["toolResult"]["status"], Value::Null);
}

#[test]
fn pain_06_long_and_dotted_names_are_mapped_everywhere_and_back() {
    let long = "mcp.server/".to_owned() + &"x".repeat(56);
    assert_eq!(long.len(), 67);
    let turns = vec![user("a"), assistant(vec![call("1", &long)]), users(vec![result("1", "x")])];
    let request = ChatRequest { tool_choice: ToolChoice::Named(long.clone()), ..with_tools(turns, vec![tool(&long), tool("_b")]) };
    let written = written(&request, &presets::claude_budget());
    let wire = written.json["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap().to_owned();
    assert_eq!(wire.len(), 64);
    assert_eq!(choice(&written), json!({"tool": {"name": wire}}));
    assert_eq!(written.messages()[1]["content"][0]["toolUse"]["name"], wire);
    assert_eq!(written.body.reply.client_name(wire), long);
    assert!(written.json["toolConfig"]["tools"][1]["toolSpec"]["name"].as_str().unwrap().starts_with("t__b_"));
}

#[test]
fn pain_06_a_blank_description_is_left_out() {
    let bare = Tool::Function { name: "f".to_owned(), description: Some("  ".to_owned()), schema: json_text("{}"), strict: Some(false) };
    let written = written(&with_tools(vec![user("a")], vec![bare]), &presets::llama());
    assert_eq!(written.json["toolConfig"]["tools"], json!([{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]));
    assert_eq!(written.adjusted(), "tools.parameters=object_type_added,tools.description=blank_removed");
}

#[test]
fn pain_07_arguments_that_are_no_object_are_wrapped() {
    let odd = Content::ToolUse { id: "1".to_owned(), name: "f".to_owned(), input: json_text("\"{broken\""), origin: ToolOrigin::Client };
    let written =
        written(&with_tools(vec![user("a"), assistant(vec![odd]), users(vec![result("1", "x")])], vec![tool("f")]), &presets::llama());
    assert_eq!(written.messages()[1]["content"][0]["toolUse"]["input"], json!({"_malformed_arguments": "{broken"}));
    assert_eq!(written.adjusted(), "messages.tool_calls.arguments=wrapped");
}

#[test]
fn arguments_and_schemas_keep_their_bytes() {
    let input = r#"{"z": 1,  "a": 1e400}"#;
    let odd = Content::ToolUse { id: "1".to_owned(), name: "f".to_owned(), input: json_text(input), origin: ToolOrigin::Client };
    let schema = r##"{"type":"object", "$defs":{"t":{}}, "properties":{"z":{"$ref":"#/$defs/t"}}}"##;
    let spec = Tool::Function { name: "f".to_owned(), description: None, schema: json_text(schema), strict: None };
    let request = with_tools(vec![user("a"), assistant(vec![odd]), users(vec![result("1", "x")])], vec![spec]);
    let body = super::write(&request, &presets::llama(), &options()).unwrap().bytes;
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains(input) && body.contains(schema), "{body}");
}

#[test]
fn pain_10_a_built_in_tool_that_the_model_lacks_is_refused_by_name() {
    let grounding = || Tool::System(SystemTool { name: "nova_grounding".to_owned() });
    let request = with_tools(vec![user("a")], vec![grounding()]);
    assert_eq!(written(&request, &presets::nova_2()).json["toolConfig"]["tools"], json!([{"systemTool": {"name": "nova_grounding"}}]));
    let (message, param) = refused(&request, &presets::claude_budget());
    assert_eq!((message.as_str(), param.as_str()), ("model `test-model` has no built-in tool `nova_grounding` (web search)", "tools"));
    let forced = written(&ChatRequest { tool_choice: ToolChoice::Any, ..request }, &presets::nova_2());
    assert_eq!((choice(&forced), forced.adjusted()), (Value::Null, "tool_choice=auto".to_owned()));
}

#[test]
fn choices_are_sent_as_far_as_the_model_takes_them() {
    let any = choosing(ToolChoice::Any, &["f", "g"]);
    let named = choosing(ToolChoice::Named("f".to_owned()), &["f", "g"]);
    assert_eq!(choice(&written(&any, &presets::nova())), json!({"any": {}}));
    assert_eq!(choice(&written(&named, &presets::nova())), json!({"tool": {"name": "f"}}));
    assert_eq!(choice(&written(&choosing(ToolChoice::Auto, &["f"]), &presets::nova())), Value::Null);
    for request in [any, named.clone()] {
        let written = written(&request, &presets::llama());
        assert_eq!((choice(&written), written.adjusted()), (Value::Null, "tool_choice=auto".to_owned()));
    }
    let only = choosing(ToolChoice::Named("f".to_owned()), &["f"]);
    assert_eq!(choice(&written(&only, &presets::gpt_oss())), json!({"any": {}}), "any tool is that tool when there is but one");
    assert_eq!(written(&named, &presets::gpt_oss()).adjusted(), "tool_choice=auto");
}

#[test]
fn a_choice_that_cannot_be_meant_is_refused() {
    assert_eq!(refused(&choosing(ToolChoice::Any, &[]), &presets::nova()).1, "tool_choice");
    let (message, _) = refused(&choosing(ToolChoice::Named("h".to_owned()), &["f"]), &presets::nova());
    assert_eq!(message, "tool_choice names `h`, which is not among the tools");
}

#[test]
fn choice_none_leaves_tools_out_unless_the_history_needs_them() {
    let fresh = written(&choosing(ToolChoice::None, &["f"]), &presets::nova());
    assert_eq!((&fresh.json["toolConfig"], fresh.adjusted()), (&Value::Null, String::new()));
    let turns = vec![user("a"), assistant(vec![call("1", "f")]), users(vec![result("1", "x")])];
    let request = ChatRequest { tool_choice: ToolChoice::None, ..with_tools(turns, vec![tool("f"), tool("g")]) };
    let kept = written(&request, &presets::nova());
    assert_eq!(kept.json["toolConfig"]["tools"].as_array().unwrap().len(), 2);
    assert_eq!((choice(&kept), kept.adjusted()), (Value::Null, "tool_choice=approximated".to_owned()));
    assert_eq!(kept.body.reply.tool_calls, ToolCalls::Withheld);
}

#[test]
fn models_without_tools_get_the_history_as_text_and_refuse_new_ones() {
    let turns = vec![user("a"), assistant(vec![text("Looking."), call("1", "f")]), users(vec![result("1", "x")])];
    let written = written(&asking(turns.clone()), &presets::deepseek_r1());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "Looking."}, {"text": "[tool call 1: `f` with {\"a\":1}]"}]));
    assert_eq!(written.messages()[2]["content"], json!([{"text": "[result of tool call 1]\nx"}]));
    assert_eq!(written.adjusted(), "messages.tool_calls=flattened");
    let (message, param) = refused(&with_tools(turns, vec![tool("f")]), &presets::deepseek_r1());
    assert_eq!((message.as_str(), param.as_str()), ("model `test-model` does not support tools", "tools"));
    let banned = super::written(&choosing(ToolChoice::None, &["f"]), &presets::deepseek_r1());
    assert_eq!(banned.adjusted(), "tools=dropped");
}

#[test]
fn models_that_cannot_stream_with_tools_are_asked_for_the_whole() {
    let stream = WriteOptions { mode: Mode::Stream, ..options() };
    let tools = with_tools(vec![user("a")], vec![tool("f")]);
    assert_eq!(written_with(&tools, &presets::llama(), &stream).body.mode, Mode::Whole);
    assert_eq!(written_with(&asking(vec![user("a")]), &presets::llama(), &stream).body.mode, Mode::Stream);
    assert_eq!(written_with(&tools, &presets::nova(), &stream).body.mode, Mode::Stream);
    assert_eq!(written(&tools, &presets::nova()).body.mode, Mode::Whole);
}

#[test]
fn one_call_at_a_time_goes_beside_the_choice_without_a_type() {
    let request = ChatRequest { parallel_tool_calls: ParallelToolCalls::Forbidden, ..choosing(ToolChoice::Any, &["f"]) };
    let switched = written(&request, &presets::claude_budget());
    assert_eq!(switched.fields(), &json!({"tool_choice": {"disable_parallel_tool_use": true}}));
    assert_eq!(written(&request, &presets::nova()).adjusted(), "parallel_tool_calls=ignored");
    let no_tools = ChatRequest { parallel_tool_calls: ParallelToolCalls::Forbidden, ..asking(vec![user("a")]) };
    assert_eq!(written(&no_tools, &presets::claude_budget()).fields(), &Value::Null);
}

#[test]
fn strict_is_sent_only_where_taken() {
    let strict = Tool::Function { name: "f".to_owned(), description: None, schema: json_text(r#"{"type":"object"}"#), strict: Some(true) };
    let request = with_tools(vec![user("a")], vec![strict]);
    assert_eq!(written(&request, &presets::claude_budget()).json["toolConfig"]["tools"][0]["toolSpec"]["strict"], true);
    let dropped = written(&request, &presets::nova());
    assert_eq!(dropped.json["toolConfig"]["tools"][0]["toolSpec"]["strict"], Value::Null);
    assert_eq!(dropped.adjusted(), "tools.strict=dropped");
}

#[test]
fn equal_tools_are_merged_and_unequal_ones_of_one_name_refused() {
    let merged = written(&with_tools(vec![user("a")], vec![tool("f"), tool("f")]), &presets::nova());
    assert_eq!(merged.json["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(merged.adjusted(), "tools=duplicate_dropped");
    let other = Tool::Function { name: "f".to_owned(), description: None, schema: json_text("{}"), strict: None };
    assert_eq!(refused(&with_tools(vec![user("a")], vec![tool("f"), other]), &presets::nova()).0, "two different tools are named `f`");
}

#[test]
fn mistral_ids_are_nine_alphanumerics_in_call_and_result() {
    let turns = vec![
        user("a"),
        assistant(vec![call("tooluse_abc1", "f"), call("tooluse_abc2", "f")]),
        users(vec![result("tooluse_abc2", "y"), result("tooluse_abc1", "x")]),
    ];
    let written = written(&with_tools(turns, vec![tool("f")]), &presets::mistral());
    let id =
        |turn: usize, block: usize, kind: &str| written.messages()[turn]["content"][block][kind]["toolUseId"].as_str().unwrap().to_owned();
    assert_eq!(id(1, 0, "toolUse").len(), 9);
    assert_eq!(id(1, 0, "toolUse"), id(2, 0, "toolResult"));
    assert_eq!(id(1, 1, "toolUse"), id(2, 1, "toolResult"));
    assert_ne!(id(1, 0, "toolUse"), id(1, 1, "toolUse"));
    assert_eq!(written.messages()[2]["content"][0]["toolResult"]["content"][0]["text"], "x");
}

#[test]
fn ids_that_repeat_in_every_turn_are_told_apart() {
    let round = || vec![assistant(vec![call("call_0", "f")]), users(vec![result("call_0", "x")])];
    let turns = [vec![user("a")], round(), round()].concat();
    let written = written(&with_tools(turns, vec![tool("f")]), &presets::claude_budget());
    let ids: Vec<_> = [1, 3].map(|turn: usize| written.messages()[turn]["content"][0]["toolUse"]["toolUseId"].clone()).to_vec();
    assert_eq!(ids[0], "call_0");
    assert_ne!(ids[0], ids[1]);
    assert_eq!(written.messages()[4]["content"][0]["toolResult"]["toolUseId"], ids[1]);
}

#[test]
fn text_behind_a_call_moves_before_it() {
    let turns =
        vec![user("a"), assistant(vec![call("1", "f"), text("between"), call("2", "f")]), users(vec![result("1", "x"), result("2", "y")])];
    let written = written(&with_tools(turns, vec![tool("f")]), &presets::nova());
    assert_eq!(written.messages()[1]["content"][0], json!({"text": "between"}));
    assert_eq!(written.adjusted(), "messages.content=reordered");
}

#[test]
fn results_carry_status_json_and_never_nothing() {
    let rich = Content::ToolResult {
        id: "1".to_owned(),
        parts: vec![ToolResultPart::Json(json_text(r#"{"b":1}"#)), ToolResultPart::Json(json_text("[1]"))],
        status: ToolResultStatus::Error,
    };
    let empty =
        Content::ToolResult { id: "2".to_owned(), parts: vec![ToolResultPart::Text(" ".to_owned())], status: ToolResultStatus::Success };
    let turns = vec![user("a"), assistant(vec![call("1", "f"), call("2", "f")]), users(vec![rich, empty])];
    let request = with_tools(turns, vec![tool("f")]);
    assert_eq!(
        written(&request, &presets::claude_budget()).messages()[2]["content"],
        json!([
            {"toolResult": {"toolUseId": "1", "content": [{"json": {"b": 1}}, {"text": "[1]"}], "status": "error"}},
            {"toolResult": {"toolUseId": "2", "content": [{"text": "(no output)"}], "status": "success"}},
        ])
    );
    assert_eq!(written(&request, &presets::llama()).messages()[2]["content"][0]["toolResult"]["status"], Value::Null);
}

#[test]
fn history_of_built_in_tools_goes_back_only_to_models_that_have_some() {
    let server =
        Content::ToolUse { id: "s1".to_owned(), name: "nova_grounding".to_owned(), input: json_text("{}"), origin: ToolOrigin::Server };
    let turns = vec![user("a"), assistant(vec![server, result("s1", "found"), text("So.")]), user("b")];
    let kept =
        written(&with_tools(turns.clone(), vec![Tool::System(SystemTool { name: "nova_grounding".to_owned() })]), &presets::nova_2());
    assert_eq!(kept.messages()[1]["content"][0]["toolUse"]["type"], "server_tool_use");
    assert_eq!(kept.messages()[1]["content"][1]["toolResult"]["toolUseId"], "s1");
    assert_eq!(kept.messages()[1]["content"][2], json!({"text": "So."}));
    let dropped = written(&asking(turns), &presets::claude_budget());
    assert_eq!(dropped.messages()[1]["content"], json!([{"text": "So."}]));
    assert_eq!(dropped.adjusted(), "messages.server_tools=dropped");
}

#[test]
fn a_schema_of_another_type_is_wrapped_and_told() {
    let odd = Tool::Function { name: "f".to_owned(), description: None, schema: json_text(r#"{"type":"string"}"#), strict: None };
    let written = written(&with_tools(vec![user("a")], vec![odd]), &ChatCapabilities { tools: ToolSupport::Full, ..presets::nova() });
    assert_eq!(written.adjusted(), "tools.parameters=wrapped");
}
