//! Regions that throttle, fail and break; clients that leave.

use std::time::Duration;

use outcrop_gateway::record::JobOutcome;
use outcrop_sim::{
    Access, Action, Call, Chunking, CorruptField, Credential, CutManner, DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Ending, Operation, Pace,
    Quota, RegionMode, Rule, ScriptedError,
};
use serde_json::{Value, json};

use crate::{
    chat::says,
    support::{CLAUDE, EAST, EUROPE, Event, Folded, TestGateway, WEST, eventually},
};

/// AWS's id of [`CLAUDE`].
const CLAUDE_ID: &str = "anthropic.claude-sonnet-4-6";

fn throttled() -> Action {
    Action::Error(ScriptedError::throttling())
}

#[tokio::test]
async fn a_throttled_region_is_left_for_the_next_and_the_client_never_knows() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::always(throttled()).region(EAST));
    let answer = gateway.chat(&says("say exactly: served")).await;
    assert_eq!(answer.ok()["choices"][0]["message"]["content"], "served");
    assert_eq!((answer.header("x-outcrop-region"), answer.header("x-outcrop-attempts")), (Some(WEST), Some("2")));
    assert_eq!(gateway.regions(), [EAST, WEST]);
    let job = gateway.records.only().await.job.unwrap();
    assert_eq!(
        (job.regions_tried.iter().map(|region| region.as_str()).collect::<Vec<_>>(), job.outcome),
        (vec![EAST, WEST], JobOutcome::Completed)
    );
    // What was learned holds for the next request.
    let next = gateway.chat(&says("hello")).await;
    assert_eq!((next.header("x-outcrop-region"), next.header("x-outcrop-attempts")), (Some(WEST), Some("1")));
    gateway.end().await;
}

#[tokio::test]
async fn a_throttled_stream_is_opened_elsewhere_and_the_client_never_knows() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::always(throttled()).region(EAST));
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())).region(WEST));
    let stream = gateway.streamed(&says("say exactly: one two three")).await;
    assert_eq!((stream.text().as_str(), &stream.headers["x-outcrop-region"]), ("one two three", &EUROPE.parse().unwrap()));
    assert_eq!(gateway.regions(), [EAST, WEST, EUROPE]);
    gateway.end().await;
}

#[tokio::test]
async fn a_real_quota_that_runs_out_moves_the_load_on() {
    let gateway = TestGateway::start().await;
    for region in [EAST, WEST] {
        gateway.simulator.quota(region, CLAUDE_ID, Quota::per_minute(3, 10_000_000, 1)).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(gateway.chat(&says("hello")).await.status, 200);
    }
    let served = |region: &str| gateway.calls().iter().filter(|call| call.region == region && call.error_type().is_none()).count();
    assert_eq!((served(EAST), served(WEST), served(EUROPE)), (3, 3, 4));
    gateway.end().await;
}

#[tokio::test]
async fn when_all_regions_throttle_the_client_is_told_when_to_come_back() {
    let gateway = TestGateway::builder().set("routing.max_wait=0s").start().await;
    gateway.simulator.script(Rule::always(throttled()));
    // Upstream's words to the one whose call it refused; the next is held back by us, in our words.
    for (streaming, expected) in [
        (false, "Too many requests, please wait before trying again."),
        (true, "this model is held back in every region this request may use after failures of earlier calls (throttled)"),
    ] {
        let answer = if streaming { gateway.open(&says("hello")).await.answer().await } else { gateway.chat(&says("hello")).await };
        let message = answer.refusal(429, "rate_limit_error", Some("rate_limit_exceeded"));
        assert_eq!(message, expected);
        let seconds: u64 = answer.header("retry-after").expect("a time to come back").parse().unwrap();
        assert!((1..=5).contains(&seconds), "{seconds}");
    }
    // The second request found every region closed and asked nobody.
    assert_eq!(gateway.regions(), [EAST, WEST, EUROPE]);
    gateway.end().await;
}

#[tokio::test]
async fn a_request_waits_for_the_first_region_that_opens_again() {
    let gateway = TestGateway::builder().set("routing.backoff.throttled.first=150ms").start().await;
    for region in [EAST, WEST, EUROPE] {
        gateway.simulator.script(Rule::once(throttled()).region(region));
    }
    let answer = gateway.chat(&says("hello")).await;
    assert_eq!((answer.status, answer.header("x-outcrop-attempts")), (200, Some("4")), "{}", answer.text());
    gateway.end().await;
}

