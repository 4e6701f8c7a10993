//! From the client's Messages body to the body of Converse, for real models of the book: what the two halves promise only
//! together.

use std::sync::OnceLock;

use outcrop_domain::{
    error::GatewayError,
    model::{BUILTIN, ModelBook, ModelSpec},
};
use outcrop_protocol::body;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::request::{FetchedMedia, ReadOptions, read};
use crate::{
    converse::{self, ConverseBody, EffortBudgets, Mode, WriteOptions},
    dialect::sniffer,
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
    let mut wire = json!({"model": "m", "max_tokens": 4096});
    wire.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    let wire = body::decode(wire.to_string().as_bytes()).unwrap();
    let options = ReadOptions { system_tools: chat.system_tools.clone(), ..ReadOptions::new(sniffer::sniff) };
    let read = read(wire, &FetchedMedia::default(), &options)?;
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

fn sent(id: &str, request: Value) -> Sent {
    send(id, &request).unwrap()
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "d", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}})
}

fn call(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"a": "b"}})
}

fn result(id: &str, text: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": text})
}

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: Value) -> Value {
    json!({"role": "assistant", "content": content})
}

fn marked(mut block: Value, ttl: Option<&str>) -> Value {
    block["cache_control"] = match ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl}),
        None => json!({"type": "ephemeral"}),
    };
    block
}

#[test]
fn pain_02_thinking_goes_back_to_claude_and_to_nobody_else() {
    let request = json!({"tools": [tool("f")], "messages": [
        user(json!("a")),
        assistant(json!([{"type": "thinking", "thinking": "", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "RU5D"}, call("1", "f")])),
        user(json!([result("1", "x")])),
    ]});
    let claude = sent(CLAUDE, request.clone());
    let content = claude.json["messages"][1]["content"].as_array().unwrap();
    assert_eq!(
        content[..2],
        [
            json!({"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln"}}}),
            json!({"reasoningContent": {"redactedContent": "RU5D"}}),
        ]
    );
    let nova = sent(NOVA, request);
    assert!(nova.json["messages"][1]["content"][0].get("toolUse").is_some());
    assert_eq!(nova.adjusted, "messages.reasoning=dropped");
}

#[test]
fn pain_03_tool_history_without_tools_gets_specs_and_no_call_leaks() {
    let request = json!({"tools": [], "messages": [
        user(json!("a")), assistant(json!([call("1", "Read")])), user(json!([result("1", "x"), {"type": "text", "text": "Sum up."}])),
    ]});
    let nova = sent(NOVA, request);
    assert_eq!(nova.json["toolConfig"]["tools"][0]["toolSpec"]["name"], "Read");
    assert!(nova.json["toolConfig"].get("toolChoice").is_none());
    assert_eq!(nova.body.reply.tool_calls, converse::ToolCalls::Withheld);
}

