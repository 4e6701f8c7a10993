//! Bedrock's own paths: bodies, frames, errors and headers as AWS's clients expect them.

use bytes::Bytes;
use http::Method;
use outcrop_gateway::record::JobOutcome;
use outcrop_sim::{Action, CutManner, Operation, Rule, ScriptedError};
use outcrop_upstream::eventstream::{Decoder, HeaderValue, Headers, RawFrame};
use serde_json::{Value, json};

use crate::support::{Answer, CLAUDE, Client, EAST, KEY, TestGateway, WEST};

const NOVA: &str = "amazon.nova-lite-v1:0";

fn path(model: &str, operation: &str) -> String {
    format!("/model/{}/{operation}", model.replace(':', "%3A").replace('/', "%2F"))
}

fn converse(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {"maxTokens": 300}})
}

fn messages(text: &str) -> Value {
    json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 300, "messages": [{"role": "user", "content": text}]})
}

/// The frames of an answer: kind of message, name, payload.
fn frames(answer: &Answer) -> Vec<(String, String, Value)> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/vnd.amazon.eventstream")), "{}", answer.text());
    let mut decoder = Decoder::default();
    decoder.push(answer.body.clone());
    let frames = std::iter::from_fn(|| decoder.next_frame().expect("frames")).collect::<Vec<_>>();
    assert!(decoder.at_boundary(), "no half frame");
    frames.iter().map(told).collect()
}

fn told(frame: &RawFrame) -> (String, String, Value) {
    let header = |wanted: &[&str]| {
        let found =
            Headers::new(&frame.headers).filter_map(Result::ok).find(|(name, _)| wanted.iter().any(|known| known.as_bytes() == *name));
        match found {
            Some((_, HeaderValue::Text(text))) => String::from_utf8(text.to_vec()).unwrap(),
            _ => String::new(),
        }
    };
    let payload = serde_json::from_slice(&frame.payload).unwrap_or(Value::Null);
    (header(&[":message-type"]), header(&[":event-type", ":exception-type"]), payload)
}

/// The words of a refusal of this status and type.
#[track_caller]
fn refusal(answer: &Answer, status: u16, kind: &str) -> String {
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (status, Some(kind)), "{}", answer.text());
    assert!(answer.header("x-amzn-requestid").is_some_and(|id| !id.is_empty()));
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn converse_passes_to_the_byte_both_ways() {
    let gateway = TestGateway::start().await;
    let body = r#" {"inferenceConfig":{"temperature":0.50,"maxTokens":300}, "messages":[{"role":"user","content":[{"text":"say exactly: caf\u00e9"}]}] }"#;
    for name in [NOVA, "nova-lite", "us.amazon.nova-lite-v1:0", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"] {
        let answer = gateway.post_bytes(&path(name, "converse"), &[], body).await;
        assert_eq!(answer.ok()["output"]["message"]["content"][0]["text"], "café");
        let call = gateway.calls().pop().unwrap();
        assert_eq!((call.operation, std::str::from_utf8(&call.body).unwrap()), (Operation::Converse, body));
        assert_eq!(answer.header("x-amzn-requestid"), Some(call.request_id.as_str()));
        assert_eq!((answer.header("content-type"), answer.header("x-outcrop-model")), (Some("application/json"), Some(NOVA)));
    }
    let raw_slashes = "/model/arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0/converse";
    assert_eq!(gateway.post_bytes(raw_slashes, &[], body).await.status, 200);
    let lines = gateway.records.first(5).await;
    assert!(lines.iter().all(|line| line.job.as_ref().unwrap().usage.unwrap().output > 0), "metered as every route");
    gateway.end().await;
}

