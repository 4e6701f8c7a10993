//! Messages that pass to Claude as their clients wrote them, over HTTP against the simulated InvokeModel.

use std::time::Duration;

use outcrop_gateway::record::JobOutcome;
use outcrop_sim::{Action, CutManner, Operation, Rule, ScriptedError};
use serde_json::{Value, json};

use crate::{
    messages::refusal,
    support::{Answer, CLAUDE, EAST, TestGateway, WEST},
};

const MESSAGES: &str = "/anthropic/v1/messages";

fn says(text: &str) -> Value {
    json!({"model": CLAUDE, "max_tokens": 2_000, "messages": [{"role": "user", "content": text}]})
}

fn streamed(body: &Value) -> Value {
    let mut body = body.clone();
    body["stream"] = true.into();
    body
}

/// The events of a stream, each under its own name.
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream; charset=utf-8")), "{}", answer.text());
    let event = |text: &str| {
        let (name, data) = text.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")).unwrap_or_else(|| panic!("{text:?}"));
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name, "{text}");
        data
    };
    answer.text().split_terminator("\n\n").map(event).collect()
}

/// The message that the events of a stream add up to.
fn gathered(events: &[Value]) -> Value {
    let mut message = events[0]["message"].clone();
    for event in events {
        let position = event["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        match event["type"].as_str().unwrap() {
            "content_block_start" => message["content"].as_array_mut().unwrap().push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = &mut message["content"][position.unwrap()];
                let delta = event["delta"].as_object().unwrap();
                let (name, text) = delta.iter().find(|(name, _)| *name != "type").unwrap();
                let name = if name == "partial_json" { "_json" } else { name };
                let before = block[name].as_str().unwrap_or_default().to_owned();
                block[name] = (before + text.as_str().unwrap()).into();
            }
            "content_block_stop" => {
                let block = message["content"][position.unwrap()].as_object_mut().unwrap();
                if let Some(json) = block.remove("_json") {
                    block.insert("input".to_owned(), serde_json::from_str(json.as_str().unwrap()).unwrap());
                }
            }
            "message_delta" => message["stop_reason"] = event["delta"]["stop_reason"].clone(),
            _ => {}
        }
    }
    message
}

