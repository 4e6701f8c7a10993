//! Responses and legacy completions through the lane: what is read, what is asked of AWS, what the edge learns.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Content, Guardrail, Latency, ServiceTier},
    error::{Cause, GatewayError},
    json::JsonText,
};
use outcrop_gateway::{
    ports::{AnswerDialect, ChatAnswer, ChatJob, ClientRequest, RequestOverrides, ResponsesAsk, StreamItem},
    settings::LiveSettings,
};
use outcrop_protocol::body::decode;
use outcrop_translate::openai_responses::request::Earlier;
use serde_json::{Value, json};

use super::kit::{LIMITS, MODEL, ScriptedRegion, Step, TestTree, settings};

fn item(value: Value) -> JsonText {
    JsonText::parse(value.to_string()).unwrap()
}

fn job(tree: &TestTree, request: ClientRequest) -> ChatJob {
    ChatJob { request, ..tree.job("{}") }
}

fn response(body: &Value, earlier: Earlier) -> ClientRequest {
    let wire = decode(body.to_string().as_bytes()).unwrap();
    ClientRequest::Responses(Box::new(ResponsesAsk::new(wire, earlier)))
}

fn completion(body: &Value) -> ClientRequest {
    ClientRequest::Completions(Box::new(decode(body.to_string().as_bytes()).unwrap()))
}

async fn asked(tree: &TestTree, job: ChatJob) -> Result<ChatAnswer, GatewayError> {
    tree.gateway.ports().chat.submit(job).await
}

fn sent(region: &ScriptedRegion) -> Value {
    serde_json::from_slice(&region.last_call().body).unwrap()
}

fn text(content: &[Content]) -> String {
    content.iter().filter_map(|block| if let Content::Text(text) = block { Some(text.as_str()) } else { None }).collect()
}

#[tokio::test(start_paused = true)]
async fn a_response_is_asked_for_with_what_was_stored_earlier() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let earlier = Earlier {
        items: vec![
            item(json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "My name is Ada."}]})),
            item(json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello, Ada."}]})),
        ],
        referenced: BTreeMap::from([("msg_9".to_owned(), item(json!({"role": "user", "content": "And I am 36."})))]),
    };
    let body = json!({"model": MODEL, "instructions": "Be brief.", "previous_response_id": "resp_1",
        "input": [{"type": "item_reference", "id": "msg_9"}, {"role": "user", "content": "Who am I?"}]});
    tree.regions[0].then(Step::Text("Ada."));
    let answer = asked(&tree, job(&tree, response(&body, earlier))).await.unwrap();
    let ChatAnswer::Whole { choices, about } = answer else { panic!("streamed") };
    assert_eq!(text(&choices[0].content), "Ada.");
    let AnswerDialect::Responses { shape } = about.dialect else { panic!("{:?}", about.dialect) };
    assert_eq!(shape.echo.previous_response_id.as_deref(), Some("resp_1"));
    let sent = sent(&tree.regions[0]);
    assert_eq!(sent["system"][0]["text"], "Be brief.");
    let words: Vec<&str> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|turn| turn["content"].as_array().unwrap())
        .map(|block| block["text"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["My name is Ada.", "Hello, Ada.", "And I am 36.", "Who am I?"]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_names_what_is_not_stored_or_not_run_reaches_no_model() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let unknown = json!({"model": MODEL, "input": [{"type": "item_reference", "id": "msg_9"}]});
    let error = asked(&tree, job(&tree, response(&unknown, Earlier::default()))).await.unwrap_err();
    assert!(matches!(&error, GatewayError::NotFound { message } if message.contains("msg_9")), "{error}");
    let hosted = json!({"model": MODEL, "input": "draw", "tools": [{"type": "image_generation"}]});
    let error = asked(&tree, job(&tree, response(&hosted, Earlier::default()))).await.unwrap_err();
    assert!(error.to_string().contains("image_generation"), "{error}");
    assert_eq!(tree.regions[0].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_prompts_of_a_completion_are_calls_of_their_own_and_their_answers_come_in_order() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let body = json!({"model": MODEL, "prompt": ["a", "b"], "n": 2, "max_tokens": 9});
    for answer in ["one", "two", "three", "four"] {
        tree.regions[0].then(Step::Text(answer));
    }
    let answer = asked(&tree, job(&tree, completion(&body))).await.unwrap();
    let ChatAnswer::Whole { choices, about } = answer else { panic!("streamed") };
    let words: Vec<String> = choices.iter().map(|choice| text(&choice.content)).collect();
    assert_eq!(words, ["one", "two", "three", "four"]);
    assert!(matches!(about.dialect, AnswerDialect::Completions { choices: 4, .. }), "{:?}", about.dialect);
    let prompts: Vec<String> = tree.regions[0]
        .all_calls()
        .iter()
        .map(|call| serde_json::from_slice::<Value>(&call.body).unwrap()["messages"][0]["content"][0]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(prompts, ["a", "a", "b", "b"]);
    let report = tree.last_report();
    assert_eq!((report.attempts, report.usage.unwrap().output), (4, 28));
}

#[tokio::test(start_paused = true)]
async fn streamed_prompts_are_told_apart_and_one_that_fails_fails_all() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let body = json!({"model": MODEL, "prompt": ["a", "b"], "stream": true});
    for answer in ["one", "two"] {
        tree.regions[0].then(Step::Text(answer));
    }
    let ChatAnswer::Stream { mut events, .. } = asked(&tree, job(&tree, completion(&body))).await.unwrap() else { panic!("whole") };
    let mut told = BTreeMap::<u32, String>::new();
    while let Some(item) = events.recv().await {
        if let StreamItem::Events { choice, events } = item {
            let texts = events.into_iter().filter_map(|event| match event {
                outcrop_domain::chat::ChatEvent::Text { text, .. } => Some(text),
                _ => None,
            });
            told.entry(choice).or_default().extend(texts);
        }
    }
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [(0, "one".to_owned()), (1, "two".to_owned())]);
    tree.regions[0].then(Step::Text("fine"));
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "b is not to be said"));
    let error = asked(&tree, job(&tree, completion(&body))).await.unwrap_err();
    assert!(error.to_string().contains("b is not to be said"), "{error}");
    assert_eq!(tree.last_report().attempts, 2);
}

