//! Explanations, and where large requests are translated.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{
    chat::Guardrail,
    error::GatewayError,
    model::{AliasTarget, CataloguePolicy, ConfiguredProfile, ProfileUse},
};
use outcrop_gateway::{
    ports::{Disclosure, Explanation, HeldMemory, Reload},
    settings::{ChatPolicy, LiveSettings},
};

use super::kit::{LIMITS, MODEL, Step, TestTree, book, hello, settings};

const GUARDRAIL: &str = "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr1";
const PROFILE: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";

/// A gateway whose operator set a guardrail, and an alias for a profile of the account's own.
async fn tree() -> TestTree {
    let guardrail = Guardrail { identifier: GUARDRAIL.to_owned(), version: "3".to_owned(), trace: None, stream_mode: None };
    let chat = ChatPolicy { guardrail: Some(guardrail), guardrail_override: true, ..ChatPolicy::default() };
    let settings = LiveSettings { chat, ..settings() };
    let tree = TestTree::with(&["us-east-1"], settings.clone(), LIMITS).await;
    let policy = CataloguePolicy {
        regions: vec!["us-east-1".into()],
        profiles: vec![ConfiguredProfile { arn: PROFILE.into(), model: MODEL.to_owned(), serves: ProfileUse::ItsArn }],
        aliases: vec![AliasTarget { name: "house-model".into(), model: PROFILE.to_owned() }],
        ..CataloguePolicy::default()
    };
    let ports = tree.gateway.ports();
    let keys = ports.keys.load().as_ref().clone();
    ports.tree.reload(Reload { settings, keys, book: book(), policy }).unwrap();
    tree.until(|| ports.catalogue.load().resolve("house-model").is_ok()).await;
    tree
}

/// Room without end.
#[derive(Debug)]
struct Memory;

impl HeldMemory for Memory {
    fn grow(&self, _bytes: usize) -> Result<(), GatewayError> {
        Ok(())
    }
}

async fn explained(tree: &TestTree, model: &str, disclosure: Disclosure) -> Explanation {
    let job = tree.job(&hello(true).replace(MODEL, model));
    tree.gateway.ports().chat.explain(job, disclosure).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn callers_do_not_see_what_the_operator_configured_and_operators_do() {
    let tree = tree().await;
    let caller = explained(&tree, "house-model", Disclosure::Caller).await;
    assert_eq!(caller.targets[0].request, "POST /model/(configured)/converse-stream");
    assert!(caller.body.get().contains(r#""guardrailIdentifier":"(configured)""#), "{}", caller.body.get());
    assert!(!serde_json::to_string(&caller).unwrap().contains("123456789012"));
    let operator = explained(&tree, "house-model", Disclosure::Operator).await;
    assert_eq!(operator.targets[0].request, format!("POST /model/{PROFILE}/converse-stream"));
    assert!(operator.body.get().contains(GUARDRAIL));
    assert_eq!(tree.regions[0].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn callers_see_what_they_named_themselves() {
    let tree = tree().await;
    assert_eq!(explained(&tree, PROFILE, Disclosure::Caller).await.targets[0].request, format!("POST /model/{PROFILE}/converse-stream"));
    let mut job = tree.job(&hello(true));
    let theirs = Guardrail { identifier: "gr-theirs".to_owned(), version: "1".to_owned(), trace: None, stream_mode: None };
    job.overrides.guardrail = Some(theirs);
    let explained = tree.gateway.ports().chat.explain(job, Disclosure::Caller).await.unwrap();
    assert!(explained.body.get().contains("gr-theirs"));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_is_not_redacted() {
    let tree = tree().await;
    tree.regions[0].then(Step::Text("guarded"));
    tree.ask(&hello(false).replace(MODEL, "house-model")).await.unwrap();
    let call = tree.regions[0].last_call();
    assert_eq!(call.invoke_id.as_str(), PROFILE);
    assert!(String::from_utf8_lossy(&call.body).contains(GUARDRAIL));
}

#[tokio::test(start_paused = true)]
async fn large_requests_are_translated_through_the_blocking_port_and_small_ones_are_not() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let large = hello(false).replace("hello", &"x".repeat(300 * 1024));
    tree.ask(&hello(false)).await.unwrap();
    assert_eq!(tree.ported.heavy(), 0);
    tree.ask(&large).await.unwrap();
    assert_eq!(tree.ported.heavy(), 1);
    assert!(tree.regions[0].last_call().body.len() > 300 * 1024);
    let error = tree.ask(&large.replace("\"user\"", "\"nobody\"")).await.unwrap_err();
    assert_eq!(error.class(), "invalid_request", "an error comes back from there as it would from here");
    assert_eq!(tree.ported.heavy(), 2);
}

#[tokio::test(start_paused = true)]
async fn large_explanations_are_made_through_the_blocking_port() {
    let tree = TestTree::start(&["us-east-1"]).await;
    explained(&tree, MODEL, Disclosure::Caller).await;
    assert_eq!(tree.ported.heavy(), 0);
    let job = tree.job(&hello(true).replace("hello", &"x".repeat(300 * 1024)));
    let explained = tree.gateway.ports().chat.explain(job, Disclosure::Caller).await.unwrap();
    assert!(explained.body.get().len() > 300 * 1024);
    assert_eq!(tree.ported.heavy(), 2, "translated, and checked");
}

#[tokio::test(start_paused = true)]
async fn the_account_of_an_explanation_names_its_model_also_when_it_fails() {
    let tree = TestTree::start(&["us-east-1"]).await;
    explained(&tree, MODEL, Disclosure::Caller).await;
    let wrong = tree.job(&hello(true).replace("\"user\"", "\"nobody\""));
    tree.gateway.ports().chat.explain(wrong, Disclosure::Caller).await.unwrap_err();
    tree.until(|| tree.reports.0.lock().unwrap().len() == 2).await;
    for report in tree.reports.0.lock().unwrap().iter() {
        assert_eq!(report.as_ref().unwrap().model.as_ref().unwrap().as_str(), MODEL);
    }
}

#[tokio::test(start_paused = true)]
async fn what_counts_the_bodys_memory_is_held_until_the_answer_is_there() {
    let tree = TestTree::start(&["us-east-1"]).await;
    tree.regions[0].then(Step::Hang);
    let held = Arc::new(Memory);
    let mut job = tree.job(&hello(false));
    job.held = Some(Arc::clone(&held) as _);
    let asking = tree.gateway.ports().chat.submit(job);
    tokio::select! {
        _ = asking => panic!("answered"),
        () = tree.regions[0].called.notified() => {}
        () = tokio::time::sleep(Duration::from_secs(1)) => panic!("never called"),
    }
    assert_eq!(Arc::strong_count(&held), 2, "while the call is under way");
    tree.until(|| Arc::strong_count(&held) == 1).await;
}