#[tokio::test]
async fn a_region_that_recovers_is_used_again() {
    let gateway = TestGateway::builder().set("routing.backoff.throttled.first=100ms").start().await;
    gateway.simulator.script(Rule::once(throttled()).region(EAST));
    assert_eq!(gateway.chat(&says("hello")).await.header("x-outcrop-region"), Some(WEST));
    eventually("the first region is back", async || gateway.chat(&says("hello")).await.header("x-outcrop-region") == Some(EAST)).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_region_that_cannot_be_reached_is_left_for_the_next() {
    for mode in [RegionMode::Refuse, RegionMode::Reset, RegionMode::BlackHole] {
        let gateway =
            TestGateway::builder().set("timeouts.connect=1s").set("timeouts.first_byte=1s").set("timeouts.whole_answer=1s").start().await;
        gateway.simulator.set_region(EAST, mode).await.unwrap();
        let (whole, stream) = (says("say exactly: served"), says("say exactly: streamed"));
        let (answer, streamed) = tokio::join!(gateway.chat(&whole), gateway.streamed(&stream));
        assert_eq!(answer.header("x-outcrop-region"), Some(WEST), "{mode:?}: {}", answer.text());
        assert_eq!(streamed.text(), "streamed", "{mode:?}");
        gateway.simulator.set_region(EAST, RegionMode::Up).await.unwrap();
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_tried_elsewhere() {
    for manner in [CutManner::Close, CutManner::Reset] {
        let gateway = TestGateway::start().await;
        gateway.simulator.script(Rule::always(Action::CutBeforeHead(manner)).region(EAST).model(CLAUDE_ID));
        assert_eq!(gateway.chat(&says("hello")).await.header("x-outcrop-region"), Some(WEST), "{manner:?}");
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_is_opened_elsewhere() {
    let throttle = Action::ExceptionFrame { after_events: 0, kind: "throttlingException".to_owned(), message: "slow down".to_owned() };
    let odd = Action::ErrorFrame { after_events: 0, code: "InternalFailure".to_owned(), message: "oh".to_owned() };
    let cut = Action::CutAfterEvents { events: 0, manner: CutManner::Close };
    let corrupt = Action::CorruptFrame { after_events: 0, field: CorruptField::MessageCrc };
    for action in [throttle, odd, cut, corrupt] {
        let gateway = TestGateway::builder().simulator(|sim| sim.chunking(Chunking::Framed)).start().await;
        gateway.simulator.script(Rule::always(action.clone()).region(EAST));
        let stream = gateway.streamed(&says("say exactly: served elsewhere")).await;
        assert_eq!((stream.text().as_str(), gateway.regions()), ("served elsewhere", vec![EAST.to_owned(), WEST.to_owned()]), "{action:?}");
        gateway.end().await;
    }
}

/// Streams an answer whose upstream breaks by `action` in its middle.
async fn broken(gateway: &TestGateway, action: Action) -> Folded {
    let before = gateway.calls().len();
    gateway.simulator.script(Rule::once(action).operation(Operation::ConverseStream));
    let stream = gateway.open(&says("count to 60")).await;
    assert_eq!(stream.head.status, 200);
    let folded = stream.fold().await;
    assert_eq!(gateway.calls().len(), before + 1, "an answer that had begun was asked for again");
    folded
}

#[tokio::test]
async fn a_stream_that_breaks_in_its_middle_ends_with_an_error_in_band() {
    let gateway = TestGateway::builder().set("timeouts.stream_idle=1s").simulator(|sim| sim.chunking(Chunking::Framed)).start().await;
    let (after_events, events) = (6, 6);
    let actions = [
        Action::ExceptionFrame { after_events, kind: "modelStreamErrorException".to_owned(), message: "the model stumbled".to_owned() },
        Action::ExceptionFrame { after_events, kind: "throttlingException".to_owned(), message: "slow down".to_owned() },
        Action::ErrorFrame { after_events, code: "InternalFailure".to_owned(), message: "something odd".to_owned() },
        Action::CutAfterEvents { events, manner: CutManner::Close },
        Action::CutAfterEvents { events, manner: CutManner::Reset },
        Action::CutAfterBytes { bytes: 900, manner: CutManner::Close },
        Action::CorruptFrame { after_events, field: CorruptField::MessageCrc },
        Action::CorruptFrame { after_events, field: CorruptField::PreludeCrc },
        Action::TruncateFrame { after_events, keep_bytes: 20 },
        Action::StallAfterEvents { events, pause: Duration::from_secs(30) },
        Action::NoStop,
    ];
    for action in actions {
        let stream = broken(&gateway, action.clone()).await;
        assert_eq!((stream.done, &stream.broken), (0, &None), "{action:?}");
        let error = stream.error.as_ref().unwrap_or_else(|| panic!("{action:?} looks like success"));
        assert!(error["error"]["message"].as_str().is_some_and(|words| !words.is_empty()), "{error}");
        assert!(error["error"]["type"].is_string(), "{error}");
        // A reset may take with it what was not read yet.
        if !matches!(action, Action::CutAfterEvents { manner: CutManner::Reset, .. }) {
            assert!(stream.text().starts_with("1, 2"), "{action:?}: what came before is lost: {:?}", stream.text());
        }
        match &action {
            Action::ExceptionFrame { message, .. } | Action::ErrorFrame { message, .. } => assert_eq!(error["error"]["message"], *message),
            _ => {}
        }
        let line = gateway.records.lines().pop().unwrap();
        assert_eq!(line.job.map(|job| job.outcome), Some(JobOutcome::Failed), "{action:?}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_refusal_of_the_request_itself_passes_word_for_word_and_is_not_repeated() {
    let gateway = TestGateway::start().await;
    let words = "messages.3: `tool_use` ids were found without “tool_result” blocks:\n\t{\"id\": \"toolu_1\"}; input length and `max_tokens` exceed";
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::new(400, "ValidationException", words))));
    for streaming in [false, true] {
        let answer = if streaming { gateway.open(&says("hello")).await.answer().await } else { gateway.chat(&says("hello")).await };
        assert_eq!(answer.refusal(400, "invalid_request_error", None), words);
    }
    assert_eq!(gateway.regions(), [EAST, EAST], "a bad request is bad everywhere, and says nothing about the region");
    gateway.end().await;
}

#[tokio::test]
async fn a_region_without_access_is_skipped_and_no_access_anywhere_is_told() {
    let gateway = TestGateway::builder().set("routing.max_wait=0s").start().await;
    gateway.simulator.set_access(EAST, CLAUDE_ID, Access::Denied).unwrap();
    let first = gateway.chat(&says("hello")).await;
    assert_eq!((first.header("x-outcrop-region"), first.header("x-outcrop-attempts")), (Some(WEST), Some("2")), "{}", first.text());
    assert_eq!(gateway.chat(&says("hello")).await.header("x-outcrop-attempts"), Some("1"));
    for region in [WEST, EUROPE] {
        gateway.simulator.set_access(region, CLAUDE_ID, Access::Denied).unwrap();
    }
    gateway.chat(&says("hello")).await.refusal(403, "permission_error", None);
    // Other models of the same regions are not touched by that.
    let other = json!({"model": "nova-lite", "messages": [{"role": "user", "content": "hello"}]});
    assert_eq!(gateway.chat(&other).await.header("x-outcrop-region"), Some(EAST));
    gateway.end().await;
}

#[tokio::test]
async fn without_failover_the_first_region_is_the_only_one() {
    let gateway = TestGateway::builder().set("routing.strategy=disabled").set("routing.max_wait=0s").start().await;
    gateway.simulator.script(Rule::always(throttled()).region(EAST));
    gateway.chat(&says("hello")).await.refusal(429, "rate_limit_error", Some("rate_limit_exceeded"));
    assert_eq!(gateway.regions(), [EAST]);
    gateway.end().await;
}

#[tokio::test]
async fn one_throttle_of_a_region_that_is_hardly_used_shuts_nobody_out() {
    let gateway = TestGateway::builder().regions([EAST]).set("routing.strategy=adaptive").set("routing.max_wait=3s").start().await;
    let words = "Too many tokens, please wait before trying again.";
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::new(429, "ThrottlingException", words))));
    for (max_tokens, calls) in [(20, 2), (30_000, 3)] {
        let mut request = says("say exactly: served");
        request["max_tokens"] = json!(max_tokens);
        assert_eq!(gateway.completion(&request).await["choices"][0]["message"]["content"], "served");
        assert_eq!(gateway.regions().len(), calls);
    }
    gateway.end().await;
}

#[tokio::test]
async fn one_choice_of_several_may_be_answered_elsewhere() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(throttled()).region(EAST).skip(1));
    let mut request = says("say exactly: each");
    request["n"] = json!(3);
    let body = gateway.completion(&request).await;
    assert!(body["choices"].as_array().unwrap().iter().all(|choice| choice["message"]["content"] == "each"), "{body}");
    let mut regions = gateway.regions();
    regions.sort();
    assert_eq!(regions, [EAST, EAST, EAST, WEST]);
    gateway.end().await;
}

