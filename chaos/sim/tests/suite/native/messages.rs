//! Messages as Anthropic's clients read them.

use std::time::Duration;

use outcrop_sim::{
    Action, Operation, Outcome, Pace, Rule, Simulator,
    brain::{Block, Turn, TurnUsage},
};

use super::*;
use crate::support::{CLAUDE_HELLO, connect, simulator, turn};

/// A turn with every kind of block.
fn rich() -> Turn {
    Turn {
        blocks: vec![
            Block::Reasoning { text: "let me see what fits".to_owned(), signature: "c2lnbmVk".to_owned() },
            Block::Reasoning { text: String::new(), signature: "aGlkZGVu".to_owned() },
            Block::Redacted("cmVkYWN0ZWQ=".to_owned()),
            Block::Text("Grüße aus der Simulation, in mehreren Wörtern".to_owned()),
            Block::Cited {
                text: "as the page says".to_owned(),
                citations: json!([{"title": "Page", "sourceContent": [{"text": "says"}], "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}}}]),
            },
            Block::Native(
                json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_regex", "input": {"query": "x"}, "new": null}),
            ),
            Block::ToolUse { id: "toolu_1".to_owned(), name: "lookup".to_owned(), input: json!({"q": "é\n\"x\"", "n": [1, null]}) },
            Block::ToolUse { id: "toolu_2".to_owned(), name: "now".to_owned(), input: json!({}) },
        ],
        stop_reason: "tool_use",
        stop_sequence: None,
        usage: TurnUsage { input: 10, output: 20, cache_read: 3, cache_write_5m: 4, cache_write_1h: 5, thinking: 6 },
        guardrail_trace: None,
        service_tier: None,
        additional_response_fields: None,
    }
}

#[tokio::test]
async fn a_whole_message_has_every_member() {
    let simulator = simulator().await;
    simulator.script(Rule::once(Action::Answer(rich())));
    let message = parsed(&invoke(&simulator, CLAUDE, &hello()).await.unwrap());
    assert!(message["id"].as_str().is_some_and(|id| id.starts_with("msg_bdrk_") && id.len() == 31), "{}", message["id"]);
    assert_eq!(
        (&message["type"], &message["role"], &message["model"]),
        (&json!("message"), &json!("assistant"), &json!("claude-sonnet-4-5-20250929"))
    );
    assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&json!("tool_use"), &Value::Null));
    assert_eq!(
        message["usage"],
        json!({"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 9,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
            "output_tokens_details": {"thinking_tokens": 6}, "server_tool_use": {"tool_search_requests": 1}})
    );
    assert_eq!(
        message["content"],
        json!([
            {"type": "thinking", "thinking": "let me see what fits", "signature": "c2lnbmVk"},
            {"type": "thinking", "thinking": "", "signature": "aGlkZGVu"},
            {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
            {"type": "text", "text": "Grüße aus der Simulation, in mehreren Wörtern"},
            {"type": "text", "text": "as the page says", "citations": [
                {"type": "char_location", "cited_text": "says", "document_index": 0, "document_title": "Page", "start_char_index": 1, "end_char_index": 2}]},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_regex", "input": {"query": "x"}, "new": null},
            {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"q": "é\n\"x\"", "n": [1, null]}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        ])
    );
}

#[tokio::test]
async fn a_stream_says_what_the_whole_message_says_whatever_the_seed() {
    let (mut pings, mut whole_usages) = (0, 0);
    for seed in 0..24 {
        let simulator = Simulator::builder().region(EAST, 0).seed(seed).in_memory().unwrap();
        simulator.script(Rule::always(Action::Answer(rich())));
        let events = ask(&simulator, "invoke-with-response-stream", &hello()).await.natives();
        let mut whole = ask(&simulator, "invoke", &hello()).await.json();
        let mut streamed = gathered(&events);
        // The extras of the usage come with the end, if it repeats the input.
        for message in [&mut whole, &mut streamed] {
            message["id"] = Value::Null;
            for key in ["output_tokens_details", "server_tool_use"] {
                message["usage"].as_object_mut().unwrap().remove(key);
            }
        }
        assert_eq!(streamed, whole, "seed {seed}");
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!((kinds[0], &kinds[kinds.len() - 2..]), ("message_start", &["message_delta", "message_stop"][..]));
        pings += kinds.iter().filter(|kind| **kind == "ping").count();
        let end = &events[events.len() - 2]["usage"];
        whole_usages += usize::from(end.get("input_tokens").is_some());
        let begun = &events[0]["message"]["usage"];
        assert_eq!(counts_of(begun)[0], 10, "the input is known from the first event on");
        assert!((1..=8).contains(&counts_of(begun)[1]));
        let metrics = &events[events.len() - 1]["amazon-bedrock-invocationMetrics"];
        assert_eq!((&metrics["inputTokenCount"], &metrics["outputTokenCount"]), (&json!(10), &json!(20)));
        assert_eq!((&metrics["cacheReadInputTokenCount"], &metrics["cacheWriteInputTokenCount"]), (&json!(3), &json!(9)));
    }
    assert!((4..=20).contains(&pings) && (4..=20).contains(&whole_usages), "{pings} pings, {whole_usages} whole usages");
}

#[tokio::test]
async fn the_sdk_sees_the_bytes_that_are_on_the_wire() {
    let (first, second) = (simulator().await, simulator().await);
    for simulator in [&first, &second] {
        simulator.script(Rule::always(Action::Answer(rich())));
    }
    let raw = exchange_on(&mut connect(&second, EAST).await, &post(&claude_path("invoke"), CLAUDE_HELLO)).await.unwrap();
    assert_eq!(invoke(&first, CLAUDE, &hello()).await.unwrap(), raw.body);
    let raw =
        exchange_on(&mut connect(&second, EAST).await, &post(&claude_path("invoke-with-response-stream"), CLAUDE_HELLO)).await.unwrap();
    let sdk = stream(&first, CLAUDE, &hello()).await;
    assert_eq!(raw.header("content-type").as_deref(), Some("application/vnd.amazon.eventstream"));
    assert_eq!(raw.header("x-amzn-bedrock-content-type").as_deref(), Some("application/json"));
    let (raw, mut sdk) = (raw.natives(), sdk.iter().map(|bytes| parsed(bytes)).collect::<Vec<_>>());
    assert_eq!(raw.len(), sdk.len());
    // Latencies are those of the machine.
    let key = "amazon-bedrock-invocationMetrics";
    let last = sdk.len() - 1;
    for latency in ["invocationLatency", "firstByteLatency"] {
        assert!(sdk[last][key][latency].is_u64());
        sdk[last][key][latency] = raw[last][key][latency].clone();
    }
    assert_eq!(raw, sdk);
}

#[tokio::test(start_paused = true)]
async fn headers_and_metrics_tell_the_counts_and_the_time() {
    let pace = Pace::fixed(Duration::from_millis(500), Duration::from_millis(20));
    let simulator = Simulator::builder().region(EAST, 0).seed(7).pace(pace).in_memory().unwrap();
    simulator.script(Rule::always(Action::Answer(Turn { usage: rich().usage, ..turn("some words and some more") })));
    let seen = ask(&simulator, "invoke", &hello()).await;
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-amzn-bedrock-input-token-count", "10"),
        ("x-amzn-bedrock-output-token-count", "20"),
        ("x-amzn-bedrock-cache-read-input-token-count", "3"),
        ("x-amzn-bedrock-cache-write-input-token-count", "9"),
        ("x-amzn-bedrock-invocation-latency", "640"),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
    let events = ask(&simulator, "invoke-with-response-stream", &hello()).await.natives();
    let deltas = events.iter().filter(|event| event["type"] == "content_block_delta").count() as u64;
    let metrics = &events.last().unwrap()["amazon-bedrock-invocationMetrics"];
    assert_eq!((metrics["firstByteLatency"].as_u64(), metrics["invocationLatency"].as_u64()), (Some(500), Some(500 + 20 * deltas)));
}

#[tokio::test]
async fn an_answer_ends_where_it_was_told_to() {
    let simulator = simulator().await;
    let question = json!([{"role": "user", "content": "say exactly: one two three four"}]);
    for (members, text, reason, sequence) in [
        (json!({}), "one two three four", "end_turn", Value::Null),
        (json!({"stop_sequences": ["three", "x"]}), "one two ", "stop_sequence", json!("three")),
        (json!({"max_tokens": 2}), "one two ", "max_tokens", Value::Null),
    ] {
        let body = claude(question.clone(), members);
        let whole = parsed(&invoke(&simulator, CLAUDE, &body).await.unwrap());
        let streamed = gathered(&stream(&simulator, CLAUDE, &body).await.iter().map(|bytes| parsed(bytes)).collect::<Vec<_>>());
        for message in [whole, streamed] {
            assert_eq!(message["content"], json!([{"type": "text", "text": text}]));
            assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&json!(reason), &sequence));
        }
    }
}

