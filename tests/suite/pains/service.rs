//! Errors, caches, costs, streams, names of models.

use outcrop_sim::{Action, Chunking, CutManner, Rule, ScriptedError};
use serde_json::{Value, json};

use super::{called, result, user};
use crate::{
    chat::says,
    messages::{MESSAGES, refusal},
    support::{CLAUDE, EAST, EUROPE, TestGateway},
    tools::{asking, calls, weather},
};

/// Where a body has cache points: the JSON pointers of the elements.
fn cache_points(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) if members.contains_key("cachePoint") => found.push(at.to_owned()),
        Value::Object(members) => members.iter().for_each(|(name, member)| cache_points(member, &format!("{at}/{name}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| cache_points(item, &format!("{at}/{index}"), found)),
        _ => {}
    }
}

#[tokio::test]
async fn pain_08_upstream_words_pass_unchanged_and_overflow_has_its_code() {
    let gateway = TestGateway::start().await;
    for (words, code) in [
        ("messages.1.content.0.thinking.signature: Field required", None),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens`",
            Some("context_length_exceeded"),
        ),
        ("Input is too long for requested model.", Some("context_length_exceeded")),
    ] {
        gateway.simulator.script(Rule::once(Action::Error(ScriptedError::new(400, "ValidationException", words))));
        assert_eq!(gateway.chat(&says("hello")).await.refusal(400, "invalid_request_error", code), words);
    }
    assert_eq!(gateway.regions(), [EAST, EAST, EAST]);
    gateway.end().await;
}

#[tokio::test]
async fn pain_08_a_full_context_of_another_model_is_told_to_agents_in_claudes_words() {
    let gateway = TestGateway::start().await;
    let asks = |model: &str, words: usize, stream: bool| json!({"model": model, "max_tokens": 4_096, "stream": stream, "messages": [user(&"word ".repeat(words))]});
    for stream in [false, true] {
        let answer = gateway.post(MESSAGES, &asks("nova-micro", 140_000, stream)).await;
        let words = refusal(&answer, 400, "invalid_request_error");
        assert!(words.starts_with("prompt is too long: ") && words.ends_with(" tokens > 128000 maximum"), "{words}");
    }
    let full = |words: &str| gateway.simulator.script(Rule::once(Action::Error(ScriptedError::new(400, "ValidationException", words))));
    full(
        "This model's maximum context length is 131072 tokens. However, you requested 132096 tokens (128000 in the messages, 4096 in the completion).",
    );
    let words = refusal(&gateway.post(MESSAGES, &asks("qwen3-32b", 1, false)).await, 400, "invalid_request_error");
    assert!(words.starts_with("input length and `max_tokens` exceed context limit: 128000 + 4096 > 131072"), "{words}");
    // Claude's words are Claude's, and what a client of another dialect reads is the model's own.
    let own = "Input is too long for requested model.";
    full(own);
    assert_eq!(refusal(&gateway.post(MESSAGES, &asks(CLAUDE, 1, false)).await, 400, "invalid_request_error"), own);
    let answer = gateway.chat(&asks("nova-micro", 140_000, false)).await;
    assert_eq!(answer.refusal(400, "invalid_request_error", Some("context_length_exceeded")), own);
    assert_eq!(gateway.calls().len(), 5, "no other region is asked");
    gateway.end().await;
}

#[tokio::test]
async fn pain_09_every_upstream_error_has_its_status() {
    let gateway = TestGateway::builder().regions([EAST]).set("routing.max_wait=0s").start().await;
    for (model, (status, error_type), told, kind) in [
        ("claude-sonnet-4-6", (429, "ThrottlingException"), 429, "rate_limit_error"),
        ("claude-opus-4-6", (503, "ServiceUnavailableException"), 503, "server_error"),
        ("claude-opus-4-7", (500, "InternalServerException"), 500, "server_error"),
        ("claude-opus-4-8", (429, "ModelNotReadyException"), 503, "server_error"),
        ("claude-haiku-4-5", (408, "ModelTimeoutException"), 504, "server_error"),
        ("claude-haiku-5-5", (400, "ValidationException"), 400, "invalid_request_error"),
        ("claude-fable-5", (403, "AccessDeniedException"), 403, "permission_error"),
        ("claude-opus-5", (404, "ResourceNotFoundException"), 404, "invalid_request_error"),
        ("nova-lite", (400, "ServiceQuotaExceededException"), 429, "insufficient_quota"),
        ("nova-pro", (424, "ModelErrorException"), 502, "server_error"),
    ] {
        let rule = gateway.simulator.script(Rule::always(Action::Error(ScriptedError::new(status, error_type, "the very words"))));
        let answer = gateway.chat(&json!({"model": model, "messages": [user("hello")]})).await;
        gateway.simulator.unscript(rule);
        let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
        assert_eq!(answer.refusal(told, kind, code.as_deref()), "the very words", "{error_type}");
        assert_eq!(told == 429, matches!(code.as_deref(), Some("rate_limit_exceeded" | "insufficient_quota")), "{error_type}: {code:?}");
        assert!(told != 429 || answer.header("retry-after").is_some(), "{error_type}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn pain_12_cache_marks_reach_the_model_wherever_they_stand() {
    let gateway = TestGateway::start().await;
    let mark = json!({"type": "ephemeral"});
    let mut tool = weather("get_weather");
    tool["cache_control"] = mark.clone();
    let mut marked_result = result("c1", "sunny");
    marked_result["content"] = json!([{"type": "text", "text": "sunny", "cache_control": mark}]);
    let request = json!({"model": CLAUDE, "tools": [tool], "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": mark}]},
        {"role": "user", "content": [{"type": "text", "text": "weather?", "cache_control": mark}]},
        called("get_weather", "{}", &["c1"]),
        marked_result,
    ]});
    gateway.completion(&request).await;
    let mut found = Vec::new();
    cache_points(&gateway.body(), "", &mut found);
    found.sort();
    assert_eq!(found, ["/messages/0/content/1", "/messages/2/content/1", "/system/1", "/toolConfig/tools/1"]);
    gateway.end().await;
}

#[tokio::test]
async fn pain_14_a_cache_lifetime_is_kept_where_it_is_known_and_dropped_where_not() {
    let gateway = TestGateway::start().await;
    let ask = async |model: &str| {
        let content = json!([{"type": "text", "text": "long ".repeat(3000), "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
        let answer = gateway.chat(&json!({"model": model, "messages": [{"role": "system", "content": content}, user("hi")]})).await;
        let body = answer.ok();
        (gateway.bodies().pop().unwrap()["system"][1]["cachePoint"].clone(), answer.header("x-outcrop-adjusted").map(str::to_owned), body)
    };
    let (kept, adjusted, _) = ask(CLAUDE).await;
    assert_eq!((kept, adjusted), (json!({"type": "default", "ttl": "1h"}), None));
    let (dropped, adjusted, _) = ask("claude-3-7-sonnet").await;
    assert_eq!(dropped, json!({"type": "default"}));
    assert!(adjusted.is_some_and(|adjusted| adjusted.contains("ttl")), "a lifetime was dropped silently");
    gateway.end().await;
}

#[tokio::test]
async fn pain_15_usage_with_caching_adds_up_to_what_aws_bills() {
    let gateway = TestGateway::start().await;
    let request = json!({"model": CLAUDE, "messages": [
        {"role": "system", "content": [{"type": "text", "text": "word ".repeat(4000), "cache_control": {"type": "ephemeral"}}]}, user("count to 20"),
    ]});
    let first = gateway.streamed(&request).await.usage();
    let second = gateway.completion(&request).await["usage"].clone();
    for (usage, call) in [first, second].iter().zip(gateway.calls()) {
        let billed = call.billed.unwrap();
        let written = billed.cache_write_5m + billed.cache_write_1h;
        assert_eq!(usage["prompt_tokens"], billed.input + billed.cache_read + written);
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], billed.cache_read);
        assert_eq!(usage["prompt_tokens_details"]["cache_write_tokens"], written);
        assert_eq!(usage["completion_tokens"], billed.output);
    }
    let lines = gateway.records.first(2).await;
    let read: Vec<u64> = lines.iter().map(|line| line.job.as_ref().unwrap().usage.unwrap().cache_read).collect();
    assert!(read[0] == 0 && read[1] > 3000, "{read:?}");
    gateway.end().await;
}

#[tokio::test]
async fn pain_19_an_effort_is_honoured_refused_or_reported_but_never_ignored() {
    let gateway = TestGateway::start().await;
    let ask = async |model: &str, effort: &str| {
        gateway.chat(&json!({"model": model, "reasoning_effort": effort, "messages": [user("Why is the sky blue?")]})).await
    };
    for (model, effort) in
        [(CLAUDE, "high"), ("claude-haiku-4-5", "low"), ("claude-opus-4-8", "medium"), ("amazon.nova-2-lite-v1:0", "low")]
    {
        ask(model, effort).await.ok();
        let fields = gateway.bodies().pop().unwrap()["additionalModelRequestFields"].clone();
        assert!(fields.is_object(), "{model}: effort `{effort}` went nowhere");
    }
    ask(CLAUDE, "none").await.ok();
    assert!(gateway.bodies().pop().unwrap().get("additionalModelRequestFields").is_none());
    let unheard = ask(CLAUDE, "gigantic").await;
    assert_eq!((unheard.status, unheard.param().as_deref()), (400, Some("reasoning_effort")), "{}", unheard.text());
    let without = ask("amazon.nova-lite-v1:0", "high").await;
    without.ok();
    assert!(without.header("x-outcrop-adjusted").is_some_and(|adjusted| adjusted.contains("reasoning=")), "{:?}", without.headers);
    gateway.end().await;
}

#[tokio::test]
async fn pain_20_no_token_limit_is_invented() {
    let gateway = TestGateway::start().await;
    gateway.completion(&says("hello")).await;
    assert!(gateway.body().get("inferenceConfig").is_none(), "{}", gateway.body());
    gateway.end().await;
    let configured = TestGateway::builder().set("chat.default_max_tokens=77").start().await;
    configured.completion(&says("hello")).await;
    assert_eq!(configured.body()["inferenceConfig"], json!({"maxTokens": 77}));
    configured.end().await;
}

/// No tool call has fewer events before its usage: the message begins and stops, and so does the call.
const SHORTEST: usize = 4;

#[tokio::test]
async fn pain_21_a_cut_within_a_tool_call_is_no_success() {
    let gateway = TestGateway::builder().simulator(|sim| sim.chunking(Chunking::Framed)).start().await;
    let request = asking("What is the weather in Paris?", &[weather("get_weather")]);
    let whole = gateway.streamed(&request).await;
    assert_eq!(whole.tool_calls().len(), 1);
    let events = usize::try_from(gateway.calls()[0].events_sent).unwrap();
    for after in 1..events - 1 {
        gateway.simulator.script(Rule::once(Action::CutAfterEvents { events: after, manner: CutManner::Close }));
        let stream = gateway.open(&request).await.fold().await;
        // Answers are not all of the same length: a late cut may come behind the whole of a shorter one, and then nothing
        // is missing. One that comes behind the end of the answer and before its usage is an error, too.
        let complete = stream.chunks.iter().any(|chunk| chunk["choices"][0]["finish_reason"].is_string());
        let expected = if complete { (1, false) } else { (0, true) };
        assert_eq!((stream.done, stream.error.is_some()), expected, "cut after {after} of {events} events");
        assert!(!complete || after > SHORTEST, "cut after {after} events");
    }
    gateway.end().await;
}

#[tokio::test]
async fn pain_22_a_silent_stream_is_kept_alive() {
    let gateway = TestGateway::builder()
        .simulator(|sim| sim.chunking(Chunking::Framed))
        .limits(|limits| limits.keep_alive = std::time::Duration::from_millis(50))
        .start()
        .await;
    gateway.simulator.script(Rule::once(Action::StallAfterEvents { events: 4, pause: std::time::Duration::from_millis(400) }));
    let stream = gateway.streamed(&says("count to 30")).await;
    assert!((2..=10).contains(&stream.comments), "{}", stream.comments);
    assert!(stream.text().ends_with("29, 30"));
    // Where words flow nobody needs a comment.
    assert_eq!(gateway.streamed(&says("count to 30")).await.comments, 0);
    gateway.end().await;
}

#[tokio::test]
async fn pain_23_tool_calls_stream_with_ordinals_whole_ids_and_empty_objects() {
    let gateway = TestGateway::start().await;
    let clock = json!({"type": "function", "function": {"name": "get_time", "description": "The time now", "parameters": {"type": "object", "properties": {}}}});
    let bare = json!({"type": "function", "function": {"name": "ping_host", "description": "Ping"}});
    let request = asking("Use get_time and ping_host and tell the weather in Paris and London", &[clock, bare, weather("get_weather")]);
    let stream = gateway.streamed(&request).await;
    // `tool_calls` holds the pieces to their order.
    let streamed = calls(&stream.message());
    let whole = calls(&gateway.completion(&request).await["choices"][0]["message"]);
    assert_eq!(streamed, whole);
    assert!(
        streamed.contains(&("get_time".to_owned(), json!({}))) && streamed.contains(&("ping_host".to_owned(), json!({}))),
        "{streamed:?}"
    );
    assert!(streamed.len() >= 3, "{streamed:?}");
    assert!(!stream.text().is_empty(), "the calls come behind a text: their index is not the block's");
    assert_eq!(stream.finish(0), "tool_calls");
    gateway.end().await;
}

#[tokio::test]
async fn pain_24_usage_is_streamed_when_asked_for_and_only_then() {
    let gateway = TestGateway::start().await;
    let plain = gateway.open(&says("count to 5")).await.fold().await;
    plain.check();
    assert!(
        plain.chunks.iter().all(|chunk| chunk.get("usage").is_none() && !chunk["choices"].as_array().unwrap().is_empty()),
        "{:?}",
        plain.chunks
    );
    let asked = gateway.streamed(&says("count to 5")).await;
    assert!(asked.usage()["total_tokens"].as_u64().unwrap() > 0);
    // Usage that comes late or never does not hold the end for ever.
    gateway.simulator.script(Rule::once(Action::LateUsage(std::time::Duration::from_millis(200))));
    assert_eq!(gateway.streamed(&says("count to 5")).await.usage(), asked.usage());
    gateway.simulator.script(Rule::once(Action::NoUsage));
    let mut request = says("count to 5");
    request["stream_options"] = json!({"include_usage": true});
    let missing = gateway.open(&request).await.fold().await;
    assert_eq!((missing.text().as_str(), missing.done, missing.error), ("1, 2, 3, 4, 5", 1, None));
    gateway.end().await;
}

#[tokio::test]
async fn pain_28_a_model_is_found_by_any_of_its_names() {
    let gateway = TestGateway::builder().regions([EAST, EUROPE]).start().await;
    for name in [
        "claude-sonnet-4-6",
        "claude-sonnet-4.6",
        "anthropic/claude-sonnet-4.6",
        "anthropic.claude-sonnet-4-6",
        "us.anthropic.claude-sonnet-4-6",
        "global.anthropic.claude-sonnet-4-6",
        "bedrock/us.anthropic.claude-sonnet-4-6",
        "bedrock/converse/anthropic.claude-sonnet-4-6",
        "openrouter/anthropic/claude-sonnet-4.6",
        "claude-sonnet-4-6[1m]",
        "Claude-Sonnet-4-6",
        "claude-sonnet-latest",
    ] {
        let answer = gateway.chat(&json!({"model": name, "messages": [user("hello")]})).await;
        assert_eq!(answer.ok()["object"], "chat.completion", "{name}");
    }
    for name in ["claude-haiku-4-5", "claude-haiku-4-5@20251001", "claude-haiku-4-5-20251001", "anthropic.claude-haiku-4-5-20251001-v1:0"] {
        let answer = gateway.chat(&json!({"model": name, "messages": [user("hello")]})).await;
        answer.ok();
        assert_eq!(answer.header("x-outcrop-model"), Some("anthropic.claude-haiku-4-5-20251001-v1:0"), "{name}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn pain_28_within_a_fence_the_geography_is_kept() {
    let gateway = TestGateway::builder().regions([EUROPE]).set("models.residency=eu").start().await;
    gateway.chat(&says("hello")).await.ok();
    assert_eq!(gateway.calls()[0].label.as_deref(), Some("eu.anthropic.claude-sonnet-4-6"));
    // A model that only routes worldwide or through America is not there.
    let outside = gateway.chat(&json!({"model": "claude-fable-5", "messages": [user("hello")]})).await;
    let message = outside.refusal(403, "permission_error", None);
    assert!(message.contains("global.anthropic.claude-fable-5") && message.contains("outside the allowed geographies (eu)"), "{message}");
    assert_eq!(gateway.calls().len(), 1);
    gateway.end().await;
}

#[tokio::test]
async fn pain_28_a_retired_model_is_answered_by_its_replacement_and_says_so() {
    let gateway = TestGateway::start().await;
    let request = json!({"model": "amazon.nova-premier-v1:0", "messages": [user("hello")]});
    let answer = gateway.chat(&request).await;
    answer.ok();
    let told = answer.header("x-outcrop-replaced").expect("a word about it");
    assert!(told.contains("no longer listed"), "{told}");
    assert_eq!(answer.header("x-outcrop-model"), Some("amazon.nova-2-lite-v1:0"));
    gateway.end().await;
    let strict = TestGateway::builder().set("models.retired_fallback=false").start().await;
    let message = strict.chat(&request).await.refusal(404, "invalid_request_error", Some("model_not_found"));
    assert!(message.contains("nova-2-lite"), "the replacement is not named: {message}");
    strict.end().await;
}

#[tokio::test]
async fn pain_29_an_application_profile_is_its_model() {
    let gateway = TestGateway::start().await;
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/app1claude";
    let mut request = asking("What is the weather in Paris?", &[weather("get_weather")]);
    request["model"] = json!(arn);
    let answer = gateway.chat(&request).await;
    assert_eq!(calls(&answer.ok()["choices"][0]["message"]).len(), 1);
    assert_eq!(answer.header("x-outcrop-model"), Some("anthropic.claude-sonnet-4-6"));
    let call = gateway.calls().remove(0);
    assert_eq!((call.label.as_deref(), call.region.as_str()), (Some(arn), EAST));
    assert!(call.target.contains("application-inference-profile%2Fapp1claude"), "{}", call.target);
    assert!(gateway.records.only().await.job.unwrap().cost.is_some_and(|cost| cost.0 > 0), "a profile must have its model's price");
    let unknown = json!({"model": arn.replace("app1claude", "nobody"), "messages": [user("hello")]});
    gateway.chat(&unknown).await.refusal(404, "invalid_request_error", Some("model_not_found"));
    gateway.end().await;
}
