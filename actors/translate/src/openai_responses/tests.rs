//! From the client's Responses body to the body of Converse, for real models of the book: what the two halves promise only
//! together.

use std::sync::OnceLock;

use outcrop_domain::{
    chat::Reasoning,
    error::GatewayError,
    model::{BUILTIN, ModelBook, ModelSpec},
};
use outcrop_protocol::body;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    request::{Earlier, ResponsesOptions, read},
    sealed::seal_reasoning,
};
use crate::{
    converse::{self, ConverseBody, EffortBudgets, Mode, WriteOptions},
    dialect::{ReadOptions, media::FetchedMedia, sniffer},
};

const NOVA: &str = "amazon.nova-2-lite-v1:0";
const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const GPT_OSS: &str = "openai.gpt-oss-120b-1:0";

fn spec(id: &str) -> &'static ModelSpec {
    static BOOK: OnceLock<ModelBook> = OnceLock::new();
    BOOK.get_or_init(|| ModelBook::load(BUILTIN).unwrap()).get(id).unwrap_or_else(|| panic!("{id} is not in the book"))
}

struct Sent {
    bytes: Vec<u8>,
    json: Value,
    body: ConverseBody,
    adjusted: String,
}

fn send(id: &str, request: &Value) -> Result<Sent, GatewayError> {
    let spec = spec(id);
    let chat = spec.chat.as_ref().unwrap();
    let mut wire = json!({"model": "m"});
    wire.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    let wire = body::decode(wire.to_string().as_bytes()).unwrap();
    let shared = ReadOptions { system_tools: chat.system_tools.clone(), ..ReadOptions::new(sniffer::sniff) };
    let options = ResponsesOptions { context_tokens: spec.context_tokens, ..ResponsesOptions::new(shared) };
    let read = read(wire, &Earlier::default(), &FetchedMedia::default(), &options)?;
    let options = WriteOptions {
        model: read.model.clone(),
        mode: Mode::Stream,
        max_output_tokens: spec.max_output_tokens,
        budgets: EffortBudgets::default(),
    };
    let mut adjustments = read.adjustments;
    let body = converse::request::write(&read.request, chat, &options)?;
    adjustments.extend(body.adjustments.clone());
    Ok(Sent { json: serde_json::from_slice(&body.bytes).unwrap(), bytes: body.bytes.clone(), body, adjusted: adjustments.to_string() })
}

fn sent(id: &str, request: &Value) -> Sent {
    send(id, request).unwrap()
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "name": name, "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}})
}

fn call(id: &str, name: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": name, "arguments": "{\"a\":\"b\"}"})
}

fn output(id: &str, text: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": text})
}

fn says(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

fn marked(role: &str, text: &str, ttl: Option<&str>) -> Value {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    json!({"role": role, "content": [{"type": kind, "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}]})
}

fn point() -> Value {
    json!({"cachePoint": {"type": "default"}})
}

#[test]
fn pain_02_sealed_reasoning_goes_back_to_claude_and_to_nobody_else() {
    let blocks = [Reasoning::Text { text: String::new(), signature: Some("c2ln".to_owned()) }, Reasoning::Redacted("RU5D".to_owned())];
    let thought = json!({"type": "reasoning", "summary": [], "encrypted_content": seal_reasoning(&blocks)});
    let request = json!({"tools": [tool("f")], "input": [says("user", "a"), thought, call("1", "f"), output("1", "x")]});
    let claude = sent(CLAUDE, &request);
    assert_eq!(
        claude.json["messages"][1]["content"].as_array().unwrap()[..2],
        [
            json!({"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln"}}}),
            json!({"reasoningContent": {"redactedContent": "RU5D"}}),
        ]
    );
    let nova = sent(NOVA, &request);
    assert!(nova.json["messages"][1]["content"][0].get("toolUse").is_some());
    assert_eq!(nova.adjusted, "messages.reasoning=dropped");
}

#[test]
fn pain_02_a_summary_alone_is_never_sent_unsigned_to_claude() {
    let thought = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]});
    let request = json!({"tools": [tool("f")], "reasoning": {"effort": "low"},
        "input": [says("user", "a"), thought, call("1", "f"), output("1", "x")]});
    let claude = sent(CLAUDE, &request);
    assert!(!String::from_utf8_lossy(&claude.bytes).contains("reasoningContent"));
    assert!(claude.adjusted.contains("reasoning"), "{}", claude.adjusted);
}