#[tokio::test]
async fn refusals_of_aws_reach_the_sdk_in_anthropics_words() {
    let simulator = simulator().await;
    let mut foreign = hello();
    foreign["stream"] = json!(true);
    let validation = |text: &str| Err((Some("ValidationException".to_owned()), Some(text.to_owned())));
    assert_eq!(invoke(&simulator, CLAUDE, &foreign).await, validation("stream: Extra inputs are not permitted"));
    let mut flagged = hello();
    flagged["anthropic_beta"] = json!(["oauth-2025-04-20"]);
    assert_eq!(invoke(&simulator, CLAUDE, &flagged).await, validation("invalid beta flag"));
    let fault = invoke(&simulator, bare(), &hello()).await.unwrap_err();
    assert!(fault.1.unwrap().contains("on-demand throughput isn't supported"));
    let calls = simulator.journal().calls();
    assert!(calls.iter().all(|call| call.operation == Operation::InvokeModel && call.billed.is_none()));
    assert!(matches!(&calls[1].outcome, Outcome::Refused { status: 400, .. }));
}

#[tokio::test]
async fn a_guardrail_of_the_headers_watches_the_call() {
    let simulator = simulator().await;
    let ask = async |text: &str| {
        let body = claude(json!([{"role": "user", "content": text}]), json!({}));
        let call = runtime(&simulator, EAST).invoke_model().model_id(CLAUDE).body(blob(&body));
        let call = call.guardrail_identifier("gr1").guardrail_version("1").trace(aws_sdk_bedrockruntime::types::Trace::Enabled);
        parsed(call.send().await.unwrap().body.as_ref())
    };
    let passed = ask("hello").await;
    assert_eq!(passed["amazon-bedrock-guardrailAction"], "NONE");
    let blocked = ask("BLOCKME please").await;
    assert_eq!((&blocked["amazon-bedrock-guardrailAction"], &blocked["stop_reason"]), (&json!("INTERVENED"), &json!("end_turn")));
    assert_eq!(blocked["content"][0]["text"], "Sorry, the model cannot answer this question.");
    assert!(blocked["amazon-bedrock-trace"]["guardrail"]["inputAssessment"]["gr1"].is_object());
    assert!(parsed(&invoke(&simulator, CLAUDE, &hello()).await.unwrap()).get("amazon-bedrock-guardrailAction").is_none());
    let alone = runtime(&simulator, EAST).invoke_model().model_id(CLAUDE).body(blob(&hello())).guardrail_identifier("gr1").send().await;
    assert!(alone.unwrap_err().into_service_error().message().unwrap().contains("guardrailVersion"));
}

