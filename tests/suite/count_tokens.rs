//! Token counts of messages: exact, or none.

use outcrop_sim::{Action, Operation, Rule, ScriptedError};
use serde_json::{Value, json};

use crate::support::{Answer, CLAUDE, EAST, TestGateway, WEST};

const PATHS: [&str; 2] = ["/anthropic/v1/messages/count_tokens", "/v1/messages/count_tokens?beta=true"];

fn asks(model: &str) -> Value {
    json!({"model": model, "system": "Be brief.", "messages": [{"role": "user", "content": "How many tokens is this?"}]})
}

fn refusal(answer: &Answer, status: u16, kind: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

/// The counting calls that AWS has seen: region and path.
fn counts(gateway: &TestGateway) -> Vec<(String, String)> {
    let calls = gateway.simulator.journal().calls().into_iter();
    calls.filter(|call| call.operation == Operation::CountTokens).map(|call| (call.region, call.target)).collect()
}

#[tokio::test]
async fn pain_18_the_count_is_what_an_answer_is_billed_for() {
    let gateway = TestGateway::start().await;
    for (path, model) in PATHS.into_iter().zip([CLAUDE, "us.anthropic.claude-sonnet-4-6"]) {
        let counted = gateway.post(path, &asks(model)).await;
        let tokens = counted.ok()["input_tokens"].as_u64().unwrap();
        let mut answered = asks(model);
        answered["max_tokens"] = 10.into();
        let message = gateway.post("/anthropic/v1/messages", &answered).await.ok();
        assert_eq!(Some(tokens), message["usage"]["input_tokens"].as_u64());
        assert_eq!(counted.header("request-id"), counted.header("x-request-id"));
    }
    let mut tooled = asks(CLAUDE);
    tooled["tools"] = json!([{"name": "weather", "description": "The weather of a city. ".repeat(50), "input_schema": {"type": "object"}}]);
    tooled["thinking"] = json!({"type": "enabled", "budget_tokens": 2_000});
    assert!(gateway.post(PATHS[0], &tooled).await.ok()["input_tokens"].as_u64().unwrap() > 200, "tools count");
    let base = "POST /model/anthropic.claude-sonnet-4-6/count-tokens";
    assert!(counts(&gateway).iter().all(|(_, target)| target == base), "{:?}", counts(&gateway));
    let lines = gateway.records.first(5).await;
    assert_eq!(lines.iter().filter(|line| line.job.as_ref().unwrap().usage.is_none()).count(), 3, "counts are billed to nobody");
    gateway.end().await;
}

#[tokio::test]
async fn pain_18_where_aws_has_no_count_there_is_none() {
    let gateway = TestGateway::start().await;
    for model in ["amazon.nova-lite-v1:0", "claude-opus-4-8"] {
        let words = refusal(&gateway.post(PATHS[0], &asks(model)).await, 404, "not_found_error");
        assert!(words.to_lowercase().contains("count"), "upstream's words: {words}");
    }
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::new(403, "AccessDeniedException", "not authorized to count"))));
    assert_eq!(refusal(&gateway.post(PATHS[0], &asks(CLAUDE)).await, 404, "not_found_error"), "not authorized to count");
    gateway.end().await;
}

#[tokio::test]
async fn a_count_fails_over_and_closes_no_region_to_answers() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::throttling())).region(EAST).operation(Operation::CountTokens));
    assert!(gateway.post(PATHS[0], &asks(CLAUDE)).await.ok()["input_tokens"].is_u64());
    assert_eq!(counts(&gateway).into_iter().map(|(region, _)| region).collect::<Vec<_>>(), [EAST, WEST]);
    let mut answered = asks(CLAUDE);
    answered["max_tokens"] = 10.into();
    gateway.post("/anthropic/v1/messages", &answered).await.ok();
    assert_eq!(gateway.regions(), [EAST], "who was asked too often to count answers all the same");
    gateway.end().await;
}

#[tokio::test]
async fn bad_requests_are_told_in_anthropics_envelope() {
    let gateway = TestGateway::start().await;
    for (body, word) in
        [(json!({"model": CLAUDE}), "messages"), (json!({"messages": asks("x")["messages"]}), "model"), (json!([]), "object")]
    {
        let words = refusal(&gateway.post(PATHS[0], &body).await, 400, "invalid_request_error");
        assert!(words.contains(word), "{word}: {words}");
    }
    refusal(&gateway.post(PATHS[0], &asks("no-such-model")).await, 404, "not_found_error");
    refusal(&gateway.get(PATHS[0]).await, 405, "invalid_request_error");
    refusal(&gateway.post("/anthropic/v1/messages/count_tokens/more", &asks(CLAUDE)).await, 404, "not_found_error");
    assert_eq!(counts(&gateway).len(), 0);
    gateway.end().await;
}
