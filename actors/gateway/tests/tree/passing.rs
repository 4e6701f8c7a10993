//! Requests that pass as their clients wrote them: Messages to Claude over InvokeModel, counts, native operations.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use outcrop_domain::{
    chat::{Guardrail, ServiceTier},
    error::{Cause, GatewayError},
    ids::ModelId,
    model::{OfferedModel, RegionOffer},
    routing::strategy::Strategy,
};
use outcrop_gateway::{
    ports::{ChatAnswer, ChatJob, ClientRequest, MessagesInput, NativeInput, RawRequest, RequestOverrides, RuntimeOperation, StreamItem},
    record::JobOutcome,
    settings::{ChatPolicy, LiveSettings},
};
use tokio::sync::mpsc;

use super::kit::{
    LIMITS, MODEL, Step, TestTree, drain, end_events, event, exception, hello, offer, settings, start_event, text_event, whole_answer,
};

mod linked;
mod strict;
mod wishes;

const TWO: [&str; 2] = ["us-east-1", "us-west-2"];
const CLAUDE: &str = "anthropic.claude-sonnet-4-6";

/// Two regions with both models.
async fn tree() -> TestTree {
    with(settings()).await
}

async fn with(settings: LiveSettings) -> TestTree {
    let tree = TestTree::with(&TWO, settings, LIMITS).await;
    for control in &tree.controls {
        let plain = offer(control.region.as_str());
        let claude = OfferedModel { id: ModelId::from(CLAUDE), ..plain.models[0].clone() };
        let offer = RegionOffer { models: vec![plain.models[0].clone(), claude], ..plain };
        control.answers.lock().unwrap().push_back(Ok(offer));
    }
    tree.gateway.ports().tree.refresh_models();
    let known = || tree.gateway.ports().catalogue.load().listed(CLAUDE).is_some_and(|model| model.regions.len() == 2);
    tree.until(known).await;
    tree
}

