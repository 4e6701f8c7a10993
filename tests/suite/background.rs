//! Responses in the background, and what is left of responses after a restart.

use std::{fs, path::Path, time::Duration};

use http::Method;
use outcrop_sim::{Action, Operation, Pace, Rule};
use serde_json::{Value, json};

use crate::{
    responses::{RESPONSES, asks, events, said, with},
    support::{EAST, Numbers, TestGateway, eventually},
};

fn in_background(input: &str) -> Value {
    with(asks(input), "background", true)
}

fn at(response: &Value) -> String {
    format!("{RESPONSES}/{}", response["id"].as_str().unwrap())
}

async fn until(gateway: &TestGateway, path: &str, status: &str) -> Value {
    eventually(status, async || gateway.get(path).await.ok()["status"] == status).await;
    gateway.get(path).await.ok()
}

/// A gateway whose model takes its time.
async fn slow() -> TestGateway {
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(5));
    TestGateway::builder().regions([EAST]).simulator(move |sim| sim.pace(slowly)).start().await
}

#[tokio::test]
async fn a_response_in_the_background_is_accepted_at_once_and_asked_for_later() {
    let gateway = TestGateway::start().await;
    let accepted = gateway.post(RESPONSES, &in_background("say exactly: later")).await.ok();
    assert_eq!((&accepted["status"], &accepted["background"], &accepted["output"]), (&json!("queued"), &json!(true), &json!([])));
    let made = until(&gateway, &at(&accepted), "completed").await;
    assert_eq!((said(&made), &made["id"]), ("later".to_owned(), &accepted["id"]));
    let next = with(asks("say exactly: and on"), "previous_response_id", made["id"].clone());
    assert_eq!(said(&gateway.post(RESPONSES, &next).await.ok()), "and on");
    // One line of the request, one of the work that went on after it; the usage is on the second.
    gateway.idle().await;
    let lines = gateway.records.lines();
    let of_background = lines.iter().find(|line| line.edge.as_ref().is_some_and(|edge| edge.method == "JOB")).unwrap();
    assert!(of_background.job.as_ref().unwrap().usage.unwrap().output > 0, "{of_background:?}");
    gateway.end().await;
}