#[tokio::test]
async fn streams_pass_frame_by_frame() {
    let gateway = TestGateway::start().await;
    let answer = gateway.post(&path(NOVA, "converse-stream"), &converse("say exactly: one two three")).await;
    let seen = frames(&answer);
    let names: Vec<&str> = seen.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("messageStart", "metadata"));
    let text: String = seen.iter().filter_map(|(_, _, payload)| payload["delta"]["text"].as_str()).collect();
    assert_eq!(text, "one two three");
    assert_eq!(answer.header("x-amzn-requestid"), Some(gateway.calls()[0].request_id.as_str()));
    let answer = gateway.post(&path(CLAUDE, "invoke-with-response-stream"), &messages("say exactly: four")).await;
    assert!(frames(&answer).iter().all(|(kind, name, payload)| kind == "event" && name == "chunk" && payload["bytes"].is_string()));
    assert_eq!(answer.header("x-amzn-bedrock-content-type"), Some("application/json"));
    let lines = gateway.records.first(2).await;
    for (line, call) in lines.iter().zip(gateway.calls()) {
        let (job, billed) = (line.job.as_ref().unwrap(), call.billed.unwrap());
        assert_eq!((job.usage.unwrap().input, job.usage.unwrap().output, job.estimated), (billed.input, billed.output, false));
    }
    gateway.end().await;
}

#[tokio::test]
async fn invoke_takes_any_familys_body_and_the_headers_of_its_family() {
    let gateway = TestGateway::start().await;
    let answer = gateway.post(&path("us.anthropic.claude-sonnet-4-6", "invoke"), &messages("say exactly: hi")).await;
    assert_eq!(answer.ok()["content"][0]["text"], "hi");
    let billed = gateway.calls()[0].billed.clone().unwrap();
    assert_eq!(answer.header("x-amzn-bedrock-input-token-count"), Some(billed.input.to_string().as_str()));
    let nova = json!({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "say exactly: hello"}]}]});
    assert_eq!(gateway.post(&path(NOVA, "invoke"), &nova).await.ok()["output"]["message"]["content"][0]["text"], "hello");
    let headers = [("x-amzn-bedrock-guardrailidentifier", "abc123"), ("x-amzn-bedrock-guardrailversion", "1")];
    let blocked = gateway.post_with(&path(CLAUDE, "invoke"), &headers, &messages("BLOCKME")).await.ok();
    assert_eq!(blocked["amazon-bedrock-guardrailAction"], "INTERVENED");
    let count =
        json!({"input": {"converse": converse("hi")["messages"].as_array().map(|messages| json!({"messages": messages})).unwrap()}});
    assert!(gateway.post(&path("us.anthropic.claude-sonnet-4-6", "count-tokens"), &count).await.ok()["inputTokens"].is_u64());
    gateway.end().await;
}

#[tokio::test]
async fn a_key_comes_as_bearer_token_or_as_the_access_key_id_of_a_signature() {
    let gateway = TestGateway::start().await;
    let nobody = Client { key: None, ..Client::clone(&gateway) };
    let signed =
        |id: &str| format!("AWS4-HMAC-SHA256 Credential={id}/20261130/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00");
    let ask = async |headers: &[(&str, &str)]| nobody.post_with(&path(NOVA, "converse"), headers, &converse("hi")).await;
    assert_eq!(ask(&[("authorization", &signed(KEY))]).await.status, 200);
    assert_eq!(ask(&[("x-api-key", KEY)]).await.status, 200);
    assert_eq!(gateway.post(&path(NOVA, "converse"), &converse("hi")).await.status, 200);
    refusal(&ask(&[("authorization", &signed("AKIDSTRANGER"))]).await, 403, "UnrecognizedClientException");
    refusal(&ask(&[]).await, 403, "UnrecognizedClientException");
    refusal(&nobody.get("/foundation-models").await, 403, "UnrecognizedClientException");
    let chat = json!({"model": NOVA, "messages": [{"role": "user", "content": "hi"}]});
    let elsewhere = nobody.post_with("/v1/chat/completions", &[("authorization", &signed(KEY))], &chat).await;
    assert_eq!(elsewhere.status, 401, "on these paths alone");
    gateway.end().await;
}