#[tokio::test]
async fn latency_and_tier_of_the_headers_are_judged_and_echoed() {
    use aws_sdk_bedrockruntime::types::{PerformanceConfigLatency, ServiceTierType};
    let simulator = simulator().await;
    let call = || runtime(&simulator, EAST).invoke_model().model_id(CLAUDE).body(blob(&hello()));
    let answer =
        call().service_tier(ServiceTierType::Priority).performance_config_latency(PerformanceConfigLatency::Standard).send().await.unwrap();
    assert_eq!(answer.service_tier, Some(ServiceTierType::Priority));
    assert_eq!(answer.performance_config_latency, Some(PerformanceConfigLatency::Standard));
    let fault = call().performance_config_latency(PerformanceConfigLatency::Optimized).send().await.unwrap_err().into_service_error();
    assert!(fault.message().unwrap().contains("Latency performance configuration is not supported"));
    let fault = call().service_tier(ServiceTierType::from("gold")).send().await.unwrap_err().into_service_error();
    assert!(fault.message().unwrap().contains("Member must satisfy enum value set: [priority, default, flex, reserved]"));
}

#[tokio::test]
async fn the_sdk_knows_the_exceptions_inside_a_stream() {
    let simulator = simulator().await;
    for kind in ["throttlingException", "modelTimeoutException", "modelStreamErrorException", "internalServerException"] {
        let action = Action::ExceptionFrame { after_events: 3, kind: kind.to_owned(), message: "not today".to_owned() };
        simulator.script(Rule::once(action).and(Action::Answer(turn("one two three four five"))));
        let call = runtime(&simulator, EAST).invoke_model_with_response_stream().model_id(CLAUDE).body(blob(&hello()));
        let mut output = call.send().await.unwrap();
        for _ in 0..3 {
            assert!(output.body.recv().await.unwrap().is_some());
        }
        let fault = output.body.recv().await.unwrap_err().into_service_error();
        let shown = format!("{fault:?}");
        assert!(shown[..kind.len()].eq_ignore_ascii_case(kind), "{shown}");
        assert_eq!(fault.meta().message(), Some("not today"));
    }
}
