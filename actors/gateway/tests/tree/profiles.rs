//! Look-ups of inference profiles that nobody has listed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use outcrop_domain::error::{Cause, GatewayError};
use outcrop_gateway::{
    admission::Principal,
    catalogue::ProfileReport,
    ports::{ChatAnswer, Disclosure},
};
use tokio::{sync::Notify, task::JoinHandle};

use super::kit::{LookUpStep, TestTree};

const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

type Asked = JoinHandle<Result<ChatAnswer, GatewayError>>;

fn arn(name: &str) -> String {
    format!("arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/{name}")
}

fn body(name: &str) -> String {
    format!(r#"{{"model": "{}", "messages": [{{"role": "user", "content": "x"}}]}}"#, arn(name))
}

async fn tree(steps: impl IntoIterator<Item = LookUpStep>) -> Arc<TestTree> {
    let tree = TestTree::start(&REGIONS).await;
    tree.controls[1].look_ups.lock().unwrap().extend(steps);
    Arc::new(tree)
}

fn ask(tree: &Arc<TestTree>, name: &str) -> Asked {
    let (tree, body) = (Arc::clone(tree), body(name));
    tokio::spawn(async move { tree.ask(&body).await })
}

fn looked_up(tree: &TestTree) -> u64 {
    tree.controls[1].looked_up.load(Ordering::Relaxed)
}

async fn report(tree: &TestTree) -> ProfileReport {
    tree.gateway.ports().describe().await.profiles.unwrap()
}

async fn until(tree: &TestTree, done: impl Fn(ProfileReport) -> bool) {
    for _ in 0..1_000 {
        if done(report(tree).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never happened: {:?}", report(tree).await);
}

fn class_of(asked: Result<ChatAnswer, GatewayError>) -> &'static str {
    asked.err().map_or("answered", |error| error.class())
}

#[tokio::test(start_paused = true)]
async fn many_requests_for_one_profile_are_one_question() {
    let gate = Arc::new(Notify::new());
    let tree = tree([LookUpStep::Wait(Arc::clone(&gate))]).await;
    let asking: Vec<Asked> = (0..20).map(|_| ask(&tree, "abc")).collect();
    until(&tree, |report| (report.asked, report.spared, report.under_way) == (1, 19, 1)).await;
    gate.notify_one();
    for asked in asking {
        assert_eq!(class_of(asked.await.unwrap()), "answered");
    }
    assert_eq!((looked_up(&tree), tree.regions[1].calls()), (1, 20));
    assert_eq!(report(&tree).await, ProfileReport { asked: 1, spared: 19, ..ProfileReport::default() });
}

#[tokio::test(start_paused = true)]
async fn a_question_goes_on_for_the_others_when_the_one_who_caused_it_leaves() {
    let gate = Arc::new(Notify::new());
    let tree = tree([LookUpStep::Wait(Arc::clone(&gate))]).await;
    let first = ask(&tree, "abc");
    until(&tree, |report| report.under_way == 1).await;
    let second = ask(&tree, "abc");
    until(&tree, |report| report.spared == 1).await;
    first.abort();
    tree.until(|| tree.reports.0.lock().unwrap().len() == 1).await;
    gate.notify_one();
    assert_eq!(class_of(second.await.unwrap()), "answered");
    assert_eq!(looked_up(&tree), 1);
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_does_not_exist_is_asked_for_twice_a_minute_at_most() {
    let tree = tree([LookUpStep::Fail(Cause::BadRequest, "The provided ARN is invalid.")]).await;
    for _ in 0..10 {
        let error = tree.ask(&body("abc")).await.unwrap_err();
        assert_eq!((error.class(), error.to_string().as_str()), ("model_not_found", "The provided ARN is invalid."));
    }
    assert_eq!((looked_up(&tree), report(&tree).await.in_vain), (1, 1));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(class_of(tree.ask(&body("abc")).await), "answered", "it was made meanwhile");
    assert_eq!(looked_up(&tree), 2);
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_in_trouble_is_asked_again_after_two_seconds() {
    let tree = tree([LookUpStep::Fail(Cause::Throttled, "Rate exceeded")]).await;
    for _ in 0..10 {
        assert_eq!(class_of(tree.ask(&body("abc")).await), "throttled");
    }
    assert_eq!(looked_up(&tree), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(class_of(tree.ask(&body("abc")).await), "answered");
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_stays_unknown_though_aws_told_of_it_is_not_asked_for_by_every_request() {
    let tree = tree([LookUpStep::AnotherArn]).await;
    for _ in 0..5 {
        assert_eq!(class_of(tree.ask(&body("abc")).await), "model_not_found");
    }
    assert_eq!(looked_up(&tree), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_use_the_name_asks_aws_for_nothing() {
    let tree = tree([]).await;
    let with_key = |models: &[&str]| {
        let mut job = tree.job(&body("abc"));
        let models = models.iter().map(|&model| model.to_owned()).collect();
        job.principal = Arc::new(Principal { key: "narrow".into(), models, strategy: None });
        job
    };
    let chat = &tree.gateway.ports().chat;
    assert_eq!(chat.submit(with_key(&["amazon.nova-*"])).await.unwrap_err().class(), "forbidden");
    assert_eq!(chat.explain(with_key(&["amazon.nova-*"]), Disclosure::Caller).await.unwrap_err().class(), "forbidden");
    assert_eq!((looked_up(&tree), report(&tree).await.asked), (0, 0));
    let named = arn("*");
    assert_eq!(class_of(chat.submit(with_key(&[&named])).await), "answered");
    assert_eq!(looked_up(&tree), 1);
    assert_eq!(class_of(chat.submit(with_key(&["amazon.nova-*"])).await), "answered", "now the model behind it is known");
}

#[tokio::test(start_paused = true)]
async fn sixteen_questions_are_under_way_at_most() {
    let gate = Arc::new(Notify::new());
    let tree = tree((0..16).map(|_| LookUpStep::Wait(Arc::clone(&gate)))).await;
    let asking: Vec<Asked> = (0..16).map(|number| ask(&tree, &number.to_string())).collect();
    until(&tree, |report| report.under_way == 16).await;
    assert_eq!(class_of(tree.ask(&body("one-too-many")).await), "overloaded");
    gate.notify_waiters();
    for asked in asking {
        assert_eq!(class_of(asked.await.unwrap()), "answered");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(class_of(tree.ask(&body("one-too-many")).await), "answered");
}

#[tokio::test(start_paused = true)]
async fn ever_new_names_ask_a_region_once_a_second_after_a_burst() {
    let tree = tree((0..100).map(|_| LookUpStep::Fail(Cause::BadRequest, "The provided ARN is invalid."))).await;
    for second in 0..5 {
        for number in 0..50 {
            let class = class_of(tree.ask(&body(&format!("{second}-{number}"))).await);
            assert!(["model_not_found", "overloaded"].contains(&class), "{class}");
        }
        assert_eq!(looked_up(&tree), 16 + second, "after {second} seconds");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let refused = tree.ask(&body("4-49")).await.unwrap_err();
    assert_eq!(refused.class(), "model_not_found", "a second has passed");
    let refused = tree.ask(&body("another")).await.unwrap_err();
    assert_eq!((refused.class(), refused.retry_after()), ("overloaded", Some(Duration::from_secs(1))));
    // Another region has its own allowance, and what is known or remembered needs none.
    let elsewhere = body("abc").replace("us-west-2", "us-east-1");
    assert_eq!(class_of(tree.ask(&elsewhere).await), "answered");
    assert_eq!(class_of(tree.ask(&body("0-0")).await), "model_not_found");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_panics_is_told_and_the_next_request_asks_again() {
    let tree = tree([LookUpStep::Panic]).await;
    assert_eq!(class_of(tree.ask(&body("abc")).await), "worker_lost");
    assert_eq!(class_of(tree.ask(&body("abc")).await), "answered");
    assert_eq!(looked_up(&tree), 2);
}

#[tokio::test(start_paused = true)]
async fn a_killed_finder_tells_those_who_wait_to_come_back() {
    let tree = tree([LookUpStep::Wait(Arc::default())]).await;
    let asked = ask(&tree, "abc");
    until(&tree, |report| report.under_way == 1).await;
    tree.kill("profile-finder").await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error.class(), "unavailable");
    assert!(error.retry_after().is_some());
    assert_eq!(class_of(tree.ask(&body("abc")).await), "answered");
}