#[tokio::test]
async fn errors_have_aws_shape_and_upstreams_words() {
    let gateway = TestGateway::builder().set("routing.max_wait=0s").start().await;
    let ask = async |body: &Value| gateway.post(&path(NOVA, "converse"), body).await;
    let words = refusal(&ask(&json!({"messages": [{"role": "robot", "content": [{"text": "x"}]}]})).await, 400, "ValidationException");
    assert!(words.contains("role"), "{words}");
    refusal(&gateway.post_bytes(&path(NOVA, "converse"), &[], "{").await, 400, "ValidationException");
    refusal(&gateway.post(&path("no-such-model", "converse"), &converse("x")).await, 404, "ResourceNotFoundException");
    refusal(&gateway.post(&path(NOVA, "apply"), &converse("x")).await, 404, "UnknownOperationException");
    refusal(&gateway.method(Method::GET, &path(NOVA, "converse")).await, 405, "UnknownOperationException");
    gateway
        .simulator
        .script(Rule::once(Action::Error(ScriptedError::new(400, "ServiceQuotaExceededException", "a hard quota"))).region(EAST));
    assert_eq!(ask(&converse("x")).await.status, 200, "the next region answers");
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::throttling())));
    let throttled = ask(&converse("x")).await;
    assert!(refusal(&throttled, 429, "ThrottlingException").contains("Too many requests"));
    assert!(throttled.header("retry-after").is_some());
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_exception_frame() {
    let exception =
        |kind: &str| Action::ExceptionFrame { after_events: 4, kind: kind.to_owned(), message: "the model stumbled".to_owned() };
    for (action, name) in [
        (exception("modelStreamErrorException"), "modelStreamErrorException"),
        (exception("throttlingException"), "throttlingException"),
        (Action::CutAfterEvents { events: 4, manner: CutManner::Close }, "modelStreamErrorException"),
    ] {
        for (model, operation, body) in
            [(NOVA, "converse-stream", converse("count to 40")), (CLAUDE, "invoke-with-response-stream", messages("count to 40"))]
        {
            let gateway = TestGateway::start().await;
            gateway.simulator.script(Rule::once(action.clone()));
            let seen = frames(&gateway.post(&path(model, operation), &body).await);
            let (kind, told, payload) = seen.last().unwrap();
            assert_eq!((kind.as_str(), told.as_str(), payload["message"].is_string()), ("exception", name, true), "{operation}");
            let job = gateway.records.only().await.job.unwrap();
            assert_eq!((job.outcome, job.estimated), (JobOutcome::Failed, true));
            gateway.end().await;
        }
    }
}

#[tokio::test]
async fn model_errors_tell_what_aws_told_of_the_model() {
    let gateway = TestGateway::builder().set("routing.max_wait=0s").start().await;
    let told = json!({"message": "the model refused", "originalStatusCode": 400, "resourceName": "arn:aws:bedrock:us-east-1::x"});
    let kind = ("x-amzn-errortype".to_owned(), "ModelErrorException".to_owned());
    let refused = Action::AnswerRaw { status: 424, headers: vec![kind], body: told.to_string().into() };
    for (model, operation, body) in
        [(NOVA, "converse", converse("hi")), (NOVA, "converse-stream", converse("hi")), (CLAUDE, "invoke", messages("hi"))]
    {
        gateway.simulator.script(Rule::once(refused.clone()));
        let answer = gateway.post(&path(model, operation), &body).await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (424, Some("ModelErrorException")), "{operation}");
        assert_eq!(answer.json(), told, "{operation}");
    }
    for (model, operation, body) in
        [(NOVA, "converse-stream", converse("count to 40")), (CLAUDE, "invoke-with-response-stream", messages("count to 40"))]
    {
        let (kind, message) = ("modelStreamErrorException".to_owned(), "the model stumbled".to_owned());
        gateway.simulator.script(Rule::once(Action::ExceptionFrame { after_events: 4, kind, message }));
        let seen = frames(&gateway.post(&path(model, operation), &body).await);
        let told = json!({"message": "the model stumbled", "originalStatusCode": 500, "originalMessage": "the model stumbled"});
        assert_eq!(seen.last().unwrap().2, told, "{operation}");
    }
    gateway.simulator.script(Rule::once(refused));
    let chat = gateway.post("/v1/chat/completions", &json!({"model": NOVA, "messages": [{"role": "user", "content": "hi"}]})).await;
    assert!(!chat.text().contains("resourceName") && chat.text().contains("the model refused"), "{}", chat.text());
    gateway.end().await;
}

#[tokio::test]
async fn native_calls_fail_over_as_every_other() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::throttling())).region(EAST));
    let exception = Action::ExceptionFrame { after_events: 0, kind: "serviceUnavailableException".to_owned(), message: "busy".to_owned() };
    gateway.simulator.script(Rule::once(exception).region(WEST));
    let answer = gateway.post(&path(CLAUDE, "invoke-with-response-stream"), &messages("hi")).await;
    assert!(frames(&answer).iter().all(|(kind, _, _)| kind == "event"));
    assert_eq!(answer.header("x-outcrop-attempts"), Some("3"));
    gateway.end().await;
}

