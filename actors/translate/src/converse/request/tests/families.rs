//! What every family is sent in the main cases: one snapshot per case, one line of JSON per family.

use std::fmt::Write as _;

use outcrop_domain::chat::{
    CacheMark, CachePolicy, CacheTtl, ChatRequest, Content, Effort, ParallelToolCalls, ReasoningMode, ReasoningRequest, ResponseFormat,
    Sampling, SystemBlock, Tool, ToolChoice,
};
use serde_json::json;

use super::{assistant, call, instructed, options, presets, result, signed, system, text, tool, user, users, with_tools};
use crate::converse::request::{Mode, WriteOptions, write};

fn snapshot(case: &str, request: &ChatRequest) {
    let options = WriteOptions { mode: Mode::Stream, ..options() };
    let mut report = String::new();
    for (family, model) in presets::all() {
        writeln!(report, "## {family}").unwrap();
        match write(request, &model, &options) {
            Ok(body) => {
                let json = String::from_utf8(body.bytes).unwrap();
                writeln!(report, "{:?}  adjusted: {}\n{json}", body.mode, body.adjustments).unwrap();
            }
            Err(error) => writeln!(report, "refused: {error}").unwrap(),
        }
    }
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/converse/requests"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(case, report) });
}

fn tool_loop() -> ChatRequest {
    let turns = vec![
        user("Weather in Oslo and Rome?"),
        assistant(vec![signed("Two cities."), text("Let me look."), call("call_1", "get.weather"), call("call_2", "get.weather")]),
        users(vec![result("call_2", "rain"), result("call_1", "sun")]),
    ];
    with_tools(turns, vec![tool("get.weather"), tool("search")])
}

#[test]
fn plain_conversation() {
    let request = ChatRequest { max_tokens: Some(8), ..with_tools(vec![user("Hi"), assistant(vec![text("Hello.")]), user("Bye")], vec![]) };
    snapshot("plain_conversation", &instructed(request, "Be brief."));
}

#[test]
fn tool_history() {
    snapshot("tool_history", &tool_loop());
}

#[test]
fn tool_history_without_tools() {
    snapshot("tool_history_without_tools", &ChatRequest { tools: vec![], ..tool_loop() });
}

#[test]
fn forced_tool_while_thinking() {
    let request = ChatRequest {
        tool_choice: ToolChoice::Named("search".to_owned()),
        parallel_tool_calls: ParallelToolCalls::Forbidden,
        reasoning: ReasoningRequest { effort: Some(Effort::High), mode: ReasoningMode::On, ..ReasoningRequest::default() },
        max_tokens: Some(20_000),
        ..with_tools(vec![user("Find it.")], vec![tool("search"), tool("open")])
    };
    snapshot("forced_tool_while_thinking", &request);
}

#[test]
fn reasoning_off() {
    let reasoning = ReasoningRequest { mode: ReasoningMode::Off, ..ReasoningRequest::default() };
    snapshot("reasoning_off", &ChatRequest { reasoning, ..with_tools(vec![user("Hi")], vec![]) });
}

#[test]
fn sampling_parameters() {
    let optional = json!({"seed": 7, "frequency_penalty": 0.5}).as_object().unwrap().clone();
    let sampling =
        Sampling { temperature: Some(1.5), top_p: Some(0.9), top_k: Some(40), stop: vec!["END".to_owned(), String::new()], optional };
    snapshot("sampling_parameters", &ChatRequest { sampling, ..with_tools(vec![user("Hi")], vec![]) });
}

#[test]
fn json_schema_answer() {
    let format = ResponseFormat::JsonSchema {
        name: "weather report".to_owned(),
        description: None,
        schema: super::json(
            r#"{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"integer"}},"required":["why","answer"]}"#,
        ),
        strict: Some(true),
    };
    snapshot("json_schema_answer", &ChatRequest { format, ..with_tools(vec![user("Report.")], vec![]) });
}

#[test]
fn cache_marks_in_every_section() {
    let long = CacheMark { ttl: Some(CacheTtl::OneHour) };
    let plain = CacheMark { ttl: None };
    let mut request = tool_loop();
    request.tools.push(Tool::CachePoint(long));
    request.system = vec![SystemBlock::Text("Be brief.".to_owned()), SystemBlock::CachePoint(plain)];
    request.messages[0].content.push(Content::CachePoint(plain));
    request.cache = CachePolicy { messages: true, ..CachePolicy::default() };
    snapshot("cache_marks_in_every_section", &request);
}

#[test]
fn instructions_in_mid_conversation_and_a_begun_answer() {
    let turns = vec![user("Hi"), system("Speak French."), assistant(vec![text("Bon")]), user("More"), assistant(vec![text("Je dis ")])];
    snapshot("instructions_in_mid_conversation_and_a_begun_answer", &instructed(with_tools(turns, vec![]), "Be brief."));
}