/// As an odd client writes it: nobody else would write it so.
fn body(members: &str) -> String {
    format!(r#"{{ "model":"{CLAUDE}" ,"max_tokens":90,"x_new":[1.50,"é"]{members}, "messages":[{{"role":"user","content":"hi"}}]}}"#)
}

/// The same as it reaches the model.
fn sent(members: &str) -> String {
    format!(
        r#"{{ "anthropic_version":"bedrock-2023-05-31","max_tokens":90,"x_new":[1.50,"é"]{members}, "messages":[{{"role":"user","content":"hi"}}]}}"#
    )
}

fn message(tree: &TestTree, body: &str) -> ChatJob {
    let input = MessagesInput::to_answer(&Bytes::from(body.to_owned())).unwrap();
    tree.job_of(ClientRequest::Raw(RawRequest::Messages(input)), body.len())
}

fn count(tree: &TestTree, body: &str) -> ChatJob {
    let input = MessagesInput::to_count(&Bytes::from(body.to_owned())).unwrap();
    tree.job_of(ClientRequest::Raw(RawRequest::CountTokens(input)), body.len())
}

fn native(tree: &TestTree, operation: RuntimeOperation, model: &str, body: &str, headers: HeaderMap) -> ChatJob {
    let input = NativeInput { operation, model: model.to_owned(), body: Bytes::from(body.to_owned()), headers };
    tree.job_of(ClientRequest::Raw(RawRequest::Native(Box::new(input))), body.len())
}

async fn submit(tree: &TestTree, job: ChatJob) -> Result<ChatAnswer, GatewayError> {
    tree.gateway.ports().chat.submit(job).await
}

async fn raw(tree: &TestTree, job: ChatJob) -> (String, outcrop_gateway::ports::AnswerFacts) {
    match submit(tree, job).await.unwrap() {
        ChatAnswer::Raw { body, about } => (String::from_utf8(body.to_vec()).unwrap(), about),
        other => panic!("{other:?}"),
    }
}

async fn stream(tree: &TestTree, job: ChatJob) -> mpsc::Receiver<StreamItem> {
    match submit(tree, job).await.unwrap() {
        ChatAnswer::Stream { events, .. } => events,
        other => panic!("{other:?}"),
    }
}

/// An answer with a number that only bytes keep.
const ANSWER: &str = r#"{"id":"msg_1","type":"message","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","n":1.0,"usage":{"input_tokens":11,"output_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":3},"cache_creation_input_tokens":3}}"#;

fn chunk(json: &str) -> Bytes {
    event("chunk", serde_json::json!({"bytes": STANDARD.encode(json), "p": "abc"}))
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","content":[],"usage":{"input_tokens":40,"output_tokens":1}}}"#;
const DELTA: &str =
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"forty characters are ten tokens, or so.."}}"#;
const END: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":12}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn shown(name: &str, json: &str) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_claude_as_it_was_written_and_the_answer_comes_back_so() {
    let tree = tree().await;
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let (answer, about) = raw(&tree, message(&tree, &body(""))).await;
    assert_eq!(answer, ANSWER);
    let call = tree.regions[0].last_call();
    assert_eq!((call.operation, call.invoke_id.as_str(), call.headers.len()), (RuntimeOperation::InvokeModel, CLAUDE, 0));
    assert_eq!(std::str::from_utf8(&call.body).unwrap(), sent(""));
    assert_eq!((about.region.as_str(), about.attempts, about.adjustments.is_empty(), about.passed.is_none()), (TWO[0], 1, true, true));
    let report = tree.last_report();
    let usage = report.usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.cache_write_1h, report.estimated), (11, 7, 3, false));
    assert!(report.cost.unwrap().0 > 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_relayed_event_by_event_and_its_largest_numbers_are_booked() {
    let tree = tree().await;
    tree.regions[0].then(Step::Chunks([START, DELTA, END, STOP].map(chunk).to_vec()));
    let mut events = stream(&tree, message(&tree, &body(r#","stream":true"#))).await;
    let words = drain(&mut events).await;
    let expected = [("message_start", START), ("content_block_delta", DELTA), ("message_delta", END), ("message_stop", STOP)];
    assert_eq!(words.concat(), expected.map(|(name, json)| shown(name, json)).concat() + "done");
    assert_eq!(tree.regions[0].last_call().operation, RuntimeOperation::InvokeModelWithResponseStream);
    tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
    let report = tree.last_report();
    assert_eq!((report.outcome, report.estimated), (JobOutcome::Completed, false));
    assert_eq!((report.usage.unwrap().input, report.usage.unwrap().output), (40, 12));
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_its_first_event_is_answered_elsewhere() {
    let tree = tree().await;
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    tree.regions[0].then(Step::Chunks(vec![chunk(overloaded)]));
    tree.regions[1].then(Step::Chunks([START, STOP].map(chunk).to_vec()));
    let ChatAnswer::Stream { mut events, about } = submit(&tree, message(&tree, &body(r#","stream":true"#))).await.unwrap() else {
        panic!("not a stream")
    };
    assert_eq!((about.region.as_str(), about.attempts), (TWO[1], 2));
    assert_eq!(drain(&mut events).await.last().map(String::as_str), Some("done"));
    tree.regions[0].then(Step::Fail(Cause::Unavailable, "no capacity"));
    tree.regions[1].then(Step::Raw(ANSWER.to_owned()));
    let (_, about) = raw(&tree, message(&tree, &body(""))).await;
    assert_eq!(about.region.as_str(), TWO[1]);
}

#[tokio::test(start_paused = true)]
async fn pain_21_a_stream_that_breaks_ends_in_a_failure_and_its_input_is_booked_as_told() {
    for last in
        [exception("throttlingException", "slow down"), chunk(r#"{"type":"error","error":{"type":"api_error","message":"slow down"}}"#)]
    {
        let tree = tree().await;
        tree.regions[0].then(Step::Chunks(vec![chunk(START), chunk(DELTA), last]));
        let mut events = stream(&tree, message(&tree, &body(r#","stream":true"#))).await;
        let words = drain(&mut events).await;
        assert!(words.last().unwrap().contains("slow down") && words.last().unwrap().starts_with("failed"), "{words:?}");
        tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
        let report = tree.last_report();
        assert_eq!((report.outcome, report.estimated), (JobOutcome::Failed, true));
        assert_eq!((report.usage.unwrap().input, report.usage.unwrap().output), (40, 10), "input as told, output by what came");
    }
}

#[tokio::test(start_paused = true)]
async fn pain_01_a_refused_flag_is_left_out_at_once_and_from_then_on() {
    let tree = tree().await;
    let flagged = |flags: &str| body(&format!(r#","anthropic_beta":{flags}"#));
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "invalid beta flag"));
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let (_, about) = raw(&tree, message(&tree, &flagged(r#"["brand-new-2027-01-01"]"#))).await;
    assert_eq!((about.region.as_str(), about.attempts), (TWO[0], 2), "the same target once more");
    assert_eq!(about.adjustments.to_string(), "anthropic_beta=refused:brand-new-2027-01-01");
    assert_eq!(tree.last_report().adjusted, "anthropic_beta=refused:brand-new-2027-01-01");
    assert_eq!(std::str::from_utf8(&tree.regions[0].last_call().body).unwrap(), sent(""));
    let remembered = async || tree.gateway.ports().describe().await.refused_flags.map(|report| report.flags);
    while remembered().await != Some(1) {
        tokio::task::yield_now().await;
    }
    tree.kill("flag-keeper").await;
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let (_, about) = raw(&tree, message(&tree, &flagged(r#"["brand-new-2027-01-01"]"#))).await;
    assert_eq!((about.attempts, about.adjustments.to_string().as_str()), (1, "anthropic_beta=dropped:brand-new-2027-01-01"));
}

#[tokio::test(start_paused = true)]
async fn pain_11_a_refused_signature_is_stripped_once_and_other_refusals_keep_upstreams_words() {
    let tree = tree().await;
    let thinking = body("").replace(
        r#""messages":["#,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"other"},{"type":"text","text":"b"}]},"#,
    );
    let refused = "messages.1.content.0: Invalid `signature` in `thinking` block";
    tree.regions[0].then(Step::Fail(Cause::BadRequest, refused));
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let (_, about) = raw(&tree, message(&tree, &thinking)).await;
    assert_eq!((about.attempts, about.adjustments.to_string().as_str()), (2, "messages.thinking=stripped"));
    tree.regions[0].then(Step::Fail(Cause::BadRequest, refused));
    tree.regions[0].then(Step::Fail(Cause::BadRequest, refused));
    let error = submit(&tree, message(&tree, &thinking)).await.unwrap_err();
    assert!(error.to_string().ends_with(refused), "{error}");
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "max_tokens: 90 > 5"));
    let before = tree.regions[0].calls();
    let error = submit(&tree, message(&tree, &thinking)).await.unwrap_err();
    assert!(error.to_string().ends_with("max_tokens: 90 > 5") && tree.regions[0].calls() == before + 1, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_no_call_is_left_for_is_told_as_it_was() {
    let mut settings = settings();
    settings.routing.max_attempts = 1;
    let tree = with(settings).await;
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "invalid beta flag"));
    let error = submit(&tree, message(&tree, &body(r#","anthropic_beta":["brand-new"]"#))).await.unwrap_err();
    assert!(error.to_string().ends_with("invalid beta flag") && tree.regions[0].calls() == 1, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_model_of_another_family_goes_through_the_hub() {
    let tree = tree().await;
    tree.regions[0].then(Step::Text("from the hub"));
    let plain = format!(r#"{{"model":"{MODEL}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]}}"#);
    let answer = submit(&tree, message(&tree, &plain)).await.unwrap();
    assert!(matches!(&answer, ChatAnswer::Whole { choices, .. } if choices.len() == 1), "{answer:?}");
    assert_eq!(tree.regions[0].last_call().operation, RuntimeOperation::Converse);
}

#[tokio::test(start_paused = true)]
async fn wishes_travel_in_headers_of_the_invoke_family() {
    let guardrail = Guardrail { identifier: "ours".to_owned(), version: "2".to_owned(), trace: None, stream_mode: None };
    let tree = with(LiveSettings { chat: ChatPolicy { guardrail: Some(guardrail), ..ChatPolicy::default() }, ..settings() }).await;
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let mut job = message(&tree, &body(r#","service_tier":"auto","requestMetadata":{"team":"blue"}"#));
    job.overrides = RequestOverrides { service_tier: Some(ServiceTier::Flex), ..RequestOverrides::default() };
    raw(&tree, job).await;
    let call = tree.regions[0].last_call();
    let header = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-amzn-bedrock-guardrailidentifier"), Some("ours"));
    assert_eq!(header("x-amzn-bedrock-guardrailversion"), Some("2"));
    assert_eq!(header("x-amzn-bedrock-service-tier"), Some("flex"));
    assert_eq!(header("x-amzn-bedrock-request-metadata"), Some(r#"{"team":"blue"}"#));
    assert_eq!(std::str::from_utf8(&call.body).unwrap(), sent(""));
    let error = submit(&tree, message(&tree, &body(r#","guardrail":{"identifier":"theirs","version":"1"}"#))).await.unwrap_err();
    assert_eq!(error.class(), "invalid_request");
}

#[tokio::test(start_paused = true)]
async fn pain_18_tokens_are_counted_by_the_base_model_and_a_count_that_fails_closes_nothing() {
    let tree = tree().await;
    tree.regions[0].then(Step::Fail(Cause::AccessDenied, "not authorized to perform: bedrock:CountTokens"));
    tree.regions[1].then(Step::Raw(r#"{"inputTokens":42}"#.to_owned()));
    let asked = r#"{"model":"anthropic.claude-sonnet-4-6","messages":[{"role":"user","content":"hi"}],"system":"s"}"#;
    let ChatAnswer::Counted { tokens, about } = submit(&tree, count(&tree, asked)).await.unwrap() else { panic!("not counted") };
    assert_eq!((tokens, about.region.as_str(), about.attempts), (42, TWO[1], 2));
    let call = tree.regions[1].last_call();
    assert_eq!((call.operation, call.invoke_id.as_str()), (RuntimeOperation::CountTokens, CLAUDE));
    let json: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    let inner = STANDARD.decode(json["input"]["invokeModel"]["body"].as_str().unwrap()).unwrap();
    let inner: serde_json::Value = serde_json::from_slice(&inner).unwrap();
    assert_eq!(
        (inner["anthropic_version"].as_str(), inner["max_tokens"].as_u64(), inner["system"].as_str()),
        (Some("bedrock-2023-05-31"), Some(1), Some("s"))
    );
    assert_eq!(tree.last_report().usage, None, "nothing is billed");
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let (_, about) = raw(&tree, message(&tree, &body(""))).await;
    assert_eq!(about.region.as_str(), TWO[0], "who may not count may well answer");
}

#[tokio::test(start_paused = true)]
async fn tokens_of_other_models_are_counted_as_converse_would_send_them() {
    let tree = tree().await;
    tree.regions[0].then(Step::Raw(r#"{"inputTokens":7}"#.to_owned()));
    let asked = format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"hi"}}]}}"#);
    let answer = submit(&tree, count(&tree, &asked)).await.unwrap();
    assert!(matches!(answer, ChatAnswer::Counted { tokens: 7, .. }), "{answer:?}");
    let json: serde_json::Value = serde_json::from_slice(&tree.regions[0].last_call().body).unwrap();
    assert_eq!(json["input"]["converse"]["messages"][0]["content"][0]["text"], "hi");
}

#[tokio::test(start_paused = true)]
async fn a_native_call_passes_to_the_byte_both_ways_and_is_metered() {
    let tree = tree().await;
    let answer = String::from_utf8(whole_answer("hi").to_vec()).unwrap();
    tree.regions[0].then(Step::Raw(answer.clone()));
    let asked = r#" {"messages":[{"role":"user","content":[{"text":"hi"}]}],"x":1.0}"#;
    let (told, about) = raw(&tree, native(&tree, RuntimeOperation::Converse, "nova-lite", asked, HeaderMap::new())).await;
    assert_eq!((told, about.model.as_str()), (answer, MODEL));
    let passed = about.passed.unwrap();
    assert_eq!((passed.len(), passed["x-amzn-requestid"].to_str().unwrap()), (3, "aws-1"), "{passed:?}");
    assert_eq!(std::str::from_utf8(&tree.regions[0].last_call().body).unwrap(), asked);
    assert_eq!(tree.last_report().usage.unwrap().output, 7);
    let headers: HeaderMap = [(HeaderName::from_static("x-amzn-bedrock-trace"), HeaderValue::from_static("ENABLED"))].into_iter().collect();
    tree.regions[0].then(Step::Raw(r#"{"results":1}"#.to_owned()));
    raw(&tree, native(&tree, RuntimeOperation::InvokeModel, MODEL, r#"{"schemaVersion":"messages-v1"}"#, headers)).await;
    assert_eq!(tree.regions[0].last_call().headers["x-amzn-bedrock-trace"], "ENABLED");
}

#[tokio::test(start_paused = true)]
async fn a_native_count_is_billed_to_nobody() {
    let tree = tree().await;
    tree.regions[0].then(Step::Raw(r#"{"inputTokens":42}"#.to_owned()));
    let job = native(&tree, RuntimeOperation::CountTokens, CLAUDE, r#"{"input":{}}"#, HeaderMap::new());
    assert_eq!(raw(&tree, job).await.0, r#"{"inputTokens":42}"#);
    assert_eq!(tree.regions[0].last_call().invoke_id.as_str(), CLAUDE);
    assert_eq!((tree.last_report().usage, tree.last_report().outcome), (None, JobOutcome::Completed));
}

#[tokio::test(start_paused = true)]
async fn native_frames_pass_as_frames() {
    let tree = tree().await;
    let frames: Vec<Bytes> = [start_event(), text_event("one")].into_iter().chain(end_events()).collect();
    tree.regions[0].then(Step::Chunks(frames.clone()));
    let job = native(&tree, RuntimeOperation::ConverseStream, MODEL, r#"{"messages":[]}"#, HeaderMap::new());
    let ChatAnswer::Stream { mut events, about } = submit(&tree, job).await.unwrap() else { panic!("not a stream") };
    assert_eq!(about.passed.unwrap()["x-amzn-bedrock-input-token-count"], "11");
    let (mut seen, mut done) = (Vec::new(), false);
    while let Some(item) = events.recv().await {
        match item {
            StreamItem::Bytes(bytes) => seen.extend_from_slice(&bytes),
            StreamItem::Done => done = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(done && seen == frames.concat());
    tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
    assert_eq!((tree.last_report().usage.unwrap().input, tree.last_report().estimated), (11, false));
}

#[tokio::test(start_paused = true)]
async fn the_operators_guardrail_is_on_native_calls_too() {
    let guardrail = Guardrail { identifier: "ours".to_owned(), version: "2".to_owned(), trace: None, stream_mode: None };
    let tree = with(LiveSettings { chat: ChatPolicy { guardrail: Some(guardrail), ..ChatPolicy::default() }, ..settings() }).await;
    let converse = |body: &str| native(&tree, RuntimeOperation::Converse, MODEL, body, HeaderMap::new());
    tree.regions[0].then(Step::Text("x"));
    raw(&tree, converse(r#"{"messages":[]}"#)).await;
    let sent = tree.regions[0].last_call().body;
    assert_eq!(
        std::str::from_utf8(&sent).unwrap(),
        r#"{"guardrailConfig":{"guardrailIdentifier":"ours","guardrailVersion":"2"},"messages":[]}"#
    );
    let named = r#"{"messages":[],"guardrailConfig":{"guardrailIdentifier":"theirs"}}"#;
    assert_eq!(submit(&tree, converse(named)).await.unwrap_err().class(), "forbidden");
    tree.regions[0].then(Step::Raw("{}".to_owned()));
    raw(&tree, native(&tree, RuntimeOperation::InvokeModel, CLAUDE, "{}", HeaderMap::new())).await;
    assert_eq!(tree.regions[0].last_call().headers["x-amzn-bedrock-guardrailidentifier"], "ours");
    let theirs: HeaderMap =
        [(HeaderName::from_static("x-amzn-bedrock-guardrailidentifier"), HeaderValue::from_static("theirs"))].into_iter().collect();
    let error = submit(&tree, native(&tree, RuntimeOperation::InvokeModel, CLAUDE, "{}", theirs)).await.unwrap_err();
    assert_eq!(error.class(), "forbidden");
}

#[tokio::test(start_paused = true)]
async fn pain_25_a_reader_that_leaves_closes_the_stream_of_a_native_call_too() {
    let tree = tree().await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(chunk(START))).await.unwrap();
    let events = stream(&tree, native(&tree, RuntimeOperation::InvokeModelWithResponseStream, CLAUDE, "{}", HeaderMap::new())).await;
    drop(events);
    feed.closed().await;
    tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_where_its_prompt_cache_is_whichever_way_it_comes() {
    let mut settings = settings();
    settings.routing.strategy = Strategy::Adaptive;
    let tree = with(settings).await;
    let turn = |model: &str, conversation: u32, turn: u32| {
        let system = format!("Conversation {conversation}. {}", "You are patient. ".repeat(1_200));
        format!(
            r#"{{{model}"anthropic_version":"bedrock-2023-05-31","max_tokens":90,"system":[{{"type":"text","text":"{system}","cache_control":{{"type":"ephemeral"}}}}],"messages":[{{"role":"user","content":"hello"}},{{"role":"assistant","content":"x"}},{{"role":"user","content":"turn {turn}"}}]}}"#
        )
    };
    let answers = || tree.regions.iter().for_each(|region| region.then(Step::Raw(ANSWER.to_owned())));
    let mut homes = Vec::new();
    for conversation in 0..8 {
        for number in 0..4 {
            answers();
            let job = if number % 2 == 0 {
                message(&tree, &turn(&format!(r#""model":"{CLAUDE}","#), conversation, number))
            } else {
                native(&tree, RuntimeOperation::InvokeModel, CLAUDE, &turn("", conversation, number), HeaderMap::new())
            };
            homes.push((conversation, raw(&tree, job).await.1.region));
        }
    }
    let moved = homes.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1).count();
    assert_eq!(moved, 0, "{homes:?}");
    assert!(tree.regions.iter().all(|region| region.calls() >= 4), "conversations are spread: {homes:?}");
}

#[tokio::test(start_paused = true)]
async fn chats_go_their_way_beside_all_this() {
    let tree = tree().await;
    tree.regions[0].then(Step::Text("hi"));
    assert!(matches!(tree.ask(&hello(false)).await.unwrap(), ChatAnswer::Whole { .. }));
}
