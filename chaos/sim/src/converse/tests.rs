use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::{
    brain::{Block, TurnUsage},
    draw,
    pace::{Pace, Tempo},
};

fn turn() -> Turn {
    Turn {
        blocks: vec![
            Block::Reasoning { text: "first I think about it".to_owned(), signature: "c2lnbmVk".to_owned() },
            Block::Redacted("cmVkYWN0ZWQ=".to_owned()),
            Block::Text("Grüße, a few words and some more of them".to_owned()),
            Block::Cited { text: "cited".to_owned(), citations: json!([{"title": "t", "location": {"web": {"url": "u"}}}]) },
            Block::ToolUse { id: "tooluse_1".to_owned(), name: "lookup".to_owned(), input: json!({"q": "é\n\"", "n": [1, 2]}) },
        ],
        stop_reason: "tool_use",
        stop_sequence: None,
        usage: TurnUsage { input: 10, output: 20, cache_read: 3, cache_write_5m: 4, cache_write_1h: 5, thinking: 6 },
        guardrail_trace: Some(json!({"actionReason": "none"})),
        service_tier: Some("default".to_owned()),
        additional_response_fields: Some(json!({"stop_sequence": null})),
    }
}

fn stream(seed: u64, pace: &Pace) -> Vec<(String, Value)> {
    let echo = Echo { performance: Some("optimized"), latency: Duration::from_millis(7), mark: None };
    turn_events(&turn(), &echo, &mut Tempo::new(*pace, seed, 0), &mut draw::stream(seed, "events", 0))
        .unwrap()
        .into_iter()
        .map(|event| (event.kind.to_owned(), serde_json::from_slice(&event.payload).unwrap()))
        .collect()
}

#[test]
fn an_unstreamed_answer_has_every_member_of_the_model() {
    let echo = Echo { performance: Some("optimized"), latency: Duration::from_millis(7), mark: None };
    let body = answer(&turn(), &echo).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({
            "output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "first I think about it", "signature": "c2lnbmVk"}}},
                {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}},
                {"text": "Grüße, a few words and some more of them"},
                {"citationsContent": {"content": [{"text": "cited"}], "citations": [{"title": "t", "location": {"web": {"url": "u"}}}]}},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "lookup", "input": {"q": "é\n\"", "n": [1, 2]}}},
            ]}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 10, "outputTokens": 20, "totalTokens": 42, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 9,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 5}, {"ttl": "5m", "inputTokens": 4}]},
            "metrics": {"latencyMs": 7},
            "additionalModelResponseFields": {"stop_sequence": null},
            "trace": {"guardrail": {"actionReason": "none"}},
            "performanceConfig": {"latency": "optimized"},
            "serviceTier": {"type": "default"},
        })
    );
}

#[test]
fn streamed_events_come_in_the_order_of_the_service() {
    for seed in 0..50 {
        let events = stream(seed, &Pace::NONE);
        let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds[0], "messageStart");
        assert_eq!(kinds[kinds.len() - 2..], ["messageStop", "metadata"]);
        assert_eq!(kinds.iter().filter(|kind| **kind == "contentBlockStart").count(), 1, "only the tool use opens its block");
        let stops: Vec<u64> = events
            .iter()
            .filter(|(kind, _)| kind == "contentBlockStop")
            .map(|(_, payload)| payload["contentBlockIndex"].as_u64().unwrap())
            .collect();
        assert_eq!(stops, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn deltas_join_to_the_turn_whatever_the_seed() {
    for seed in 0..50 {
        let (mut text, mut thinking, mut signature, mut arguments, mut citations) =
            (String::new(), String::new(), String::new(), String::new(), 0);
        for (_, payload) in stream(seed, &Pace::NONE) {
            let delta = &payload["delta"];
            if payload["contentBlockIndex"] == 2 {
                text.push_str(delta["text"].as_str().unwrap_or(""));
            }
            thinking.push_str(delta["reasoningContent"]["text"].as_str().unwrap_or(""));
            signature.push_str(delta["reasoningContent"]["signature"].as_str().unwrap_or(""));
            arguments.push_str(delta["toolUse"]["input"].as_str().unwrap_or(""));
            citations += usize::from(delta.get("citation").is_some());
        }
        assert_eq!(text, "Grüße, a few words and some more of them");
        assert_eq!((thinking.as_str(), signature.as_str(), citations), ("first I think about it", "c2lnbmVk", 1));
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"q": "é\n\"", "n": [1, 2]}));
    }
}