#[tokio::test]
async fn models_and_profiles_are_listed_as_the_control_plane_does() {
    let gateway = TestGateway::start().await;
    let models = gateway.get("/foundation-models").await.ok();
    let claude =
        models["modelSummaries"].as_array().unwrap().iter().find(|model| model["modelId"] == "anthropic.claude-sonnet-4-6").unwrap();
    assert_eq!((&claude["providerName"], &claude["responseStreamingSupported"]), (&json!("Anthropic"), &json!(true)));
    assert_eq!(claude["modelArn"], "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-6");
    let amazon = gateway.get("/foundation-models?byProvider=amazon&byOutputModality=TEXT").await.ok();
    assert!(amazon["modelSummaries"].as_array().unwrap().iter().all(|model| model["providerName"] == "Amazon"));
    let one =
        gateway.get("/foundation-models/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fanthropic.claude-sonnet-4-6").await.ok();
    assert_eq!(one["modelDetails"]["modelId"], "anthropic.claude-sonnet-4-6");
    let page = gateway.get("/inference-profiles?maxResults=2").await.ok();
    assert_eq!(page["inferenceProfileSummaries"].as_array().unwrap().len(), 2);
    let next = gateway.get(&format!("/inference-profiles?nextToken={}", page["nextToken"].as_str().unwrap())).await.ok();
    assert!(next["nextToken"].is_null() && !next["inferenceProfileSummaries"].as_array().unwrap().is_empty());
    let profile = gateway.get("/inference-profiles/us.anthropic.claude-sonnet-4-6").await.ok();
    assert_eq!((&profile["type"], &profile["status"]), (&json!("SYSTEM_DEFINED"), &json!("ACTIVE")));
    let arn = profile["inferenceProfileArn"].as_str().unwrap();
    assert_eq!(gateway.post(&path(arn, "converse"), &converse("hi")).await.status, 200, "its ARN is a name");
    refusal(&gateway.get("/foundation-models/nothing").await, 404, "ResourceNotFoundException");
    refusal(&gateway.get("/inference-profiles/us.nothing").await, 404, "ResourceNotFoundException");
    refusal(&gateway.get("/inference-profiles?maxResults=0").await, 400, "ValidationException");
    gateway.end().await;
}

#[tokio::test]
async fn the_operators_guardrail_is_on_native_calls_too() {
    let guardrail = r#"chat.guardrail={identifier = "abc123", version = "1"}"#;
    let gateway = TestGateway::builder().set(guardrail).start().await;
    let blocked = gateway.post(&path(NOVA, "converse"), &converse("BLOCKME")).await.ok();
    assert_eq!(blocked["stopReason"], "guardrail_intervened");
    let blocked = gateway.post(&path(CLAUDE, "invoke"), &messages("BLOCKME")).await.ok();
    assert_eq!(blocked["amazon-bedrock-guardrailAction"], "INTERVENED");
    let mut named = converse("hi");
    named["guardrailConfig"] = json!({"guardrailIdentifier": "other", "guardrailVersion": "1"});
    refusal(&gateway.post(&path(NOVA, "converse"), &named).await, 403, "AccessDeniedException");
    gateway.end().await;
}

#[tokio::test]
async fn the_paths_can_be_switched_off() {
    let gateway = TestGateway::builder().set("server.native_routes=false").start().await;
    let answer = gateway.post(&path(NOVA, "converse"), &converse("hi")).await;
    assert_eq!((answer.status, answer.json()["error"]["type"].is_string()), (404, true), "{}", answer.text());
    assert_eq!(gateway.get("/foundation-models").await.status, 404);
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_call() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(Action::StallAfterEvents { events: 4, pause: std::time::Duration::from_secs(60) }));
    let body = Bytes::from(converse("count to 200").to_string());
    let stream = gateway.client.send(Method::POST, &path(NOVA, "converse-stream"), &[("content-type", "application/json")], body).await;
    assert_eq!(stream.head.status, 200);
    drop(stream);
    assert_eq!(gateway.records.only().await.job.unwrap().outcome, JobOutcome::Cancelled);
    gateway.end().await;
}