#[test]
fn pain_04_empty_texts_leave_and_their_marks_stay() {
    let empty = json!({"type": "text", "text": ""});
    let nova = sent(
        NOVA,
        json!({"tools": [tool("f")], "messages": [
            user(json!([{"type": "text", "text": "a"}, marked(empty.clone(), None)])),
            assistant(json!([empty.clone(), call("1", "f")])),
            user(json!([result("1", ""), {"type": "text", "text": " \n"}])),
            assistant(json!("")),
            user(json!("b")),
        ]}),
    );
    assert_eq!(nova.json["messages"][0]["content"], json!([{"text": "a"}, {"cachePoint": {"type": "default"}}]));
    assert_eq!(nova.json["messages"][1]["content"].as_array().unwrap().len(), 1);
    assert_eq!(nova.json["messages"][2]["content"][0]["toolResult"]["content"], json!([{"text": "(no output)"}]));
    assert_eq!(nova.json["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn pain_05_results_of_parallel_calls_stand_in_one_turn_in_call_order() {
    let nova = sent(
        NOVA,
        json!({"tools": [tool("f")], "messages": [
            user(json!("a")),
            assistant(json!([call("1", "f"), call("2", "f"), call("3", "f")])),
            user(json!([result("3", "three"), {"type": "text", "text": "by the way"}])),
            user(json!([result("1", "one"), result("9", "nobody asked")])),
        ]}),
    );
    let content = nova.json["messages"][2]["content"].as_array().unwrap();
    let answers: Vec<&str> = content.iter().filter_map(|block| block["toolResult"]["content"][0]["text"].as_str()).collect();
    assert_eq!(answers, ["one", "[no result was recorded for this tool call]", "three"]);
    assert!(content[3].get("text").is_some(), "results first");
    assert!(nova.adjusted.contains("messages.tool=missing_result_added") && nova.adjusted.contains("messages.tool=orphan_result_as_text"));
}

#[test]
fn pain_06_long_names_are_mapped_everywhere_and_back() {
    let long = "mcp__a-server-with-a-rather-long-name__and.a.tool.with-a-long-name";
    let nova = sent(
        NOVA,
        json!({
            "tools": [tool(long)], "tool_choice": {"type": "tool", "name": long},
            "messages": [user(json!("a")), assistant(json!([call("1", long)])), user(json!([result("1", "x")]))],
        }),
    );
    let name = nova.json["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap();
    assert!(name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{name}");
    assert_eq!(nova.json["toolConfig"]["toolChoice"]["tool"]["name"], name);
    assert_eq!(nova.json["messages"][1]["content"][0]["toolUse"]["name"], name);
    assert_eq!(nova.body.reply.client_name(name.to_owned()), long);
}

#[test]
fn pain_07_malformed_old_input_is_carried_and_fails_nothing() {
    let slip = |input: Value| json!({"type": "tool_use", "id": "1", "name": "f", "input": input});
    for (input, written) in [
        (json!("{\"a\": "), json!({"_malformed_arguments": "{\"a\": "})),
        (json!(""), json!({})),
        (json!("{\"a\":1}"), json!({"a": 1})),
        (json!([1]), json!({"_malformed_arguments": "[1]"})),
        (json!(null), json!({})),
    ] {
        let request =
            json!({"tools": [tool("f")], "messages": [user(json!("a")), assistant(json!([slip(input)])), user(json!([result("1", "x")]))]});
        assert_eq!(sent(NOVA, request).json["messages"][1]["content"][0]["toolUse"]["input"], written);
    }
}

#[test]
fn pain_10_a_server_tool_reaches_a_model_that_has_it_and_names_itself_where_not() {
    let search = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}], "messages": [user(json!("a"))]});
    assert_eq!(sent(NOVA, search.clone()).json["toolConfig"]["tools"], json!([{"systemTool": {"name": "nova_grounding"}}]));
    let refused = send(GPT_OSS, &search).err().unwrap();
    assert!(refused.to_string().contains("'web_search_20250305'"), "{refused}");
}

#[test]
fn pain_12_five_marks_in_five_places_become_the_last_four_at_their_places() {
    let request = json!({
        "system": [marked(json!({"type": "text", "text": "s"}), Some("1h"))],
        "tools": [marked(tool("f"), Some("1h"))],
        "messages": [
            user(json!([marked(json!({"type": "text", "text": "a"}), None)])),
            assistant(json!([marked(json!({"type": "text", "text": "b"}), None), call("1", "f")])),
            user(json!([marked(result("1", "c"), None), {"type": "text", "text": "d"}])),
        ],
    });
    let claude = sent(CLAUDE, request.clone());
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(claude.json["toolConfig"]["tools"].as_array().unwrap().len(), 1, "the fifth from the end");
    assert_eq!(claude.json["system"], json!([{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]));
    assert_eq!(claude.json["messages"][0]["content"][1], point);
    assert_eq!(claude.json["messages"][1]["content"][1], point);
    assert_eq!(claude.json["messages"][2]["content"][1], point);
    assert_eq!(claude.adjusted, "cache_control=earliest_dropped");
    let four = {
        let mut request = request;
        request["system"] = json!("s");
        sent(CLAUDE, request)
    };
    assert_eq!(four.json["toolConfig"]["tools"][1], json!({"cachePoint": {"type": "default", "ttl": "1h"}}));
}

#[test]
fn pain_14_a_lifetime_that_a_model_does_not_take_is_told_and_never_a_400() {
    let request = json!({"messages": [user(json!([marked(json!({"type": "text", "text": "a"}), Some("1h"))]))]});
    let nova = sent(NOVA, request.clone());
    assert_eq!(nova.json["messages"][0]["content"][1], json!({"cachePoint": {"type": "default"}}));
    assert_eq!(nova.adjusted, "cache_control.ttl=dropped");
    let gpt = sent(GPT_OSS, request);
    assert_eq!((gpt.json["messages"][0]["content"].clone(), gpt.adjusted.as_str()), (json!([{"text": "a"}]), "cache_control=dropped"));
}

#[test]
fn pain_19_thinking_is_asked_for_in_the_models_own_dialect() {
    let with = |thinking: Value, effort: Option<&str>| {
        let mut request = json!({"thinking": thinking, "messages": [user(json!("a"))]});
        if let Some(effort) = effort {
            request["output_config"] = json!({ "effort": effort });
        }
        request
    };
    let fields = |id: &str, request: Value| sent(id, request).json["additionalModelRequestFields"].clone();
    let budget = json!({"type": "enabled", "budget_tokens": 2048});
    assert_eq!(fields(CLAUDE, with(budget.clone(), None)), json!({"thinking": budget}));
    assert_eq!(
        fields(NOVA, with(json!({"type": "adaptive"}), Some("low"))),
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}})
    );
    assert_eq!(fields(GPT_OSS, with(json!({"type": "adaptive"}), Some("max"))), json!({"reasoning_effort": "high"}));
    assert_eq!(fields(NOVA, with(json!({"type": "disabled"}), None)), Value::Null);
}

