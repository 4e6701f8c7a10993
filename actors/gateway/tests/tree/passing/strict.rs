//! What a request that passes may not do to others: to the operator's guardrail, to other keys' flags, to quotas and accounts. And
//! what may not be done to it where the operator is strict.

use outcrop_domain::{chat::GuardrailStreamMode, money::MicroUsd};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_guardrail_that_the_operator_has_fixed_works_as_the_operator_says() {
    let mode = Some(GuardrailStreamMode::Sync);
    let guardrail = Guardrail { identifier: "ours".to_owned(), version: "2".to_owned(), trace: None, stream_mode: mode };
    let mut chat = ChatPolicy { guardrail: Some(guardrail), ..ChatPolicy::default() };
    let tree = with(LiveSettings { chat: chat.clone(), ..settings() }).await;
    let streams = RuntimeOperation::InvokeModelWithResponseStream;
    let traced = || HeaderMap::from_iter([(HeaderName::from_static("x-amzn-bedrock-trace"), HeaderValue::from_static("ENABLED"))]);
    let steering = r#"{"max_tokens":1,"amazon-bedrock-guardrailConfig":{"tagSuffix":"x"}}"#;
    for (body, headers) in [(steering, HeaderMap::new()), (r#"{"max_tokens":1}"#, traced())] {
        for operation in [RuntimeOperation::InvokeModel, streams] {
            let error = submit(&tree, native(&tree, operation, CLAUDE, body, headers.clone())).await.unwrap_err();
            assert_eq!(error.class(), "forbidden", "{body}");
        }
    }
    let member = r#","amazon-bedrock-guardrailConfig":{"streamProcessingMode":"ASYNCHRONOUS"}"#;
    assert_eq!(submit(&tree, message(&tree, &body(member))).await.unwrap_err().class(), "forbidden");
    assert_eq!(tree.regions[0].calls(), 0);
    let refused = Step::Fail(Cause::BadRequest, "seen");
    tree.regions[0].then(refused);
    submit(&tree, native(&tree, streams, CLAUDE, r#"{"max_tokens":1}"#, HeaderMap::new())).await.unwrap_err();
    let call = tree.regions[0].last_call();
    assert_eq!(
        std::str::from_utf8(&call.body).unwrap(),
        r#"{"amazon-bedrock-guardrailConfig":{"streamProcessingMode":"SYNCHRONOUS"},"max_tokens":1}"#
    );
    assert_eq!(call.headers["x-amzn-bedrock-guardrailidentifier"], "ours");
    chat.guardrail_override = true;
    let open = with(LiveSettings { chat, ..settings() }).await;
    open.regions[0].then(Step::Fail(Cause::BadRequest, "seen"));
    submit(&open, native(&open, streams, CLAUDE, steering, traced())).await.unwrap_err();
    assert_eq!(open.regions[0].last_call().body, steering, "where requests may choose, they may say how, too");
}

#[tokio::test(start_paused = true)]
async fn pain_01_flags_of_one_client_that_nobody_named_are_left_out_for_no_other() {
    let tree = tree().await;
    let flagged = |flags: &str| body(&format!(r#","anthropic_beta":{flags}"#));
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "invalid beta flag"));
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let (_, about) = raw(&tree, message(&tree, &flagged(r#"["nonsense","quite-new-2027-01-01"]"#))).await;
    assert_eq!(about.attempts, 2);
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let (_, about) = raw(&tree, message(&tree, &flagged(r#"["quite-new-2027-01-01"]"#))).await;
    assert_eq!((about.attempts, about.adjustments.is_empty()), (1, true), "sent as it came");
    assert_eq!(tree.gateway.ports().describe().await.refused_flags.unwrap().flags, 0);
}

#[tokio::test(start_paused = true)]
async fn pain_01_a_count_is_healed_and_teaches_nothing() {
    let tree = tree().await;
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "invalid beta flag"));
    tree.regions[0].then(Step::Raw(r#"{"inputTokens":42}"#.to_owned()));
    let answer = submit(&tree, count(&tree, &body(r#","anthropic_beta":["brand-new"]"#))).await.unwrap();
    let ChatAnswer::Counted { tokens, about } = answer else { panic!("not counted") };
    assert_eq!((tokens, about.attempts, about.adjustments.to_string().as_str()), (42, 2, "anthropic_beta=refused:brand-new"));
    let json: serde_json::Value = serde_json::from_slice(&tree.regions[0].last_call().body).unwrap();
    let inner = STANDARD.decode(json["input"]["invokeModel"]["body"].as_str().unwrap()).unwrap();
    assert!(!String::from_utf8(inner).unwrap().contains("brand-new"));
    assert_eq!(tree.gateway.ports().describe().await.refused_flags.unwrap().flags, 0);
}

#[tokio::test(start_paused = true)]
async fn a_native_answer_without_tokens_is_metered_by_its_text_alone() {
    let tree = tree().await;
    let picture = "iVBORw0KGgo".repeat(10_000);
    tree.regions[0].then(Step::Bare(format!(r#"{{"outputText":"forty characters are ten tokens, or so..","picture":"{picture}"}}"#)));
    raw(&tree, native(&tree, RuntimeOperation::InvokeModel, MODEL, r#"{"inputText":"hi"}"#, HeaderMap::new())).await;
    let report = tree.last_report();
    assert_eq!((report.usage.unwrap().output, report.estimated), (10, true));
}

#[tokio::test(start_paused = true)]
async fn pictures_are_billed_by_the_piece_and_by_no_token() {
    const PAINTER: &str = "stability.sd3-5-large-v1:0";
    let tree = tree().await;
    for control in &tree.controls {
        let plain = offer(control.region.as_str());
        let painter = OfferedModel { id: ModelId::from(PAINTER), ..plain.models[0].clone() };
        control.answers.lock().unwrap().push_back(Ok(RegionOffer { models: vec![painter], ..plain }));
    }
    tree.gateway.ports().tree.refresh_models();
    tree.until(|| tree.gateway.ports().catalogue.load().listed(PAINTER).is_some()).await;
    let picture = "iVBORw0KGgo".repeat(10_000);
    tree.regions[0]
        .then(Step::Bare(format!(r#"{{"seeds":[1,2],"finish_reasons":[null,"Filter reason: prompt"],"images":["{picture}",null]}}"#)));
    raw(&tree, native(&tree, RuntimeOperation::InvokeModel, PAINTER, r#"{"prompt":"a cliff"}"#, HeaderMap::new())).await;
    let report = tree.last_report();
    assert_eq!((report.usage.unwrap().total(), report.estimated, report.cost), (0, false, Some(MicroUsd(80_000))));
}

#[tokio::test(start_paused = true)]
async fn a_strict_gateway_leaves_nothing_out_that_means_something_and_reports_the_rest() {
    let tree = with(LiveSettings { chat: ChatPolicy { strict: true, ..ChatPolicy::default() }, ..settings() }).await;
    let error = submit(&tree, message(&tree, &body(r#","speed":"fast""#))).await.unwrap_err();
    assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(param), .. } if param == "speed"), "{error:?}");
    assert_eq!(tree.regions[0].calls(), 0);
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let flagged = body(r#","anthropic_beta":["claude-code-20250219"]"#).replace(":90,", ":9000000,");
    let (_, about) = raw(&tree, message(&tree, &flagged)).await;
    assert_eq!(about.adjustments.to_string(), "max_tokens=lowered,anthropic_beta=dropped:claude-code-20250219");
    // Without its flag the field would go, too: what upstream says of the flag is what there is to say.
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "invalid beta flag"));
    let flagged =
        body(r#","anthropic_beta":["context-management-2025-06-27"],"context_management":{"edits":[{"type":"compact_20260112"}]}"#);
    let error = submit(&tree, message(&tree, &flagged)).await.unwrap_err();
    assert!(matches!(&error, GatewayError::Upstream(failure) if failure.message == "invalid beta flag"), "{error:?}");
    assert_eq!(tree.regions[0].calls(), 2);
}