#[tokio::test]
async fn credentials_that_expire_are_told_as_an_outage_and_nothing_of_them_is_shown() {
    let gateway = TestGateway::builder()
        .set("routing.max_wait=0s")
        .set("routing.backoff.unavailable.first=100ms")
        .set("routing.backoff.unavailable.max=100ms")
        .start()
        .await;
    assert!(gateway.simulator.expire_key(DEFAULT_ACCESS_KEY));
    let answer = gateway.chat(&says("hello")).await;
    let message = answer.refusal(503, "server_error", None);
    assert!(!message.contains("expired") && !message.contains(DEFAULT_ACCESS_KEY), "{message}");
    let detail = gateway.records.only().await.job.unwrap().error_detail.unwrap();
    assert!(detail.contains("expired"), "the operator is not told: {detail}");
    gateway.simulator.put_credential(Credential::new(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY));
    eventually("the gateway serves again", async || gateway.chat(&says("hello")).await.status == 200).await;
    gateway.end().await;
}

/// The one inference call, once the simulator has seen its client leave.
async fn left(gateway: &TestGateway, calls: usize) -> Vec<Call> {
    gateway.calls_until(|seen| seen.len() == calls && seen.iter().all(|call| call.ending == Ending::ClientGone)).await
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_closes_it_upstream_within_a_second() {
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(10));
    let gateway = TestGateway::builder().simulator(move |sim| sim.pace(slowly)).start().await;
    let mut request = says("count to 5000");
    request["n"] = json!(2);
    let mut stream = gateway.open(&request).await;
    for _ in 0..10 {
        stream.chunk().await;
    }
    let at = gateway.simulator.clock().elapsed();
    drop(stream);
    for call in left(&gateway, 2).await {
        let took = call.client_closed_at.expect("a time").saturating_sub(at);
        assert!(took < Duration::from_secs(1), "upstream ran on for {took:?}");
        assert!(call.events_sent < 500, "{}", call.events_sent);
    }
    let line = gateway.records.only().await;
    assert!(line.edge.unwrap().client_gone);
    assert_eq!(line.job.unwrap().outcome, JobOutcome::Cancelled);
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_the_call() {
    for streaming in [false, true] {
        let gateway = TestGateway::start().await;
        gateway.simulator.script(Rule::always(Action::DelayHead(Duration::from_secs(60))).model(CLAUDE_ID));
        let client = gateway.client.clone();
        let asking = tokio::spawn(async move {
            if streaming { client.open(&says("hello")).await.answer().await } else { client.chat(&says("hello")).await }
        });
        gateway.calls_until(|calls| calls.len() == 1).await;
        let at = gateway.simulator.clock().elapsed();
        asking.abort();
        let call = left(&gateway, 1).await.remove(0);
        let took = call.client_closed_at.expect("a time").saturating_sub(at);
        assert!(took < Duration::from_secs(1), "upstream ran on for {took:?}");
        let line = gateway.records.only().await;
        assert_eq!((line.edge.unwrap().status, line.job.unwrap().outcome), (499, JobOutcome::Cancelled));
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_own_stream_and_no_other() {
    let gateway = TestGateway::start().await;
    let stuck = gateway.open(&says("write 20000 words")).await;
    for _ in 0..5 {
        assert_eq!(gateway.streamed(&says("say exactly: all is well")).await.text(), "all is well");
    }
    // It is not lost either: the words wait where they are.
    let folded = stuck.fold().await;
    assert_eq!((folded.done, folded.text().split_whitespace().count()), (1, 20_000));
    gateway.end().await;
}

#[tokio::test]
async fn a_region_that_tells_nothing_of_its_models_harms_no_other() {
    let gateway = TestGateway::builder()
        .prepare(|sim| {
            sim.script(Rule::always(Action::Error(ScriptedError::unavailable())).region(WEST));
        })
        .not_waiting()
        .start()
        .await;
    eventually("two regions are known", async || {
        let report = gateway.ports().describe().await;
        report.catalogue.is_some_and(|catalogue| catalogue.regions.values().filter(|region| region.models > 0).count() == 2)
    })
    .await;
    gateway.simulator.script(Rule::always(throttled()).region(EAST));
    let answer = gateway.chat(&says("hello")).await;
    assert_eq!(answer.header("x-outcrop-region"), Some(EUROPE), "{}", answer.text());
    let report = gateway.ports().describe().await;
    let west = report.discovery.iter().find(|region| region.region.as_str() == WEST).unwrap();
    assert!(west.failures_in_a_row > 0 && west.last_failure.as_ref().unwrap().contains("unable to process"), "{west:?}");
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_opened_before_its_answer_still_tells_how_it_ended() {
    let gateway = TestGateway::builder()
        .set("routing.max_wait=0s")
        .limits(|limits| {
            limits.open_stream_after = Duration::from_millis(50);
            limits.keep_alive = Duration::from_millis(50);
        })
        .start()
        .await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_millis(300))).model(CLAUDE_ID));
    let mut good = gateway.open(&says("say exactly: at last")).await;
    assert_eq!(good.next().await, Some(Event::Comment("keep-alive".to_owned())), "the client must see that it is connected");
    let good = good.fold().await;
    assert!(good.comments >= 2, "{}", good.comments);
    assert_eq!((good.text().as_str(), good.done), ("at last", 1));

    let slow_throttle = Rule::always(throttled()).and(Action::DelayHead(Duration::from_millis(150)));
    gateway.simulator.script(slow_throttle.model(CLAUDE_ID));
    let stream = gateway.open(&says("hello")).await;
    assert_eq!(stream.head.status, 200);
    let bad = stream.fold().await;
    assert_eq!((bad.done, bad.error.unwrap()["error"]["code"].clone()), (0, Value::from("rate_limit_exceeded")));
    gateway.end().await;
}

#[tokio::test]
async fn deadlines_end_requests() {
    let mut builder = TestGateway::builder().regions([EAST]).set("timeouts.total=1s");
    for shorter in
        ["timeouts.connect", "timeouts.first_byte", "timeouts.stream_idle", "fetch.timeout", "lanes.chat.queue_wait", "routing.max_wait"]
    {
        builder = builder.set(format!("{shorter}=1s"));
    }
    let gateway = builder.start().await;
    gateway.simulator.script(Rule::always(Action::DelayHead(Duration::from_secs(60))).model(CLAUDE_ID).operation(Operation::Converse));
    let answer = gateway.chat(&says("hello")).await;
    answer.refusal(504, "server_error", None);
    let drip = Action::DelayBetweenEvents(Duration::from_millis(100));
    gateway.simulator.script(Rule::always(drip).operation(Operation::ConverseStream));
    eventually("the region is tried again", async || {
        let stream = gateway.open(&json!({"model": CLAUDE, "messages": [{"role": "user", "content": "count to 1000"}]})).await;
        if stream.head.status != 200 {
            return false;
        }
        let folded = stream.fold().await;
        assert_eq!((folded.done, folded.error.is_some()), (0, true));
        true
    })
    .await;
    gateway.end().await;
}

#[tokio::test]
async fn an_alias_falls_back_to_other_models_when_no_region_can_serve_its_own() {
    let gateway = TestGateway::builder()
        .set("routing.max_wait=0s")
        .set(r#"models.aliases.smart={model = "claude-sonnet-4-6", fallback = ["no-such-model", "nova-lite"]}"#)
        .start()
        .await;
    let ask = |model: &str, stream: bool| {
        let mut request = says("say exactly: served");
        request["model"] = model.into();
        request["stream"] = stream.into();
        request
    };
    gateway.chat(&ask("smart", false)).await.ok();
    gateway.simulator.script(Rule::always(throttled()).model(CLAUDE_ID));
    let answer = gateway.chat(&ask("smart", false)).await;
    assert_eq!(answer.ok()["model"], "amazon.nova-lite-v1:0");
    assert_eq!(answer.header("x-outcrop-model"), Some("amazon.nova-lite-v1:0"));
    assert!(answer.header("x-outcrop-adjusted").is_some_and(|told| told.contains("model=fallback:amazon.nova-lite-v1:0")), "{answer:?}");
    let stream = gateway.streamed(&ask("smart", true)).await;
    assert_eq!((stream.text().as_str(), &stream.headers["x-outcrop-model"]), ("served", &"amazon.nova-lite-v1:0".parse().unwrap()));
    // Without the alias there is no chain, and when nothing of it helps the first failure is told.
    gateway.chat(&ask(crate::support::CLAUDE, false)).await.refusal(429, "rate_limit_error", Some("rate_limit_exceeded"));
    gateway.simulator.script(Rule::always(throttled()));
    gateway.chat(&ask("smart", false)).await.refusal(429, "rate_limit_error", Some("rate_limit_exceeded"));
    gateway.end().await;
}

#[tokio::test]
async fn what_an_alias_is_configured_with_holds_for_the_models_it_falls_back_to_and_in_every_spelling() {
    let guardrail = r#"guardrail = {identifier = "gr1a2b3c", version = "1"}"#;
    let extra = r#"extra_params = {top_k = 7}"#;
    let gateway = TestGateway::builder()
        .set("routing.max_wait=0s")
        .set(format!(r#"models.aliases.smart={{model = "claude-sonnet-4-6", fallback = ["nova-lite"], {guardrail}, {extra}}}"#))
        .start()
        .await;
    let ask = |model: &str| {
        let mut request = says("say exactly: served");
        request["model"] = model.into();
        request
    };
    for name in ["smart", "SMART", "bedrock/smart", " smart "] {
        gateway.chat(&ask(name)).await.ok();
        let sent = sent_last(&gateway);
        assert_eq!(sent["guardrailConfig"]["guardrailIdentifier"], "gr1a2b3c", "{name}: {sent}");
        assert_eq!(sent["additionalModelRequestFields"]["top_k"], 7, "{name}: {sent}");
    }
    gateway.simulator.script(Rule::always(throttled()).model(CLAUDE_ID));
    assert_eq!(gateway.chat(&ask("smart")).await.ok()["model"], "amazon.nova-lite-v1:0");
    let sent = sent_last(&gateway);
    assert_eq!(sent["guardrailConfig"]["guardrailIdentifier"], "gr1a2b3c", "{sent}");
    assert!(sent.get("additionalModelRequestFields").is_none(), "what one model takes, another may refuse: {sent}");
    gateway.end().await;
}

#[tokio::test]
async fn an_alias_that_stands_in_for_another_brings_what_it_is_configured_with() {
    let gateway = TestGateway::builder()
        .set("routing.max_wait=0s")
        .set(r#"models.aliases.smart={model = "claude-sonnet-4-6", fallback = ["safe"]}"#)
        .set(r#"models.aliases.safe={model = "nova-lite", guardrail = {identifier = "gr1a2b3c", version = "1"}, extra_params = {inferenceConfig = {topK = 7}}}"#)
        .start()
        .await;
    gateway.simulator.script(Rule::always(throttled()).model(CLAUDE_ID));
    let mut request = says("say exactly: served");
    request["model"] = "smart".into();
    gateway.chat(&request).await.ok();
    let sent = sent_last(&gateway);
    assert_eq!(sent["guardrailConfig"]["guardrailIdentifier"], "gr1a2b3c", "{sent}");
    assert!(sent["additionalModelRequestFields"].to_string().contains('7'), "{sent}");
    gateway.end().await;
}

/// The body of the last call upstream.
fn sent_last(gateway: &TestGateway) -> serde_json::Value {
    serde_json::from_slice(&gateway.calls().last().unwrap().body).unwrap()
}
