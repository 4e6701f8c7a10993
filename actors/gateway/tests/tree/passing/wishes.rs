//! What headers ask of native calls, and by which tier they are metered.

use outcrop_domain::{chat::Latency, money::MicroUsd};

use super::*;

const CONVERSE: RuntimeOperation = RuntimeOperation::Converse;
const STREAMS: RuntimeOperation = RuntimeOperation::ConverseStream;

fn headers(names: &[&'static str]) -> HeaderMap {
    names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x"))).collect()
}

/// A Converse call whose headers were read at the edge.
fn asking(tree: &TestTree, body: &str, names: &[&'static str], overrides: RequestOverrides) -> ChatJob {
    ChatJob { overrides, ..native(tree, CONVERSE, MODEL, body, headers(names)) }
}

const SERVICE_TIER: &str = "x-amzn-bedrock-service-tier";
const LATENCY: &str = "x-amzn-bedrock-performanceconfig-latency";
const GUARDRAIL: [&str; 2] = ["x-amzn-bedrock-guardrailidentifier", "x-amzn-bedrock-guardrailversion"];
const MODE: &str = "x-amzn-bedrock-guardrailstreamprocessingmode";

fn guarded() -> RequestOverrides {
    let mode = Some(outcrop_domain::chat::GuardrailStreamMode::Sync);
    let guardrail = Guardrail { identifier: "theirs".to_owned(), version: "1".to_owned(), trace: None, stream_mode: mode };
    RequestOverrides { guardrail: Some(guardrail), ..RequestOverrides::default() }
}

#[tokio::test(start_paused = true)]
async fn headers_of_bedrocks_are_put_into_a_converse_body_or_reported() {
    let tree = tree().await;
    let tiers =
        RequestOverrides { service_tier: Some(ServiceTier::Flex), latency: Some(Latency::Optimized), ..RequestOverrides::default() };
    for (body, names, overrides, sent, told) in [
        (
            r#"{"messages":[]}"#,
            vec![SERVICE_TIER, LATENCY],
            tiers.clone(),
            r#"{"serviceTier":{"type":"flex"},"performanceConfig":{"latency":"optimized"},"messages":[]}"#,
            "",
        ),
        (
            r#"{"serviceTier":{"type":"priority"},"performanceConfig":{"latency":"optimized"}}"#,
            vec![SERVICE_TIER, LATENCY],
            tiers,
            r#"{"serviceTier":{"type":"flex"},"performanceConfig":{"latency":"optimized"}}"#,
            "serviceTier=replaced",
        ),
        // Nobody asks how the guardrail of a whole answer looks at a stream.
        (
            r#"{"messages":[]}"#,
            vec![GUARDRAIL[0], GUARDRAIL[1], MODE],
            guarded(),
            r#"{"guardrailConfig":{"guardrailIdentifier":"theirs","guardrailVersion":"1"},"messages":[]}"#,
            "x-amzn-bedrock-guardrailstreamprocessingmode=ignored",
        ),
        (
            r#"{"guardrailConfig":{"guardrailIdentifier":"mine"}}"#,
            vec![GUARDRAIL[0], GUARDRAIL[1]],
            guarded(),
            r#"{"guardrailConfig":{"guardrailIdentifier":"mine"}}"#,
            "x-amzn-bedrock-guardrailidentifier=ignored,x-amzn-bedrock-guardrailversion=ignored",
        ),
        (
            r#"{"messages":[]}"#,
            vec!["x-amzn-bedrock-trace", "x-amzn-bedrock-request-metadata", "x-amzn-bedrock-later"],
            RequestOverrides::default(),
            r#"{"messages":[]}"#,
            "x-amzn-bedrock-trace=ignored,x-amzn-bedrock-request-metadata=ignored,x-amzn-bedrock-later=ignored",
        ),
    ] {
        tree.regions[0].then(Step::Text("x"));
        let (_, about) = raw(&tree, asking(&tree, body, &names, overrides)).await;
        let call = tree.regions[0].last_call();
        assert_eq!((std::str::from_utf8(&call.body).unwrap(), call.headers.len()), (sent, 0));
        let mut reported: Vec<String> = about.adjustments.to_string().split(',').map(str::to_owned).collect();
        let mut told: Vec<String> = told.split(',').map(str::to_owned).collect();
        reported.sort();
        told.sort();
        assert_eq!(reported, told, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_guardrail_of_a_header_looks_at_a_stream_as_the_header_says() {
    let tree = tree().await;
    tree.regions[0].then(Step::Text("x"));
    let names = [GUARDRAIL[0], GUARDRAIL[1], MODE];
    let job = ChatJob { overrides: guarded(), ..native(&tree, STREAMS, MODEL, r#"{"messages":[]}"#, headers(&names)) };
    let ChatAnswer::Stream { about, .. } = submit(&tree, job).await.unwrap() else { panic!("not a stream") };
    assert!(about.adjustments.is_empty(), "{}", about.adjustments);
    let sent = r#"{"guardrailConfig":{"guardrailIdentifier":"theirs","guardrailVersion":"1","streamProcessingMode":"sync"},"messages":[]}"#;
    assert_eq!(tree.regions[0].last_call().body, sent);
}

#[tokio::test(start_paused = true)]
async fn a_header_replaces_no_guardrail_that_the_operator_has_fixed() {
    let guardrail = Guardrail { identifier: "ours".to_owned(), version: "2".to_owned(), trace: None, stream_mode: None };
    let tree = with(LiveSettings { chat: ChatPolicy { guardrail: Some(guardrail), ..ChatPolicy::default() }, ..settings() }).await;
    let error = submit(&tree, asking(&tree, r#"{"messages":[]}"#, &GUARDRAIL, guarded())).await.unwrap_err();
    assert_eq!((error.class(), tree.regions[0].calls()), ("forbidden", 0));
}

#[tokio::test(start_paused = true)]
async fn a_count_has_nothing_for_headers_and_says_so() {
    let tree = tree().await;
    tree.regions[0].then(Step::Raw(r#"{"inputTokens":42}"#.to_owned()));
    let job = native(&tree, RuntimeOperation::CountTokens, CLAUDE, r#"{"input":{}}"#, headers(&[SERVICE_TIER]));
    assert_eq!(raw(&tree, job).await.1.adjustments.to_string(), "x-amzn-bedrock-service-tier=ignored");
    assert!(tree.regions[0].last_call().headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_native_call_is_metered_by_the_tier_it_asks_for_where_upstream_tells_none() {
    let tree = tree().await;
    let tier = |word: &'static str| HeaderMap::from_iter([(HeaderName::from_static(SERVICE_TIER), HeaderValue::from_static(word))]);
    let mut costs = Vec::new();
    for (body, invoke_tier) in [(r#"{"messages":[]}"#, "default"), (r#"{"messages":[],"serviceTier":{"type":"flex"}}"#, "flex")] {
        let answer = r#"{"usage":{"inputTokens":100000,"outputTokens":100000}}"#;
        tree.regions[0].then(Step::Raw(answer.to_owned()));
        raw(&tree, native(&tree, CONVERSE, MODEL, body, HeaderMap::new())).await;
        costs.push(tree.last_report().cost.unwrap());
        tree.regions[0].then(Step::Raw(answer.to_owned()));
        raw(&tree, native(&tree, RuntimeOperation::InvokeModel, MODEL, "{}", tier(invoke_tier))).await;
        costs.push(tree.last_report().cost.unwrap());
    }
    assert_eq!(costs, [30_000, 30_000, 15_000, 15_000].map(MicroUsd), "0.06 and 0.24 dollars per million");
}
