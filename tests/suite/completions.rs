//! Legacy completions over HTTP: prompts, choices, echo, streams, errors.

use http::Method;
use outcrop_sim::{Action, CutManner, Rule, ScriptedError};
use serde_json::{Value, json};

use crate::{
    bad_input::INVALID,
    support::{Answer, CLAUDE, Client, EAST, TestGateway},
};

const COMPLETIONS: &str = "/v1/completions";

fn prompts(prompt: Value) -> Value {
    json!({"model": CLAUDE, "prompt": prompt})
}

/// A streamed completion, put together.
struct Folded {
    events: Vec<Value>,
    done: bool,
}

impl Folded {
    fn of(answer: &Answer) -> Self {
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream; charset=utf-8")), "{}", answer.text());
        let mut data: Vec<&str> = answer.text().split_terminator("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
        let done = data.last() == Some(&"[DONE]");
        data.truncate(data.len() - usize::from(done));
        Self { events: data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect(), done }
    }

    fn parts(&self, index: u64) -> impl Iterator<Item = &Value> {
        self.events.iter().flat_map(|event| event["choices"].as_array().unwrap()).filter(move |choice| choice["index"] == index)
    }

    fn text(&self, index: u64) -> String {
        self.parts(index).map(|choice| choice["text"].as_str().unwrap()).collect()
    }

    fn finish(&self, index: u64) -> Vec<&str> {
        self.parts(index).filter_map(|choice| choice["finish_reason"].as_str()).collect()
    }
}

async fn streamed(gateway: &TestGateway, body: &Value) -> Folded {
    let mut body = body.clone();
    body["stream"] = true.into();
    Folded::of(&gateway.post(COMPLETIONS, &body).await)
}

fn billed(gateway: &TestGateway) -> (u64, u64) {
    let calls = gateway.calls();
    let billed = calls.iter().map(|call| call.billed.clone().unwrap());
    billed.fold((0, 0), |sum, call| (sum.0 + call.input, sum.1 + call.output))
}

#[tokio::test]
async fn a_completion_has_everything_a_client_reads() {
    let gateway = TestGateway::start().await;
    let answer = gateway.post(COMPLETIONS, &prompts("say exactly: Good morning".into())).await;
    let body = answer.ok();
    assert!(body["id"].as_str().unwrap().starts_with("cmpl-"), "{body}");
    assert_eq!((&body["object"], &body["model"]), (&json!("text_completion"), &json!("anthropic.claude-sonnet-4-6")));
    assert!(body["created"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(body["choices"], json!([{"text": "Good morning", "index": 0, "logprobs": null, "finish_reason": "stop"}]));
    let (input, output) = billed(&gateway);
    assert_eq!(
        (body["usage"]["prompt_tokens"].as_u64(), body["usage"]["completion_tokens"].as_u64(), body["usage"]["total_tokens"].as_u64()),
        (Some(input), Some(output), Some(input + output))
    );
    assert_eq!(answer.header("x-outcrop-model"), Some("anthropic.claude-sonnet-4-6"));
    assert_eq!((answer.header("x-outcrop-region"), answer.header("x-outcrop-adjusted")), (Some(EAST), None));
    gateway.end().await;
}

#[tokio::test]
async fn a_streamed_completion_comes_in_pieces_and_tells_usage_when_asked() {
    let gateway = TestGateway::start().await;
    let mut asks = prompts("say exactly: one two three four five six seven".into());
    let silent = streamed(&gateway, &asks).await;
    assert!(silent.done && silent.events.len() > 3 && silent.events.iter().all(|event| event.get("usage").is_none()));
    assert_eq!((silent.text(0).as_str(), silent.finish(0)), ("one two three four five six seven", vec!["stop"]));
    asks["stream_options"] = json!({"include_usage": true});
    let told = streamed(&gateway, &asks).await;
    let (last, before) = told.events.split_last().unwrap();
    assert!(before.iter().all(|event| event["usage"].is_null() && event["object"] == "text_completion"), "{before:?}");
    assert!(before.iter().all(|event| event["id"] == last["id"] && event["created"] == last["created"]));
    let call = gateway.calls().pop().unwrap().billed.unwrap();
    assert_eq!((&last["choices"], last["usage"]["total_tokens"].as_u64()), (&json!([]), Some(call.input + call.output)));
    gateway.end().await;
}

#[tokio::test]
async fn every_prompt_is_answered_n_times_under_its_own_number() {
    let gateway = TestGateway::start().await;
    let mut asks = prompts(json!(["say exactly: red", "say exactly: green", "say exactly: blue"]));
    asks["n"] = 2.into();
    asks["echo"] = true.into();
    let expected = |index: usize| {
        let word = ["red", "green", "blue"][index / 2];
        format!("say exactly: {word}{word}")
    };
    let body = gateway.post(COMPLETIONS, &asks).await.ok();
    let choices = body["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 6);
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!((choice["index"].as_u64(), choice["text"].as_str().unwrap()), (Some(index as u64), expected(index).as_str()));
    }
    let (input, output) = billed(&gateway);
    assert_eq!((body["usage"]["prompt_tokens"].as_u64(), body["usage"]["completion_tokens"].as_u64()), (Some(input), Some(output)));
    assert_eq!(gateway.calls().len(), 6);

    asks["stream_options"] = json!({"include_usage": true});
    let stream = streamed(&gateway, &asks).await;
    assert!(stream.done);
    for index in 0..6 {
        assert_eq!((stream.text(index), stream.finish(index)), (expected(index as usize), vec!["stop"]), "{index}");
    }
    assert_eq!(stream.events.last().unwrap()["usage"], body["usage"]);
    gateway.idle().await;
    let job = gateway.records.lines().pop().unwrap().job.unwrap();
    assert_eq!(job.attempts, 6, "{job:?}");
    gateway.end().await;
}

#[tokio::test]
async fn limits_and_stop_sequences_end_a_completion_and_say_so() {
    let gateway = TestGateway::start().await;
    let mut asks = prompts("count to 100".into());
    asks["max_tokens"] = 8.into();
    assert_eq!(gateway.post(COMPLETIONS, &asks).await.ok()["choices"][0]["finish_reason"], "length");
    assert_eq!(streamed(&gateway, &asks).await.finish(0), ["length"]);
    let mut asks = prompts("count to 100".into());
    asks["stop"] = json!(["7,"]);
    let body = gateway.post(COMPLETIONS, &asks).await.ok();
    assert_eq!(
        (body["choices"][0]["text"].as_str().unwrap().trim(), &body["choices"][0]["finish_reason"]),
        ("1, 2, 3, 4, 5, 6,", &json!("stop"))
    );
    gateway.end().await;
}

#[tokio::test]
async fn what_is_changed_is_told_and_what_upstream_refuses_is_told_in_its_words() {
    let gateway = TestGateway::builder().set("routing.max_wait=0s").start().await;
    let mut asks = prompts("say exactly: fine".into());
    asks["logprobs"] = 3.into();
    asks["best_of"] = 4.into();
    let answer = gateway.post(COMPLETIONS, &asks).await;
    answer.ok();
    assert_eq!(answer.header("x-outcrop-adjusted"), Some("logprobs=ignored,best_of=ignored"));
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::new(400, "ValidationException", "words that agents match"))));
    let refused = gateway.post(COMPLETIONS, &prompts("x".into())).await;
    assert_eq!(refused.refusal(400, INVALID, None), "words that agents match");
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::throttling())));
    let throttled = gateway.post(COMPLETIONS, &prompts(json!(["x", "y"]))).await;
    throttled.refusal(429, "rate_limit_error", Some("rate_limit_exceeded"));
    assert!(throttled.header("retry-after").is_some() && throttled.header("x-outcrop-attempts").is_some());
    gateway.end().await;
}