#[tokio::test]
async fn a_body_reaches_claude_to_the_byte_but_for_its_envelope() {
    let gateway = TestGateway::start().await;
    let body = r#"{ "stop_sequences" : ["\u00e9nd"], "model":"claude-sonnet-4-6",
  "context_management": {"edits":[{"type":"clear_tool_uses_20250919", "keep":{"type":"tool_uses","value":3}}]},
  "system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}],
  "anthropic_beta":["context-management-2025-06-27"], "max_tokens":200, "temperature":0.50,
  "messages":[ {"role":"user","content":[{"text":"say exactly: caf\u00e9","type":"text"}]} ], "stream":false }"#;
    let answer = gateway.post_bytes(MESSAGES, &[], body).await;
    let message = answer.ok();
    assert_eq!(message["content"], json!([{"type": "text", "text": "café"}]));
    assert!(message["id"].as_str().unwrap().starts_with("msg_bdrk_"), "as the model wrote it: {message}");
    assert_eq!(message["context_management"], json!({"applied_edits": []}));
    let call = gateway.calls().remove(0);
    let expected = body.replace(" \"model\":\"claude-sonnet-4-6\",\n ", "").replace(", \"stream\":false", "").replacen(
        "{ \"stop",
        "{ \"anthropic_version\":\"bedrock-2023-05-31\",\"stop",
        1,
    );
    assert_eq!(without_space(std::str::from_utf8(&call.body).unwrap()), without_space(&expected));
    assert!(std::str::from_utf8(&call.body).unwrap().contains(r#""stop_sequences" : ["\u00e9nd"]"#), "not a byte of it");
    assert_eq!(call.target, "POST /model/us.anthropic.claude-sonnet-4-6/invoke");
    assert_eq!((answer.header("x-outcrop-adjusted"), answer.header("x-outcrop-model")), (None, Some("anthropic.claude-sonnet-4-6")));
    let job = gateway.records.only().await.job.unwrap();
    let usage = job.usage.unwrap();
    assert_eq!(
        (Some(usage.input), Some(usage.output)),
        (message["usage"]["input_tokens"].as_u64(), message["usage"]["output_tokens"].as_u64())
    );
    assert!(!job.estimated && job.cost.unwrap().0 > 0);
    gateway.end().await;
}

fn without_space(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

#[tokio::test]
async fn pain_24_a_stream_tells_its_input_at_once_and_shows_nothing_of_bedrocks_own() {
    let gateway = TestGateway::start().await;
    let answer = gateway.post(MESSAGES, &streamed(&says("say exactly: one two three four five"))).await;
    let events = events(&answer);
    let billed = gateway.calls()[0].billed.clone().unwrap();
    assert_eq!(events[0]["message"]["usage"]["input_tokens"].as_u64(), Some(billed.input));
    assert!(!answer.text().contains("amazon-bedrock"), "{}", answer.text());
    let message = gathered(&events);
    assert_eq!(message["content"], json!([{"type": "text", "text": "one two three four five"}]));
    let names: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).filter(|name| *name != "ping").collect();
    assert_eq!((names[0], names[names.len() - 1]), ("message_start", "message_stop"));
    let job = gateway.records.only().await.job.unwrap();
    assert_eq!((job.usage.unwrap().input, job.usage.unwrap().output, job.estimated), (billed.input, billed.output, false));
    gateway.end().await;
}

#[tokio::test]
async fn an_agents_session_keeps_its_signatures_tools_and_cache_over_many_turns() {
    let gateway = TestGateway::start().await;
    let system = json!([{"type": "text", "text": "You are a helper. ".repeat(900), "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let weather = json!({"name": "get_weather", "description": "The weather of a city.", "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}});
    let mut messages: Vec<Value> = Vec::new();
    for turn in 0..6 {
        let city = ["Paris", "London", "Tokyo"][turn % 3];
        messages.push(json!({"role": "user", "content": format!("What is the weather in {city}?")}));
        for step in 0..2 {
            let body = json!({"model": CLAUDE, "max_tokens": 4_000, "system": system, "tools": [weather], "messages": messages,
                "thinking": {"type": "enabled", "budget_tokens": 1_024}});
            let message = if (turn + step) % 2 == 0 {
                gateway.post(MESSAGES, &body).await.ok()
            } else {
                gathered(&events(&gateway.post(MESSAGES, &streamed(&body)).await))
            };
            let blocks = message["content"].as_array().unwrap().clone();
            messages.push(json!({"role": "assistant", "content": blocks}));
            if step == 0 {
                assert_eq!(message["stop_reason"], "tool_use", "turn {turn}: {message}");
                let results: Vec<Value> = blocks
                    .iter()
                    .filter(|block| block["type"] == "tool_use")
                    .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"}))
                    .collect();
                messages.push(json!({"role": "user", "content": results}));
            }
        }
    }
    let calls = gateway.calls();
    assert_eq!(calls.len(), 12, "no call was refused and made again");
    assert!(
        calls.iter().skip(1).all(|call| call.billed.as_ref().is_some_and(|billed| billed.cache_read > 1_000)),
        "the prefix stays cached"
    );
    gateway.end().await;
}

#[tokio::test]
async fn pain_01_flags_of_an_agent_are_sorted_and_an_unknown_one_costs_one_refusal() {
    let gateway = TestGateway::start().await;
    let flags = [("anthropic-beta", "claude-code-20250219,oauth-2025-04-20,brand-new-2027-01-01")];
    let first = gateway.post_with(MESSAGES, &flags, &says("say exactly: healed")).await;
    assert_eq!(first.ok()["content"][0]["text"], "healed");
    assert_eq!(first.header("x-outcrop-attempts"), Some("2"));
    let adjusted = first.header("x-outcrop-adjusted").unwrap();
    assert!(adjusted.contains("anthropic_beta=dropped:claude-code-20250219"), "{adjusted}");
    assert!(adjusted.contains("anthropic_beta=refused:brand-new-2027-01-01"), "{adjusted}");
    assert_eq!(gateway.regions(), [EAST, EAST]);
    crate::support::eventually("the flag is remembered", async || {
        gateway.ports().describe().await.refused_flags.is_some_and(|known| known.flags == 1)
    })
    .await;
    let second = gateway.post_with(MESSAGES, &flags, &says("say exactly: learned")).await;
    assert_eq!((second.ok()["content"][0]["text"].as_str(), second.header("x-outcrop-attempts")), (Some("learned"), Some("1")));
    gateway.end().await;
}

#[tokio::test]
async fn pain_11_thinking_of_another_model_ends_no_session() {
    let gateway = TestGateway::start().await;
    let mut asks = says("say exactly: still here");
    asks["messages"] = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "mine", "signature": "c2lnbmVkIGVsc2V3aGVyZQ=="}, {"type": "text", "text": "hi"}]},
        {"role": "user", "content": "say exactly: still here"},
    ]);
    let answer = gateway.post(MESSAGES, &asks).await;
    assert_eq!(answer.ok()["content"][0]["text"], "still here");
    assert_eq!((answer.header("x-outcrop-attempts"), answer.header("x-outcrop-adjusted")), (Some("2"), Some("messages.thinking=stripped")));
    let events = events(&gateway.post(MESSAGES, &streamed(&asks)).await);
    assert_eq!(gathered(&events)["content"][0]["text"], "still here");
    gateway.end().await;
}