/// Settings that an operator may have.
fn operators() -> LiveSettings {
    let mut settings = settings();
    settings.chat.cache.messages = true;
    settings.chat.guardrail = Some(guardrail("gr-global"));
    settings.chat.guardrail_override = true;
    settings
}

fn guardrail(identifier: &str) -> Guardrail {
    Guardrail { identifier: identifier.to_owned(), version: "1".to_owned(), trace: None, stream_mode: None }
}

/// The upstream body of a request in each of the two dialects, with further members.
async fn bodies(tree: &TestTree, more: &Value, overrides: &RequestOverrides) -> [Value; 2] {
    let with = |mut body: Value| {
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let requests = [
        response(&with(json!({"model": MODEL, "instructions": "Be brief.", "input": "hello"})), Earlier::default()),
        completion(&with(json!({"model": MODEL, "prompt": "hello"}))),
    ];
    let mut bodies = Vec::new();
    for request in requests {
        let job = ChatJob { overrides: overrides.clone(), ..job(tree, request) };
        asked(tree, job).await.unwrap();
        bodies.push(sent(&tree.regions[0]));
    }
    bodies.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn caching_is_switched_by_settings_sections_and_key_on_both_routes() {
    let plain = TestTree::start(&["us-east-1"]).await;
    let none = RequestOverrides::default();
    let point = json!({"cachePoint": {"type": "default"}});
    let last = |body: &Value| body["messages"][0]["content"].as_array().unwrap().last().unwrap().clone();
    for body in bodies(&plain, &json!({}), &none).await {
        assert_ne!(last(&body), point, "{body}");
    }
    for more in [
        json!({"prompt_caching": {"messages": true}}),
        json!({"prompt_cache_key": "messages"}),
        json!({"prompt_cache_key": "system.messages"}),
    ] {
        for body in bodies(&plain, &more, &none).await {
            assert_eq!(last(&body), point, "{more}: {body}");
        }
    }
    let [response, _] = bodies(&plain, &json!({"prompt_cache_key": "system"}), &none).await;
    assert_eq!((&response["system"][1], last(&response) == point), (&point, false), "{response}");

    let operated = TestTree::with(&["us-east-1"], operators(), LIMITS).await;
    for body in bodies(&operated, &json!({}), &none).await {
        assert_eq!(last(&body), point, "{body}");
    }
    for body in bodies(&operated, &json!({"prompt_caching": {"messages": false}}), &none).await {
        assert_ne!(last(&body), point, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn explicit_marks_of_a_response_reach_the_model_where_they_stand() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let body = json!({"model": MODEL, "input": [
        {"role": "system", "content": [{"type": "input_text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": [{"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}, {"type": "input_text", "text": "b"}]},
    ]});
    asked(&tree, job(&tree, response(&body, Earlier::default()))).await.unwrap();
    let sent = sent(&tree.regions[0]);
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!((&sent["system"][1], &sent["messages"][0]["content"][1]), (&point, &point), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn guardrails_of_request_header_and_operator_apply_on_both_routes() {
    let none = RequestOverrides::default();
    let header = RequestOverrides { guardrail: Some(guardrail("gr-header")), ..RequestOverrides::default() };
    let named = |body: &Value| body["guardrailConfig"]["guardrailIdentifier"].as_str().map(str::to_owned);
    let in_body = json!({"guardrail": {"identifier": "gr-body", "version": "2"}});
    let plain = TestTree::start(&["us-east-1"]).await;
    for (more, overrides, expected) in [
        (json!({}), &none, None),
        (in_body.clone(), &none, Some("gr-body")),
        (json!({"guardrailConfig": {"guardrailIdentifier": "gr-converse", "guardrailVersion": "3"}}), &none, Some("gr-converse")),
        (json!({}), &header, Some("gr-header")),
    ] {
        for body in bodies(&plain, &more, overrides).await {
            assert_eq!(named(&body).as_deref(), expected, "{more}: {body}");
        }
    }
    let operated = TestTree::with(&["us-east-1"], operators(), LIMITS).await;
    for body in bodies(&operated, &json!({}), &none).await {
        assert_eq!(named(&body).as_deref(), Some("gr-global"));
    }
    for body in bodies(&operated, &in_body, &none).await {
        assert_eq!(named(&body).as_deref(), Some("gr-body"), "the operator lets requests choose");
    }
    let mut fixed = operators();
    fixed.chat.guardrail_override = false;
    let fixed = TestTree::with(&["us-east-1"], fixed, LIMITS).await;
    for request in [
        response(&json!({"model": MODEL, "input": "x", "guardrail": in_body["guardrail"]}), Earlier::default()),
        completion(&json!({"model": MODEL, "prompt": "x", "guardrail": in_body["guardrail"]})),
    ] {
        let error = asked(&fixed, job(&fixed, request)).await.unwrap_err();
        assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(param), .. } if param == "guardrail"), "{error}");
    }
    assert_eq!(fixed.regions[0].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn tier_latency_and_labels_come_by_body_and_header_on_both_routes() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let none = RequestOverrides::default();
    let header =
        RequestOverrides { service_tier: Some(ServiceTier::Flex), latency: Some(Latency::Standard), ..RequestOverrides::default() };
    let more = json!({"service_tier": "priority", "performanceConfig": {"latency": "optimized"}, "metadata": {"team": "a"}, "user": "bob"});
    for body in bodies(&tree, &more, &none).await {
        assert_eq!(body["serviceTier"], json!({"type": "priority"}), "{body}");
        assert_eq!(body["performanceConfig"], json!({"latency": "optimized"}), "{body}");
        assert_eq!(body["requestMetadata"], json!({"team": "a", "user": "bob"}), "{body}");
    }
    for body in bodies(&tree, &more, &header).await {
        assert_eq!((&body["serviceTier"]["type"], &body["performanceConfig"]["latency"]), (&json!("flex"), &json!("standard")), "{body}");
    }
}