#[test]
fn pain_03_tool_history_without_tools_gets_specs_and_no_call_leaks() {
    for tools in [json!(null), json!([])] {
        let request = json!({"tools": tools, "input": [says("user", "a"), call("1", "Read"), output("1", "x"), says("user", "Sum up.")]});
        let nova = sent(NOVA, &request);
        assert_eq!(nova.json["toolConfig"]["tools"][0]["toolSpec"]["name"], "Read");
        assert!(nova.json["toolConfig"].get("toolChoice").is_none());
        assert_eq!(nova.body.reply.tool_calls, converse::ToolCalls::Withheld);
    }
}

#[test]
fn pain_04_empty_texts_leave_and_their_marks_stay() {
    let empty_mark = json!({"type": "input_text", "text": "", "cache_control": {"type": "ephemeral"}});
    let nova = sent(
        NOVA,
        &json!({"tools": [tool("f")], "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, empty_mark]},
            says("assistant", ""), call("1", "f"), output("1", ""), says("user", " \n"), says("assistant", ""), says("user", "b"),
        ]}),
    );
    assert_eq!(nova.json["messages"][0]["content"], json!([{"text": "a"}, point()]));
    assert_eq!(nova.json["messages"][1]["content"].as_array().unwrap().len(), 1);
    assert_eq!(nova.json["messages"][2]["content"][0]["toolResult"]["content"], json!([{"text": "(no output)"}]));
    assert_eq!(nova.json["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn pain_05_outputs_of_parallel_calls_stand_in_one_turn_in_call_order() {
    let nova = sent(
        NOVA,
        &json!({"tools": [tool("f")], "input": [
            says("user", "a"), call("1", "f"), call("2", "f"), call("3", "f"),
            output("3", "three"), says("user", "by the way"), output("1", "one"), output("9", "nobody asked"),
        ]}),
    );
    let content = nova.json["messages"][2]["content"].as_array().unwrap();
    let answers: Vec<&str> = content.iter().filter_map(|block| block["toolResult"]["content"][0]["text"].as_str()).collect();
    assert_eq!(answers, ["one", "[no result was recorded for this tool call]", "three"]);
    assert!(content[3].get("text").is_some(), "results first");
    assert!(nova.adjusted.contains("messages.tool=missing_result_added") && nova.adjusted.contains("messages.tool=orphan_result_as_text"));
}

#[test]
fn pain_06_long_names_of_namespaced_tools_are_mapped_everywhere_and_back() {
    let request = json!({
        "tools": [{"type": "namespace", "name": "mcp__a-server-with-a-rather-long-name", "description": "s",
            "tools": [tool("and.a.tool.with-a-rather-long-name")]}],
        "input": [says("user", "a"),
            {"type": "function_call", "call_id": "1", "namespace": "mcp__a-server-with-a-rather-long-name",
                "name": "and.a.tool.with-a-rather-long-name", "arguments": "{}"},
            output("1", "x")],
    });
    let nova = sent(NOVA, &request);
    let name = nova.json["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap();
    assert!(name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{name}");
    assert_eq!(nova.json["messages"][1]["content"][0]["toolUse"]["name"], name);
    assert_eq!(nova.body.reply.client_name(name.to_owned()), "mcp__a-server-with-a-rather-long-name__and.a.tool.with-a-rather-long-name");
}

#[test]
fn pain_07_malformed_old_arguments_are_carried_and_fail_nothing() {
    for (arguments, written) in [
        (json!("{\"a\": "), json!({"_malformed_arguments": "{\"a\": "})),
        (json!(""), json!({})),
        (json!("[1]"), json!({"_malformed_arguments": "[1]"})),
        (json!({"a": 1}), json!({"a": 1})),
        (json!(null), json!({})),
    ] {
        let slip = json!({"type": "function_call", "call_id": "1", "name": "f", "arguments": arguments});
        let request = json!({"tools": [tool("f")], "input": [says("user", "a"), slip, output("1", "x")]});
        assert_eq!(sent(NOVA, &request).json["messages"][1]["content"][0]["toolUse"]["input"], written);
    }
}

#[test]
fn pain_10_a_hosted_tool_reaches_a_model_that_has_it_and_names_itself_where_not() {
    let search = json!({"tools": [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}], "input": "a"});
    assert_eq!(
        sent(NOVA, &search).json["toolConfig"]["tools"],
        json!([{"systemTool": {"name": "nova_grounding"}}, {"systemTool": {"name": "nova_code_interpreter"}}])
    );
    let refused = send(GPT_OSS, &search).err().unwrap();
    assert!(refused.to_string().contains("'web_search'"), "{refused}");
}

#[test]
fn pain_12_five_marks_in_five_places_become_the_last_four_at_their_places() {
    let mut offered = tool("f");
    offered["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"});
    let marked_output = json!({"type": "function_call_output", "call_id": "1",
        "output": [{"type": "input_text", "text": "c", "cache_control": {"type": "ephemeral"}}]});
    let request = json!({"tools": [offered], "input": [
        marked("developer", "s", Some("1h")), marked("user", "a", None), marked("assistant", "b", None),
        call("1", "f"), marked_output, says("user", "d"),
    ]});
    let claude = sent(CLAUDE, &request);
    assert_eq!(claude.json["toolConfig"]["tools"].as_array().unwrap().len(), 1, "the fifth from the end");
    assert_eq!(claude.json["system"], json!([{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]));
    for turn in 0..3 {
        assert_eq!(claude.json["messages"][turn]["content"][1], point(), "{turn}");
    }
    assert_eq!(claude.adjusted, "cache_control=earliest_dropped");
}

#[test]
fn pain_14_a_lifetime_that_a_model_does_not_take_is_told_and_never_a_400() {
    let request = json!({"input": [marked("user", "a", Some("1h"))]});
    let nova = sent(NOVA, &request);
    assert_eq!((&nova.json["messages"][0]["content"][1], nova.adjusted.as_str()), (&point(), "cache_control.ttl=dropped"));
    let gpt = sent(GPT_OSS, &request);
    assert_eq!((gpt.json["messages"][0]["content"].clone(), gpt.adjusted.as_str()), (json!([{"text": "a"}]), "cache_control=dropped"));
    let retained = sent(CLAUDE, &json!({"input": "a", "prompt_cache_retention": "24h", "prompt_caching": {"messages": true}}));
    assert_eq!(retained.json["messages"][0]["content"][1], json!({"cachePoint": {"type": "default", "ttl": "1h"}}));
    assert_eq!(retained.adjusted, "prompt_cache_retention=1h");
}

#[test]
fn pain_19_effort_is_asked_for_in_the_models_own_dialect() {
    let fields = |id: &str, effort: &str| {
        sent(id, &json!({"reasoning": {"effort": effort}, "max_output_tokens": 8000, "input": "a"})).json["additionalModelRequestFields"]
            .clone()
    };
    assert_eq!(fields(NOVA, "low"), json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}));
    assert_eq!(fields(GPT_OSS, "high"), json!({"reasoning_effort": "high"}));
    assert_eq!(fields(CLAUDE, "low")["thinking"]["type"], "enabled");
    assert_eq!(fields(NOVA, "none"), Value::Null);
    let unknown = send(NOVA, &json!({"reasoning": {"effort": "colossal"}, "input": "a"})).err().unwrap();
    assert!(unknown.to_string().contains("effort"), "{unknown}");
}