#[tokio::test]
async fn what_fails_before_its_first_event_is_answered_by_the_next_region() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::throttling())).region(EAST));
    let exception = Action::ExceptionFrame { after_events: 0, kind: "throttlingException".to_owned(), message: "slow down".to_owned() };
    gateway.simulator.script(Rule::once(exception).region(WEST).operation(Operation::InvokeModelWithResponseStream));
    let answer = gateway.post(MESSAGES, &streamed(&says("say exactly: third time"))).await;
    assert_eq!(gathered(&events(&answer))["content"][0]["text"], "third time");
    assert_eq!((answer.header("x-outcrop-attempts"), gateway.calls().len()), (Some("3"), 3));
    gateway.end().await;
}

#[tokio::test]
async fn pain_21_however_a_stream_breaks_it_ends_in_an_error_event_and_is_booked() {
    let (after_events, events_before) = (5, 5);
    for action in [
        Action::ExceptionFrame { after_events, kind: "modelStreamErrorException".to_owned(), message: "the model stumbled".to_owned() },
        Action::CutAfterEvents { events: events_before, manner: CutManner::Close },
    ] {
        let gateway = TestGateway::builder().set("server.keep_alive_interval=1s").start().await;
        gateway.simulator.script(Rule::once(action));
        let events = events(&gateway.post(MESSAGES, &streamed(&says("count to 40"))).await);
        let last = events.last().unwrap();
        assert_eq!((&last["type"], last["request_id"].is_string()), (&json!("error"), true), "{last}");
        assert!(events.iter().all(|event| event["type"] != "message_stop"));
        let job = gateway.records.only().await.job.unwrap();
        assert_eq!(
            (job.outcome, job.estimated, Some(job.usage.unwrap().input)),
            (JobOutcome::Failed, true, events[0]["message"]["usage"]["input_tokens"].as_u64())
        );
        gateway.end().await;
    }
}

#[tokio::test]
async fn pain_21_a_claude_without_capacity_says_so_by_its_own_word() {
    let gateway = TestGateway::builder().set("routing.max_wait=0s").start().await;
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#.to_owned();
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [], "stop_reason": null, "usage": {"input_tokens": 9, "output_tokens": 1}}});
    gateway.simulator.script(Rule::once(Action::AnswerChunks(vec![start.to_string(), overloaded.clone()])));
    let broken = events(&gateway.post(MESSAGES, &streamed(&says("hello"))).await);
    assert_eq!(broken.last().unwrap()["error"], json!({"type": "overloaded_error", "message": "Overloaded"}));
    gateway.simulator.script(Rule::always(Action::AnswerChunks(vec![overloaded])));
    let mut asks = streamed(&says("hello"));
    asks["model"] = "claude-opus-4-6".into();
    let refused = gateway.post(MESSAGES, &asks).await;
    assert_eq!(refusal(&refused, 529, "overloaded_error"), "Overloaded");
    assert!(gateway.regions().len() > 2, "every region was asked: {:?}", gateway.regions());
    gateway.end().await;
}