#[test]
fn every_event_is_padded_with_varying_length() {
    let lengths: BTreeSet<usize> = stream(1, &Pace::NONE).iter().map(|(_, payload)| payload["p"].as_str().unwrap().len()).collect();
    assert!(lengths.len() > 5, "{lengths:?}");
}

#[test]
fn the_pace_shows_in_the_pauses_and_in_the_reported_latency() {
    let pace = Pace::fixed(Duration::ZERO, Duration::from_millis(10));
    let echo = Echo { performance: None, latency: Duration::from_millis(7), mark: None };
    let events = turn_events(&turn(), &echo, &mut Tempo::new(pace, 1, 0), &mut draw::stream(1, "events", 0)).unwrap();
    let deltas = events.iter().filter(|event| event.delta).count() as u64;
    assert!(events.iter().all(|event| event.wait == if event.delta { Duration::from_millis(10) } else { Duration::ZERO }));
    let metadata: Value = serde_json::from_slice(&events.last().unwrap().payload).unwrap();
    assert_eq!(metadata["metrics"]["latencyMs"], 7 + 10 * deltas);
}

fn ran() -> Turn {
    let id = || "tooluse_1".to_owned();
    let outcome = "{\"stdOut\":\"one two three\",\"stdErr\":\"\"}".to_owned();
    Turn {
        blocks: vec![
            Block::SystemToolUse { id: id(), name: "nova_code_interpreter", input: json!({"code": "1"}) },
            Block::SystemToolResult { id: id(), kind: "nova_code_interpreter_result", text: outcome, failed: false },
            Block::Text("So".to_owned()),
            Block::Cited { text: String::new(), citations: json!([{"location": {"web": {"url": "u", "domain": "d"}}}]) },
        ],
        ..turn()
    }
}

#[test]
fn what_bedrock_ran_stands_in_the_turn_and_sources_without_text_behind_theirs() {
    let body: Value =
        serde_json::from_slice(&answer(&ran(), &Echo { performance: None, latency: Duration::ZERO, mark: None }).unwrap()).unwrap();
    assert_eq!(
        body["output"]["message"]["content"],
        json!([
            {"toolUse": {"toolUseId": "tooluse_1", "name": "nova_code_interpreter", "input": {"code": "1"}, "type": "server_tool_use"}},
            {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "{\"stdOut\":\"one two three\",\"stdErr\":\"\"}"}],
                "status": "success", "type": "nova_code_interpreter_result"}},
            {"text": "So"},
            {"citationsContent": {"citations": [{"location": {"web": {"url": "u", "domain": "d"}}}]}},
        ])
    );
}

#[test]
fn what_bedrock_ran_is_streamed_in_blocks_of_its_own() {
    for seed in 0..20 {
        let echo = Echo { performance: None, latency: Duration::ZERO, mark: None };
        let events = turn_events(&ran(), &echo, &mut Tempo::new(Pace::NONE, seed, 0), &mut draw::stream(seed, "events", 0)).unwrap();
        let payloads: Vec<Value> = events.iter().map(|event| serde_json::from_slice(&event.payload).unwrap()).collect();
        let starts: Vec<&Value> = payloads.iter().map(|payload| &payload["start"]).filter(|start| !start.is_null()).collect();
        assert_eq!(
            starts,
            [
                &json!({"toolUse": {"toolUseId": "tooluse_1", "name": "nova_code_interpreter", "type": "server_tool_use"}}),
                &json!({"toolResult": {"toolUseId": "tooluse_1", "type": "nova_code_interpreter_result", "status": "success"}}),
            ]
        );
        let told: String = payloads.iter().filter_map(|payload| payload["delta"]["toolResult"][0]["text"].as_str()).collect();
        assert_eq!(told, "{\"stdOut\":\"one two three\",\"stdErr\":\"\"}");
        let last: Vec<&Value> = payloads.iter().filter(|payload| payload["contentBlockIndex"] == 3).collect();
        assert_eq!((last.len(), &last[0]["delta"]["citation"]["location"]["web"]["url"]), (2, &json!("u")), "a source and its end");
    }
}