#[tokio::test]
async fn a_response_in_the_background_counts_once_and_one_that_is_refused_counts_too() {
    let numbers = Numbers::start();
    let gateway = TestGateway::start().await;
    let accepted = gateway.post(RESPONSES, &in_background("say exactly: once")).await.ok();
    until(&gateway, &at(&accepted), "completed").await;
    assert_eq!(gateway.post(RESPONSES, &with(in_background("x"), "model", "no-such-model")).await.status, 404);
    gateway.idle().await;
    assert_eq!(numbers.sum("outcrop_requests_total", &[r#"outcome="completed""#]), 1.0);
    assert_eq!(numbers.sum("outcrop_requests_total", &[r#"outcome="failed""#]), 1.0);
    gateway.end().await;
}

#[tokio::test]
async fn a_response_in_the_background_is_accepted_when_a_model_of_the_chain_can_make_it() {
    let alias = r#"models.aliases.smart={model = "no-such-model", fallback = ["nova-lite"]}"#;
    let gateway = TestGateway::builder().set(alias).start().await;
    let accepted = gateway.post(RESPONSES, &with(in_background("say exactly: from nova"), "model", "smart")).await.ok();
    assert_eq!(said(&until(&gateway, &at(&accepted), "completed").await), "from nova");
    gateway.end().await;
}

#[tokio::test]
async fn what_can_be_refused_is_refused_before_it_goes_to_the_background() {
    let gateway = TestGateway::start().await;
    gateway.post(RESPONSES, &with(in_background("x"), "model", "no-such-model")).await.refusal(
        404,
        "invalid_request_error",
        Some("model_not_found"),
    );
    let wrong = gateway.post(RESPONSES, &with(in_background("x"), "temperature", 9)).await;
    assert_eq!((wrong.status, wrong.param().as_deref()), (400, Some("temperature")), "{}", wrong.text());
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_response_in_the_background_is_cancelled_and_keeps_what_it_has_said() {
    let gateway = slow().await;
    let accepted = gateway.post(RESPONSES, &in_background("count to 4000")).await.ok();
    let path = at(&accepted);
    until(&gateway, &path, "in_progress").await;
    gateway.calls_until(|calls| calls.len() == 1).await;
    let early = gateway.post(RESPONSES, &with(asks("go on"), "previous_response_id", accepted["id"].clone())).await;
    early.refusal(400, "invalid_request_error", None);
    let cancelled = gateway.method(Method::POST, &format!("{path}/cancel")).await.ok();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(gateway.method(Method::POST, &format!("{path}/cancel")).await.ok(), cancelled, "cancelling twice is no error");
    assert_eq!(gateway.get(&path).await.ok(), cancelled);
    gateway.idle().await;
    let waited_for = gateway.post(RESPONSES, &asks("say exactly: now")).await.ok();
    let words = gateway.method(Method::POST, &format!("{}/cancel", at(&waited_for))).await.refusal(400, "invalid_request_error", None);
    assert!(words.starts_with("Cannot cancel a synchronous response"), "{words}");
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_of_the_background_goes_on_without_its_client_and_is_taken_up_again() {
    let gateway = slow().await;
    let body = with(in_background("count to 60"), "stream", true);
    let mut stream = gateway.send(Method::POST, RESPONSES, &[("content-type", "application/json")], body.to_string().into()).await;
    let created = stream.chunk().await;
    let path = at(&created["response"]);
    assert_eq!((&created["type"], &created["response"]["status"]), (&json!("response.created"), &json!("queued")));
    assert_eq!(stream.chunk().await["type"], "response.queued");
    let mut last_seen = 0;
    for _ in 0..6 {
        last_seen = stream.chunk().await["sequence_number"].as_u64().unwrap();
    }
    drop(stream);
    // Live, while it is under way: the rest, event by event, with the numbers it has.
    let rest = events(&gateway.get(&format!("{path}?stream=true&starting_after={last_seen}")).await, last_seen + 1);
    let end = rest.last().unwrap();
    assert_eq!((&end["type"], &end["response"]["status"]), (&json!("response.completed"), &json!("completed")));
    assert!(rest.len() > 20, "many deltas: {}", rest.len());
    assert_eq!(gateway.get(&path).await.ok(), end["response"]);
    gateway.end().await;
}

/// A gateway at work on one response in the background, so that others wait.
async fn busy() -> (TestGateway, Value) {
    let gateway = TestGateway::builder().regions([EAST]).set("lanes.background.concurrency=1").start().await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::ConverseStream));
    let running = gateway.post(RESPONSES, &in_background("one")).await.ok();
    until(&gateway, &at(&running), "in_progress").await;
    gateway.calls_until(|calls| calls.len() == 1).await;
    (gateway, running)
}

#[tokio::test]
async fn a_stream_of_the_background_tells_its_id_while_it_waits_and_when_it_begins() {
    let (gateway, running) = busy().await;
    let body = with(in_background("say exactly: two"), "stream", true);
    let mut stream = gateway.send(Method::POST, RESPONSES, &[("content-type", "application/json")], body.to_string().into()).await;
    let created = stream.chunk().await;
    assert_eq!((&created["type"], &created["sequence_number"]), (&json!("response.created"), &json!(0)));
    let path = at(&created["response"]);
    assert_eq!(stream.chunk().await["type"], "response.queued");
    assert_eq!(gateway.get(&path).await.ok()["status"], "queued", "nothing was told of its beginning");
    // One whose client has left is there to be read from where it stood.
    drop(stream);
    gateway.method(Method::POST, &format!("{}/cancel", at(&running))).await.ok();
    let rest = events(&gateway.get(&format!("{path}?stream=true&starting_after=1")).await, 2);
    assert_eq!((&rest[0]["type"], &rest.last().unwrap()["type"]), (&json!("response.in_progress"), &json!("response.completed")));
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_of_the_background_that_is_cancelled_while_it_waits_ends_with_numbers_in_order() {
    let (gateway, running) = busy().await;
    let body = with(in_background("two"), "stream", true);
    let mut stream = gateway.send(Method::POST, RESPONSES, &[("content-type", "application/json")], body.to_string().into()).await;
    let created = stream.chunk().await;
    assert_eq!(stream.chunk().await["type"], "response.queued");
    let path = at(&created["response"]);
    assert_eq!(gateway.method(Method::POST, &format!("{path}/cancel")).await.ok()["status"], "cancelled");
    let rest = events(&stream.answer().await, 2);
    assert_eq!(rest.last().unwrap()["response"]["status"], "cancelled", "{rest:?}");
    gateway.method(Method::POST, &format!("{}/cancel", at(&running))).await.ok();
    gateway.idle().await;
    assert_eq!(gateway.calls().len(), 1, "what was cancelled while it waited was never begun");
    gateway.end().await;
}

#[tokio::test]
async fn a_response_in_the_background_that_is_deleted_ends() {
    let gateway = slow().await;
    let accepted = gateway.post(RESPONSES, &in_background("count to 4000")).await.ok();
    gateway.calls_until(|calls| calls.len() == 1).await;
    gateway.method(Method::DELETE, &at(&accepted)).await.ok();
    gateway.get(&at(&accepted)).await.refusal(404, "invalid_request_error", None);
    gateway.idle().await;
    gateway.end().await;
}

#[tokio::test]
async fn only_so_many_run_in_the_background_and_those_that_wait_can_be_cancelled() {
    let set = ["lanes.background.concurrency=1", "lanes.background.queue_limit=1"];
    let gateway = set.into_iter().fold(TestGateway::builder().regions([EAST]), |builder, set| builder.set(set)).start().await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::ConverseStream));
    let running = gateway.post(RESPONSES, &in_background("one")).await.ok();
    until(&gateway, &at(&running), "in_progress").await;
    gateway.calls_until(|calls| calls.len() == 1).await;
    let waiting = gateway.post(RESPONSES, &in_background("two")).await.ok();
    let beyond = gateway.post(RESPONSES, &in_background("three")).await.ok();
    let failed = until(&gateway, &at(&beyond), "failed").await;
    assert!(failed["error"]["message"].as_str().unwrap().contains("too many"), "{failed}");
    assert_eq!(gateway.get(&at(&waiting)).await.ok()["status"], "queued");
    assert_eq!(gateway.method(Method::POST, &format!("{}/cancel", at(&waiting))).await.ok()["status"], "cancelled");
    assert_eq!(gateway.method(Method::POST, &format!("{}/cancel", at(&running))).await.ok()["status"], "cancelled");
    gateway.idle().await;
    assert_eq!(gateway.calls().len(), 1, "what was cancelled while it waited was never begun");
    gateway.end().await;
}

async fn stored_in(file: &Path) -> TestGateway {
    TestGateway::builder().regions([EAST]).set(format!("store.file={}", file.display())).start().await
}

#[tokio::test]
async fn what_is_stored_outlives_the_process_and_what_was_under_way_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, crashed) = (folder.path().join("outcrop.db"), folder.path().join("crashed.db"));
    let gateway = stored_in(&file).await;
    let made = gateway.post(RESPONSES, &asks("say exactly: kept")).await.ok();
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::ConverseStream));
    let under_way = gateway.post(RESPONSES, &in_background("never")).await.ok();
    until(&gateway, &at(&under_way), "in_progress").await;
    // What a crash would leave: the files as they are now.
    fs::copy(&file, &crashed).unwrap();
    fs::copy(folder.path().join("outcrop.db-wal"), folder.path().join("crashed.db-wal")).unwrap();
    gateway.method(Method::POST, &format!("{}/cancel", at(&under_way))).await.ok();
    gateway.end().await;

    let gateway = stored_in(&crashed).await;
    let failed = gateway.get(&at(&under_way)).await.ok();
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")), "{failed}");
    assert_eq!(gateway.get(&at(&made)).await.ok(), made);
    let next = with(asks("say exactly: on"), "previous_response_id", made["id"].clone());
    assert_eq!(said(&gateway.post(RESPONSES, &next).await.ok()), "on");
    let told = events(&gateway.get(&format!("{}?stream=true", at(&under_way))).await, 0);
    assert_eq!(told.last().unwrap()["type"], "response.failed");
    gateway.end().await;

    // An orderly end keeps everything, too.
    let gateway = stored_in(&file).await;
    assert_eq!(gateway.get(&at(&under_way)).await.ok()["status"], "cancelled");
    assert_eq!(gateway.get(&at(&made)).await.ok()["model"], made["model"]);
    gateway.end().await;
}