#[test]
fn search_results_and_cited_documents_reach_claude_as_what_they_are() {
    let claude = sent(
        CLAUDE,
        json!({"messages": [user(json!([
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}], "citations": {"enabled": true}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "y"}]}, "title": "Notes.txt", "citations": {"enabled": true}},
            {"type": "text", "text": "Why?"},
        ]))]}),
    );
    let content = &claude.json["messages"][0]["content"];
    assert_eq!(content[0]["searchResult"]["citations"], json!({"enabled": true}));
    assert_eq!(
        content[1]["document"],
        json!({"name": "Notes", "format": "txt", "source": {"content": [{"text": "y"}]}, "citations": {"enabled": true}})
    );
}

#[test]
fn an_image_for_a_blind_model_is_refused_by_the_clients_own_path() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}});
    let request = json!({"messages": [user(json!([marked(json!({"type": "text", "text": "a"}), None), image]))]});
    let error = send(GPT_OSS, &request).err().unwrap();
    let reply = crate::errors::anthropic::reply(&error, None);
    assert_eq!(reply.body.error.message, "messages.0.content.1: model `m` does not accept images");
}

/// One exchange of an agent: a question, and calls with their answers, with or without an instruction in between.
fn any_exchange() -> impl Strategy<Value = Vec<Value>> {
    ("[a-z]{1,5}", 0..3_usize, any::<bool>(), any::<bool>()).prop_map(|(words, calls, hurried, marks)| {
        let question = json!({"type": "text", "text": words});
        let mut turns = vec![user(json!([if marks { marked(question, None) } else { question }]))];
        if calls > 0 {
            let ids: Vec<String> = (0..calls).map(|number| format!("toolu_{words}{number}")).collect();
            let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"});
            turns.push(assistant(json!([thinking].into_iter().chain(ids.iter().map(|id| call(id, "f"))).collect::<Vec<_>>())));
            turns.push(user(ids.iter().rev().map(|id| result(id, "x")).collect()));
            if hurried {
                turns.push(json!({"role": "system", "content": "Hurry."}));
            }
        }
        turns.push(assistant(json!([{"type": "text", "text": "So."}])));
        turns
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pain_13_the_body_of_one_turn_is_a_byte_prefix_of_the_next(
        exchanges in prop::collection::vec(any_exchange(), 1..5),
        id in prop::sample::select(vec![NOVA, CLAUDE, GPT_OSS]),
    ) {
        let request = |turns: Vec<Value>| json!({"system": "Be brief.", "tools": [tool("f")], "messages": turns});
        let (last, before) = exchanges.split_last().unwrap();
        // Marks move from turn to turn by the client's own doing, so that only the newest exchange may have any.
        let mut turns: Vec<Value> = before.concat();
        for turn in &mut turns {
            for block in turn["content"].as_array_mut().into_iter().flatten() {
                block.as_object_mut().unwrap().remove("cache_control");
            }
        }
        turns.extend(last.clone());
        let whole = sent(id, request([turns.clone(), vec![user(json!("And?"))]].concat())).bytes;
        for end in 1..turns.len() {
            if turns[end]["role"] == "assistant" && turns[end - 1]["role"] != "assistant" {
                let shorter = sent(id, request(turns[..end].to_vec())).bytes;
                prop_assert!(whole.starts_with(shorter.strip_suffix(b"]}").unwrap()), "{id}");
            }
        }
    }
}