#[tokio::test]
async fn what_claude_would_refuse_of_an_agents_body_is_mended_on_the_way() {
    let gateway = TestGateway::start().await;
    let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
    let mut later = tool("later");
    later["defer_loading"] = true.into();
    let called = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "functions.Bash:0", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.Bash:0", "content": "say exactly: mended"}]},
    ]);
    for (model, members, adjusted) in [
        ("claude-opus-4-5", json!({"output_config": {"effort": "low"}}), None),
        ("claude-opus-4-5", json!({"output_config": {"effort": "max"}}), Some("output_config.effort=clamped")),
        ("claude-opus-4-6", json!({"output_config": {"effort": "xhigh"}}), Some("output_config.effort=clamped")),
        ("claude-sonnet-4-5", json!({"output_config": {"effort": "low"}}), Some("output_config.effort=dropped")),
        (CLAUDE, json!({"thinking": {"type": "between_tools"}}), Some("thinking.type=disabled")),
        (CLAUDE, json!({"messages": called, "tools": [tool("Bash")]}), Some("messages.tool_call_id=renamed")),
        (
            CLAUDE,
            json!({"tools": [tool("now"), later], "anthropic_beta": ["tool-search-tool-2025-10-19"],
            "prompt_caching": {"tools": true}}),
            None,
        ),
    ] {
        let mut asks = says("say exactly: mended");
        asks["model"] = model.into();
        asks.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let answer = gateway.post(MESSAGES, &asks).await;
        assert_eq!(answer.ok()["type"], "message", "{members}");
        let told = (answer.header("x-outcrop-adjusted"), answer.header("x-outcrop-attempts"));
        assert_eq!(told, (adjusted, Some("1")), "{model} {members}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn pain_22_a_silent_stream_is_kept_alive_by_pings() {
    let gateway = TestGateway::builder().set("server.keep_alive_interval=1s").start().await;
    gateway.simulator.script(Rule::once(Action::StallAfterEvents { events: 4, pause: Duration::from_millis(2_500) }));
    let stalled = events(&gateway.post(MESSAGES, &streamed(&says("count to 20"))).await);
    assert!(stalled.iter().filter(|event| event["type"] == "ping").count() >= 2, "{stalled:?}");
    assert_eq!(stalled.last().unwrap()["type"], "message_stop");
    gateway.end().await;
}

#[tokio::test]
async fn pain_25_a_client_that_leaves_closes_the_call() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(Action::StallAfterEvents { events: 4, pause: Duration::from_secs(60) }));
    let body = streamed(&says("count to 200")).to_string();
    let stream = gateway.client.send(http::Method::POST, MESSAGES, &[("content-type", "application/json")], body.into()).await;
    assert_eq!(stream.head.status, 200);
    drop(stream);
    let job = gateway.records.only().await.job.unwrap();
    assert_eq!(job.outcome, JobOutcome::Cancelled);
    gateway.end().await;
}

#[tokio::test]
async fn a_chain_leads_from_claude_to_a_model_behind_the_hub() {
    let alias = r#"models.aliases={"mine" = {model = "claude-sonnet-4-6", fallback = ["amazon.nova-lite-v1:0"]}}"#;
    let gateway = TestGateway::builder().set(alias).set("routing.max_wait=0s").start().await;
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::throttling())).operation(Operation::InvokeModel));
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::throttling())).operation(Operation::InvokeModelWithResponseStream));
    let mut asks = says("say exactly: from nova");
    asks["model"] = "mine".into();
    let answer = gateway.post(MESSAGES, &asks).await;
    assert_eq!(answer.ok()["content"][0]["text"], "from nova");
    assert_eq!(answer.header("x-outcrop-model"), Some("amazon.nova-lite-v1:0"));
    assert_eq!(gateway.calls().last().unwrap().operation, Operation::Converse);
    let events = events(&gateway.post(MESSAGES, &streamed(&asks)).await);
    assert_eq!(gathered(&events)["content"][0]["text"], "from nova");
    gateway.end().await;
}

#[tokio::test]
async fn wishes_in_headers_and_body_become_headers_of_the_call() {
    let gateway = TestGateway::start().await;
    let headers = [("x-amzn-bedrock-guardrailidentifier", "abc123"), ("x-amzn-bedrock-guardrailversion", "1")];
    let blocked = gateway.post_with(MESSAGES, &headers, &says("say exactly: BLOCKME")).await.ok();
    assert_eq!(blocked["amazon-bedrock-guardrailAction"], "INTERVENED", "{blocked}");
    let mut asks = says("say exactly: labelled");
    asks["service_tier"] = "auto".into();
    asks["requestMetadata"] = json!({"team": "blue"});
    assert_eq!(gateway.post(MESSAGES, &asks).await.ok()["content"][0]["text"], "labelled");
    assert!(gateway.bodies()[1].get("requestMetadata").is_none());
    gateway.end().await;
}

#[tokio::test]
async fn a_long_history_passes_off_the_runtimes_threads() {
    let gateway = TestGateway::start().await;
    let mut asks = says("say exactly: read it all");
    let turns: Vec<Value> = (0..40)
        .map(|turn| json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": format!("turn {turn} {}", "word ".repeat(1_500))}))
        .chain([json!({"role": "user", "content": "say exactly: read it all"})])
        .collect();
    asks["messages"] = turns.into();
    assert_eq!(gateway.post(MESSAGES, &asks).await.ok()["content"][0]["text"], "read it all");
    assert_eq!(
        gateway.calls()[0].body_bytes,
        asks.to_string().len() - ",\"model\":\"claude-sonnet-4-6\"".len() + "\"anthropic_version\":\"bedrock-2023-05-31\",".len()
    );
    gateway.end().await;
}
