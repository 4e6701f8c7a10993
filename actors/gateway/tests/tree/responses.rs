//! Responses in the tree: what becomes of them when jobs, lanes and clients go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use outcrop_domain::{
    error::{Cause, GatewayError},
    ids::KeyId,
};
use outcrop_gateway::{
    ports::{
        ConversationAsk, EventBytes, HeldMemory, Page, ResponseAsk, ResponsesAnswer, ResponsesJob, ResponsesTask, StoredAnswer, StoredAsk,
    },
    record::JobOutcome,
    settings::{LiveSettings, ResponsesPolicy},
};
use outcrop_protocol::body::decode;
use outcrop_store::{
    ConversationStore as _, Ending, Json, NewConversation, NewResponse, Outcome, Owner, ResponseStore as _, Running, Stage, StoreError,
    UnixMillis,
};
use outcrop_translate::openai_responses::Include;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::kit::{LIMITS, MODEL, Step, TestTree, end_events, settings, start_event, text_event};

type Feed = mpsc::Sender<Result<Bytes, String>>;

async fn tree() -> TestTree {
    TestTree::start(&["us-east-1"]).await
}

fn job(tree: &TestTree, more: Value) -> ResponsesJob {
    let mut body = json!({"model": MODEL, "input": "hello"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = body.to_string();
    let chat = tree.job(r#"{"messages": []}"#);
    ResponsesJob {
        record: chat.record,
        principal: chat.principal,
        task: ResponsesTask::Create,
        wire: Box::new(decode(body.as_bytes()).unwrap()),
        body_bytes: body.len(),
        overrides: chat.overrides,
        held: None,
    }
}

async fn whole(tree: &TestTree, more: Value) -> Value {
    match tree.gateway.ports().responses.submit(job(tree, more)).await.unwrap() {
        ResponsesAnswer::Whole { body, .. } => serde_json::from_str(body.get()).unwrap(),
        ResponsesAnswer::Stream { .. } => panic!("streamed"),
    }
}

/// An open stream whose model has said "words".
async fn begun(tree: &TestTree, more: Value) -> (Feed, EventBytes) {
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let mut streamed = json!({"stream": true});
    streamed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = tree.gateway.ports().responses.submit(job(tree, streamed)).await.unwrap();
    feed.send(Ok(text_event("words"))).await.unwrap();
    match answer {
        ResponsesAnswer::Stream { events, .. } => (feed, events),
        ResponsesAnswer::Whole { .. } => panic!("answered whole"),
    }
}

async fn finish(feed: &Feed) {
    for chunk in end_events() {
        feed.send(Ok(chunk)).await.unwrap();
    }
}

fn told(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let data = text.split_terminator("\n\n").filter_map(|event| event.split_once("\ndata: "));
    data.map(|(_, data)| serde_json::from_str(data).unwrap()).collect()
}

/// Every event to the end, whose numbers have no gap.
async fn rest(events: EventBytes) -> Vec<Value> {
    let pieces: Vec<Bytes> = events.collect().await;
    let told = told(&pieces.concat());
    let first = told.first().map_or(0, |event| event["sequence_number"].as_u64().unwrap());
    assert!(told.iter().zip(first..).all(|(event, number)| event["sequence_number"] == number), "{told:?}");
    told
}

async fn get(tree: &TestTree, id: &str) -> Value {
    let ask = ResponseAsk::Retrieve { include: Include::default() };
    match tree.gateway.ports().stored.response(&KeyId::from("team"), id.to_owned(), ask, None).await.unwrap() {
        StoredAnswer::Body(body) => serde_json::from_slice(&body).unwrap(),
        StoredAnswer::Stream(_) => panic!("streamed"),
    }
}

async fn until(tree: &TestTree, id: &str, status: &str) -> Value {
    for _ in 0..10_000 {
        let response = get(tree, id).await;
        if response["status"] == status {
            return response;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {status}: {}", get(tree, id).await);
}

fn id(response: &Value) -> &str {
    response["id"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_killed_job_leaves_a_failed_response_and_its_reader_hears_of_it() {
    let tree = tree().await;
    let (_feed, events) = begun(&tree, json!({})).await;
    assert!(tree.gateway.ports().responses.kill_one_job().await);
    let told = rest(events).await;
    let last = told.last().unwrap();
    assert_eq!(last["type"], "response.failed", "{told:?}");
    assert_eq!(get(&tree, id(&last["response"])).await["status"], "failed");
    tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Cancelled, "the call to the model ended with it");
}

#[tokio::test(start_paused = true)]
async fn the_death_of_the_chat_job_is_a_failed_response() {
    let tree = tree().await;
    let (_feed, events) = begun(&tree, json!({})).await;
    assert!(tree.gateway.ports().chat.kill_one_job().await);
    let told = rest(events).await;
    let last = told.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["error"]["code"]), (&json!("response.failed"), &json!("server_error")));
    assert_eq!(get(&tree, id(&last["response"])).await["status"], "failed");
}

#[tokio::test(start_paused = true)]
async fn lanes_that_die_take_no_response_with_them() {
    let tree = tree().await;
    let (feed, events) = begun(&tree, json!({})).await;
    for lane in ["responses", "stored", "background", "sweeper", "jobs"] {
        tree.kill(lane).await;
    }
    finish(&feed).await;
    let told = rest(events).await;
    assert_eq!(told.last().unwrap()["type"], "response.completed");
    assert_eq!(get(&tree, id(&told.last().unwrap()["response"])).await["status"], "completed");
    tree.regions[0].then(Step::Text("more"));
    assert_eq!(whole(&tree, json!({})).await["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_ends_the_call_and_what_was_said_is_stored_as_cancelled() {
    let tree = tree().await;
    let (feed, mut events) = begun(&tree, json!({})).await;
    let created = told(&events.next().await.unwrap())[0]["response"].clone();
    while !told(&events.next().await.unwrap()).iter().any(|event| event["delta"] == "words") {}
    drop(events);
    let left = until(&tree, id(&created), "cancelled").await;
    assert_eq!(left["output"][0]["content"][0]["text"], "words");
    feed.closed().await;
    tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_whole_response_whose_client_leaves_is_not_stored() {
    let tree = tree().await;
    tree.regions[0].then(Step::Hang);
    let port = tree.gateway.ports().responses.clone();
    let mut asked = Box::pin(port.submit(job(&tree, json!({}))));
    assert!(futures_util::poll!(asked.as_mut()).is_pending());
    tree.until(|| tree.regions[0].calls() == 1).await;
    drop(asked);
    tree.regions[0].dropped.notified().await;
    assert_eq!(tree.kept.purge_expired(UnixMillis(i64::MAX), 10).unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_stored_is_not_told_as_one() {
    let responses = ResponsesPolicy { max_bytes: 3_000, ..ResponsesPolicy::default() };
    let tree = TestTree::with(&["us-east-1"], LiveSettings { responses, ..settings() }, LIMITS).await;
    let (feed, events) = begun(&tree, json!({})).await;
    feed.send(Ok(text_event(&"x".repeat(4_000)))).await.unwrap();
    finish(&feed).await;
    let told = rest(events).await;
    let last = told.last().unwrap();
    assert_eq!(last["type"], "error", "{last}");
    assert_eq!(get(&tree, id(&told[0]["response"])).await["status"], "failed");
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_cannot_be_stored_is_given_and_says_so() {
    let responses = ResponsesPolicy { max_bytes: 1_000, ..ResponsesPolicy::default() };
    let tree = TestTree::with(&["us-east-1"], LiveSettings { responses, ..settings() }, LIMITS).await;
    tree.regions[0].then(Step::Text(Box::leak("x".repeat(4_000).into_boxed_str())));
    let answer = tree.gateway.ports().responses.submit(job(&tree, json!({}))).await.unwrap();
    let ResponsesAnswer::Whole { body, about } = answer else { panic!("streamed") };
    let body: Value = serde_json::from_str(body.get()).unwrap();
    assert_eq!((&body["status"], &body["store"]), (&json!("completed"), &json!(false)));
    let adjustments = about.unwrap().adjustments;
    assert!(adjustments.iter().any(|one| (one.field.as_ref(), one.action.as_ref()) == ("store", "not_stored")), "{adjustments:?}");
    assert!(tree.kept.get_response(Owner("team"), id(&body)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_model_is_not_asked_for_what_there_is_no_room_to_store() {
    let tree = tree().await;
    let metadata = Json("x".repeat((1 << 20) - 10_000));
    let taken = NewConversation { id: "conv".to_owned(), created_at: UnixMillis(0), metadata, items: Vec::new() };
    tree.kept.create_conversation(Owner("other"), &taken).unwrap();
    let error = tree.gateway.ports().responses.submit(job(&tree, json!({}))).await.unwrap_err();
    assert!(error.to_string().contains("no room left"), "{error}");
    assert_eq!(tree.regions[0].calls(), 0);
    tree.regions[0].then(Step::Text("hello"));
    assert_eq!(whole(&tree, json!({"store": false})).await["status"], "completed");
    assert!(tree.kept.get_conversation(Owner("other"), "conv").is_ok(), "no other key pays");
}

#[tokio::test(start_paused = true)]
async fn a_response_in_the_background_outlives_its_lane_and_the_next_one_its_turn() {
    let tree = tree().await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let first = whole(&tree, json!({"background": true})).await;
    until(&tree, id(&first), "in_progress").await;
    let second = whole(&tree, json!({"background": true})).await;
    tree.kill("background").await;
    tree.kill("jobs").await;
    assert_eq!(get(&tree, id(&second)).await["status"], "queued");
    let third = whole(&tree, json!({"background": true})).await;
    assert_eq!(until(&tree, id(&third), "failed").await["error"]["message"], "the gateway has too many requests waiting");
    finish(&feed).await;
    until(&tree, id(&first), "completed").await;
    until(&tree, id(&second), "completed").await;
    assert_eq!(tree.gateway.ports().describe().await.background_responses, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_in_the_background_ends_at_once_when_it_is_cancelled_or_deleted() {
    for ask in [ResponseAsk::Cancel, ResponseAsk::Delete] {
        let tree = tree().await;
        tree.regions[0].then(Step::Hang);
        let first = whole(&tree, json!({"background": true})).await;
        until(&tree, id(&first), "in_progress").await;
        let waits = job(&tree, json!({"background": true, "stream": true}));
        let answer = tree.gateway.ports().responses.submit(waits).await.unwrap();
        let ResponsesAnswer::Stream { events, .. } = answer else { panic!("whole") };
        let queued = tree.kept.running_since(UnixMillis(i64::MAX)).unwrap();
        let one = queued.iter().map(|key| key.id.clone()).find(|one| one != id(&first)).unwrap();
        tree.gateway.ports().stored.response(&KeyId::from("team"), one.clone(), ask, None).await.unwrap();
        let told = rest(events).await;
        let last = told.last().unwrap();
        assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.incomplete"), &json!("cancelled")));
        assert_eq!(get(&tree, id(&first)).await["status"], "in_progress", "the lane is still busy");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_done_with_a_large_body_in_the_background_is_done_through_the_blocking_port() {
    let accept = async |input: String| {
        let tree = tree().await;
        tree.regions[0].then(Step::Hang);
        let first = whole(&tree, json!({"background": true})).await;
        until(&tree, id(&first), "in_progress").await;
        // The lane is busy: what is counted is what accepting takes.
        let before = tree.ported.heavy();
        whole(&tree, json!({"background": true, "input": input})).await;
        tree.ported.heavy() - before
    };
    assert_eq!(accept("x".repeat(1024)).await, 1, "stored");
    let large = accept("x".repeat(300 * 1024)).await;
    assert_eq!(large, 6, "read, its items taken, looked through for URLs, copied and translated, the opening written, stored");
}

#[tokio::test(start_paused = true)]
async fn the_first_events_of_a_large_request_are_written_through_the_blocking_port() {
    let begin = async |input: String| {
        let tree = tree().await;
        let _open = begun(&tree, json!({"input": input})).await;
        tree.ported.heavy()
    };
    assert_eq!(begin("x".repeat(1024)).await, 2, "looked for room, stored");
    let large = begin("x".repeat(300 * 1024)).await;
    assert_eq!(large, 7, "also read, its items taken, looked through for URLs, copied and translated, the first events written");
}

#[tokio::test(start_paused = true)]
async fn a_response_in_the_background_that_the_model_refuses_has_failed() {
    let tree = tree().await;
    tree.regions[0].then(Step::Fail(Cause::BadRequest, "not like this"));
    let accepted = whole(&tree, json!({"background": true})).await;
    let failed = until(&tree, id(&accepted), "failed").await;
    assert_eq!((&failed["error"]["code"], &failed["error"]["message"]), (&json!("invalid_prompt"), &json!("not like this")));
}

#[tokio::test(start_paused = true)]
async fn a_drain_leaves_no_response_in_progress() {
    let tree = tree().await;
    tree.regions[0].then(Step::Hang);
    let accepted = whole(&tree, json!({"background": true})).await;
    until(&tree, id(&accepted), "in_progress").await;
    tree.until(|| tree.regions[0].calls() == 1).await;
    let kept = Arc::clone(&tree.kept);
    tree.gateway.drain(Duration::from_secs(5)).await;
    let left = kept.get_response(Owner("team"), id(&accepted)).unwrap();
    assert_eq!(left.status.as_str(), "failed");
}

fn expired(id: &str) -> NewResponse {
    NewResponse {
        id: id.to_owned(),
        created_at: UnixMillis(0),
        expires_at: Some(UnixMillis(1)),
        model: MODEL.to_owned(),
        body: Json::from("{}"),
        input: Vec::new(),
        conversation: None,
        previous: None,
        background: false,
        stage: Stage::Ended(Ending { outcome: Outcome::Completed, at: UnixMillis(1), output: Vec::new() }),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_past_its_time_is_swept_and_a_new_sweeper_goes_on() {
    let tree = tree().await;
    for number in 0..250 {
        tree.kept.put_response(Owner("team"), &expired(&format!("resp_{number}")), u64::MAX).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(62)).await;
    let report = tree.gateway.ports().describe().await.sweeper.unwrap();
    assert_eq!((report.removed, report.sweeps, report.problem), (250, 2, None), "what is left of a full sweep comes at once");
    tree.kept.put_response(Owner("team"), &expired("resp_late"), u64::MAX).unwrap();
    tree.kill("sweeper").await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(matches!(tree.kept.get_response(Owner("team"), "resp_late"), Err(StoreError::NotFound { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_as_running_and_made_by_nobody_is_failed_in_time() {
    let tree = tree().await;
    let lost = |id: &str, created_at: i64| NewResponse {
        created_at: UnixMillis(created_at),
        expires_at: None,
        stage: Stage::Running(Running::InProgress),
        ..expired(id)
    };
    tree.kept.put_response(Owner("team"), &lost("resp_old", i64::MIN), u64::MAX).unwrap();
    tree.kept.put_response(Owner("team"), &lost("resp_young", i64::MAX), u64::MAX).unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let status = |id: &str| tree.kept.get_response(Owner("team"), id).unwrap().status.as_str();
    assert_eq!((status("resp_old"), status("resp_young")), ("failed", "in_progress"));
    assert_eq!(tree.gateway.ports().describe().await.sweeper.unwrap().lost, 1);
}

#[tokio::test(start_paused = true)]
async fn stored_things_are_asked_for_by_their_owner_alone() {
    let tree = tree().await;
    tree.regions[0].then(Step::Text("mine"));
    let mine = whole(&tree, json!({})).await;
    let stored = tree.gateway.ports().stored.clone();
    let other = KeyId::from("other");
    for ask in [ResponseAsk::Delete, ResponseAsk::Cancel, ResponseAsk::InputItems { page: Page::default(), include: Include::default() }] {
        let error = stored.response(&other, id(&mine).to_owned(), ask, None).await.unwrap_err();
        assert_eq!(error.class(), "not_found", "{error}");
    }
    let made = stored.conversation(&other, ConversationAsk::Create { body: Box::default() }, None).await.unwrap();
    let StoredAnswer::Body(body) = made else { panic!("streamed") };
    let conversation: Value = serde_json::from_slice(&body).unwrap();
    let ask = ConversationAsk::Retrieve { id: id(&conversation).to_owned() };
    assert_eq!(stored.conversation(&KeyId::from("team"), ask, None).await.unwrap_err().class(), "not_found");
    assert_eq!(get(&tree, id(&mine)).await["status"], "completed");
}

/// Room for so many bytes.
#[derive(Debug)]
struct Bounded {
    left: AtomicUsize,
}

impl HeldMemory for Bounded {
    fn grow(&self, bytes: usize) -> Result<(), GatewayError> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        let retry_after = Duration::from_secs(1);
        taken.map(drop).map_err(|_| GatewayError::Overloaded { message: "full".to_owned(), retry_after })
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_of_stored_things_takes_room_until_the_answer_is_gone() {
    let tree = tree().await;
    tree.regions[0].then(Step::Text("mine"));
    let words = "x".repeat(10_000);
    let instructions = "y".repeat(20_000);
    let mine = whole(&tree, json!({"input": words, "instructions": instructions})).await;
    let (stored, team) = (tree.gateway.ports().stored.clone(), KeyId::from("team"));
    let items = json!({"items": [{"type": "message", "role": "user", "content": words}]}).to_string();
    let made = ConversationAsk::Create { body: Box::new(decode(items.as_bytes()).unwrap()) };
    let StoredAnswer::Body(body) = stored.conversation(&team, made, None).await.unwrap() else { panic!("streamed") };
    let conversation: Value = serde_json::from_slice(&body).unwrap();
    let conversation = id(&conversation).to_owned();
    let (page, include) = (Page::default(), Include::default());
    let about = |ask| StoredAsk::Response { id: id(&mine).to_owned(), ask };
    type Question<'q> = &'q dyn Fn() -> StoredAsk;
    let questions: [(Question<'_>, usize); 4] = [
        (&|| about(ResponseAsk::Retrieve { include }), 20_000),
        // Three of its events repeat it.
        (&|| about(ResponseAsk::Events { include, starting_after: None }), 60_000),
        (&|| about(ResponseAsk::InputItems { page: page.clone(), include }), 10_000),
        (&|| StoredAsk::Conversation(ConversationAsk::Items { id: conversation.clone(), page: page.clone(), include }), 10_000),
    ];
    for (question, bytes) in questions {
        let room = Arc::new(Bounded { left: AtomicUsize::new(bytes) });
        let refused = stored.ask(&team, question(), Some(room)).await.unwrap_err();
        assert_eq!(refused.class(), "overloaded", "{:?}", question());
        let room = Arc::new(Bounded { left: AtomicUsize::new(2 * bytes) });
        let answer = stored.ask(&team, question(), Some(Arc::clone(&room) as Arc<dyn HeldMemory>)).await.unwrap();
        let taken = 2 * bytes - room.left.load(Ordering::Relaxed);
        assert!((bytes..bytes + bytes / 10).contains(&taken), "{:?} took {taken}", question());
        assert!(Arc::strong_count(&room) > 1, "the answer keeps it");
        drop(answer);
        tree.until(|| Arc::strong_count(&room) == 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_nothing_is_cancelled_and_everything_is_deleted() {
    let tree = tree().await;
    let (stored, team) = (tree.gateway.ports().stored.clone(), KeyId::from("team"));
    let ask = async |id: &str, ask: ResponseAsk, bytes: usize| {
        let room = Arc::new(Bounded { left: AtomicUsize::new(bytes) });
        let answer = stored.response(&team, id.to_owned(), ask, Some(Arc::clone(&room) as Arc<dyn HeldMemory>)).await;
        (answer.map(drop), bytes - room.left.load(Ordering::Relaxed))
    };
    let long = json!({"background": true, "instructions": "y".repeat(20_000)});
    let begin = async || {
        tree.regions[0].then(Step::Hang);
        let response = whole(&tree, long.clone()).await;
        until(&tree, id(&response), "in_progress").await;
        response
    };

    let response = begin().await;
    let (refused, _) = ask(id(&response), ResponseAsk::Cancel, 20_000).await;
    assert_eq!(refused.unwrap_err().class(), "overloaded");
    // Long enough for its job to end, had it been asked to.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&tree, id(&response)).await["status"], "in_progress");
    let (cancelled, taken) = ask(id(&response), ResponseAsk::Cancel, 30_000).await;
    assert_eq!(cancelled, Ok(()));
    assert!((20_000..22_000).contains(&taken), "the answer is held once: {taken}");
    assert_eq!(get(&tree, id(&response)).await["status"], "cancelled");

    let response = begin().await;
    assert_eq!(ask(id(&response), ResponseAsk::Delete, 0).await, (Ok(()), 0));
    assert!(matches!(tree.kept.get_response(Owner("team"), id(&response)), Err(StoreError::NotFound { .. })));
}