#[test]
fn pain_36_names_of_files_are_made_fit() {
    let file =
        json!({"type": "input_file", "filename": "Q3 report (final)_v2.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQ="});
    let claude = sent(CLAUDE, &json!({"input": [{"role": "user", "content": [file, {"type": "input_text", "text": "?"}]}]}));
    let name = claude.json["messages"][0]["content"][0]["document"]["name"].as_str().unwrap();
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -()[]".contains(&byte)), "{name}");
}

/// One exchange of an agent: a question, and calls with their answers, with or without an instruction in between.
fn any_exchange() -> impl Strategy<Value = Vec<Value>> {
    ("[a-z]{1,5}", 0..3_usize, any::<bool>()).prop_map(|(words, calls, hurried)| {
        let mut items = vec![says("user", &words)];
        if calls > 0 {
            let blocks = [Reasoning::Text { text: "hm".to_owned(), signature: Some("c2ln".to_owned()) }];
            items.push(json!({"type": "reasoning", "summary": [], "encrypted_content": seal_reasoning(&blocks)}));
            let ids: Vec<String> = (0..calls).map(|number| format!("call_{words}{number}")).collect();
            items.extend(ids.iter().map(|id| call(id, "f")));
            items.extend(ids.iter().rev().map(|id| output(id, "x")));
            if hurried {
                items.push(says("developer", "Hurry."));
            }
        }
        items.push(says("assistant", "So."));
        items
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pain_13_the_body_of_one_turn_is_a_byte_prefix_of_the_next(
        exchanges in prop::collection::vec(any_exchange(), 1..5),
        id in prop::sample::select(vec![NOVA, CLAUDE, GPT_OSS]),
    ) {
        let request = |items: Vec<Value>| json!({"instructions": "Be brief.", "tools": [tool("f")], "input": items});
        let whole = sent(id, &request([exchanges.concat(), vec![says("user", "And?")]].concat())).bytes;
        // What was asked before the assistant's last word in each exchange.
        for turns in 1..=exchanges.len() {
            let mut items = exchanges[..turns].concat();
            items.pop();
            let shorter = sent(id, &request(items)).bytes;
            prop_assert!(whole.starts_with(shorter.strip_suffix(b"]}").unwrap()), "{id}");
        }
    }
}