#[tokio::test]
async fn one_prompt_that_breaks_ends_the_whole_stream_with_one_error_and_no_done() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(Action::CutAfterEvents { events: 4, manner: CutManner::Close }));
    let asks = prompts(json!(["say exactly: one two three four five six seven eight", "say exactly: short"]));
    let broken = streamed(&gateway, &asks).await;
    assert!(!broken.done);
    let (last, before) = broken.events.split_last().unwrap();
    assert!(last["error"]["message"].is_string() && before.iter().all(|event| event.get("error").is_none()), "{:?}", broken.events);
    gateway.idle().await;
    // What the prompt that did not break has used is on the account.
    assert!(gateway.records.lines().pop().unwrap().job.unwrap().usage.is_some_and(|usage| usage.output > 0));
    gateway.end().await;
}

#[tokio::test]
async fn bad_completion_requests_are_refused_by_name_and_reach_no_model() {
    let gateway = TestGateway::start().await;
    let with = |name: &str, value: Value| {
        let mut body = prompts("x".into());
        body[name] = value;
        body
    };
    let missing = Some("missing_required_parameter");
    for (body, code, param) in [
        (json!({"prompt": "x"}), missing, "model"),
        (json!({"model": "", "prompt": "x"}), missing, "model"),
        (json!({"model": CLAUDE}), missing, "prompt"),
        (prompts("".into()), Some("invalid_value"), "prompt"),
        (prompts(json!([])), Some("invalid_value"), "prompt"),
        (prompts(json!(["a", " "])), Some("invalid_value"), "prompt"),
        (prompts(json!([1, 2, 3])), Some("invalid_value"), "prompt"),
        (prompts(json!(["a", 1])), Some("invalid_type"), "prompt"),
        (prompts(json!({"text": "a"})), Some("invalid_type"), "prompt"),
        (with("n", json!(0)), Some("invalid_value"), "n"),
        (with("n", json!(1_000_000)), Some("invalid_value"), "n"),
        (with("n", json!("two")), Some("invalid_type"), "n"),
        (with("max_tokens", json!(-5)), Some("invalid_value"), "max_tokens"),
        (with("temperature", json!(9)), Some("invalid_value"), "temperature"),
        (with("suffix", json!("the end")), Some("unsupported_parameter"), "suffix"),
        (with("messages", json!([{"role": "user", "content": "x"}])), Some("unsupported_parameter"), "messages"),
        (with("stream", json!("yes")), Some("invalid_type"), "stream"),
    ] {
        let answer = gateway.post(COMPLETIONS, &body).await;
        answer.refusal(400, INVALID, code);
        assert_eq!(answer.param().as_deref(), Some(param), "{body}");
    }
    let many: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    gateway.post(COMPLETIONS, &prompts(json!(many))).await.refusal(400, INVALID, Some("invalid_value"));
    // What stands once in the body and in every call would make gigabytes of megabytes.
    let mut heavy = prompts(json!(["a", "b"]));
    heavy["logit_bias"] = (0..20_000).map(|token| (token.to_string(), json!(1))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(gateway.post(COMPLETIONS, &heavy).await.param().as_deref(), Some("prompt"));
    for bytes in ["", "{", "[]", "null", "{\"model\": 1}", "\u{0}"] {
        let answer = gateway.post_bytes(COMPLETIONS, &[], bytes).await;
        let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
        answer.refusal(400, INVALID, code.as_deref());
    }
    let mut unknown = prompts("x".into());
    unknown["model"] = "no-such-model".into();
    gateway.post(COMPLETIONS, &unknown).await.refusal(404, INVALID, Some("model_not_found"));
    gateway.method(Method::GET, COMPLETIONS).await.refusal(405, INVALID, Some("method_not_allowed"));
    let stranger = Client { key: Some("wrong".to_owned()), ..Client::clone(&gateway) };
    assert_eq!(stranger.post(COMPLETIONS, &prompts("x".into())).await.status, 401);
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_every_call_of_its_completion() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::always(Action::StallAfterEvents { events: 3, pause: std::time::Duration::from_secs(600) }));
    let mut asks = prompts(json!(["count to 50", "count to 60"]));
    asks["stream"] = true.into();
    let headers = [("content-type", "application/json")];
    let mut stream = gateway.send(Method::POST, COMPLETIONS, &headers, asks.to_string().into()).await;
    stream.chunk().await;
    drop(stream);
    gateway.idle().await;
    assert_eq!(gateway.records.lines().pop().unwrap().outcome.as_str(), "cancelled");
    gateway.end().await;
}
