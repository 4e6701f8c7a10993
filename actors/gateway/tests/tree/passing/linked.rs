//! Bodies that name addresses: what stands behind them reaches Claude in their place.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use outcrop_gateway::ports::HeldMemory;

use super::super::kit::{NOTES, PDF, PNG};
use super::*;

fn link(kind: &str, url: &str) -> String {
    format!(r#"{{ "title":"t\u0061","source" : {{"url":"{url}" ,"type":"url"}},"type":"{kind}", "cache_control":null}}"#)
}

/// The same with content in the place of the address.
fn with(kind: &str, source: &str) -> String {
    format!(r#"{{ "title":"t\u0061","source" : {source},"type":"{kind}", "cache_control":null}}"#)
}

fn source(media_type: &str, bytes: &[u8]) -> String {
    format!(r#"{{"type":"base64","media_type":"{media_type}","data":"{}"}}"#, STANDARD.encode(bytes))
}

fn holding(text: String, blocks: &str) -> String {
    text.replace(r#""content":"hi""#, &format!(r#""content":[ {blocks} ]"#))
}

fn asking(blocks: &str) -> String {
    holding(body(""), blocks)
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_addresses_reaches_claude_and_everything_else_is_the_clients() {
    let tree = tree().await;
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    let result =
        |inner: &str| format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{inner},{{"type":"text","text":"\u00e9"}}]}}"#);
    let twice = link("image", "http://web.example/a.png");
    let asked = [
        twice.clone(),
        r#"{"type":"text","text":"http://web.example/not-asked.png"}"#.to_owned(),
        link("document", r"http:\/\/web.example\/b.pdf?\u0078=1"),
        link("document", "http://web.example/c.txt"),
        result(&twice),
        with("document", &format!(r#"{{"type":"content","content":[{twice}]}}"#)),
    ];
    let (answer, about) = raw(&tree, message(&tree, &asking(&asked.join(" ,")))).await;
    assert_eq!(answer, ANSWER, "as the model wrote it");
    let picture = with("image", &source("image/png", PNG));
    let expected = [
        picture.clone(),
        asked[1].clone(),
        with("document", &source("application/pdf", PDF)),
        with("document", &format!(r#"{{"type":"text","media_type":"text/plain","data":{}}}"#, serde_json::to_string(NOTES).unwrap())),
        result(&picture),
        with("document", &format!(r#"{{"type":"content","content":[{picture}]}}"#)),
    ];
    let call = tree.regions[0].last_call();
    assert_eq!(call.operation, RuntimeOperation::InvokeModel);
    assert_eq!(std::str::from_utf8(&call.body).unwrap(), holding(sent(""), &expected.join(" ,")));
    assert_eq!(about.adjustments.to_string(), "messages.content.source=fetched");
    assert_eq!(tree.last_report().adjusted, "messages.content.source=fetched");
    let mut fetched = tree.web.asked();
    fetched.sort();
    assert_eq!(fetched, ["/a.png", "/b.pdf?x=1", "/c.txt"], "each once");
}

#[tokio::test(start_paused = true)]
async fn a_count_is_of_what_would_be_sent() {
    let tree = tree().await;
    tree.regions[0].then(Step::Raw(r#"{"inputTokens":42}"#.to_owned()));
    let answer = submit(&tree, count(&tree, &asking(&link("image", "http://web.example/a.png")))).await.unwrap();
    let ChatAnswer::Counted { tokens: 42, about } = &answer else { panic!("{answer:?}") };
    assert_eq!(about.adjustments.to_string(), "messages.content.source=fetched");
    let json: serde_json::Value = serde_json::from_slice(&tree.regions[0].last_call().body).unwrap();
    let inner = STANDARD.decode(json["input"]["invokeModel"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(inner).unwrap(), holding(sent(""), &with("image", &source("image/png", PNG))));
    let error = submit(&tree, count(&tree, &asking(&link("image", "http://inside.example/a.png")))).await.unwrap_err();
    assert_eq!(named(error).0, "messages.0.content.0.source.url");
    assert_eq!(tree.regions[0].calls(), 1);
}

/// The field that a refusal names, its class and its words.
fn named(error: GatewayError) -> (String, &'static str, String) {
    let class = error.class();
    match error {
        GatewayError::FetchFailed { message, param } | GatewayError::InvalidRequest { message, param, .. } => {
            (param.unwrap_or_default(), class, message)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_or_may_not_be_fetched_names_its_field_and_reaches_nobody() {
    let tree = tree().await;
    let nested = |inner: String| format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{inner}]}}"#);
    for (url, class, words) in [
        ("http://inside.example/a.png", "fetch_failed", "`inside.example` is not fetched"),
        ("http://127.0.0.1/a.png", "fetch_failed", "`127.0.0.1` is not fetched"),
        ("http://nowhere.example/a.png", "fetch_failed", "could not be resolved"),
        ("http://web.example/missing", "fetch_failed", "status 404"),
        ("http://web.example/large.png", "fetch_failed", "larger than 1048576 bytes"),
        ("http://web.example/page.png", "fetch_failed", "nothing that a model can take"),
        ("http://user:secret@web.example/a.png", "fetch_failed", "user name or password"),
        ("http://web.example/a.png", "invalid_request", "is not a document"),
        ("ftp://web.example/a.pdf", "invalid_request", "must be a `data:`, `http(s):` or `s3:` URL"),
    ] {
        let blocks = [link("image", "http://web.example/fine.png"), nested(link("document", url))].join(",");
        for job in [message(&tree, &asking(&blocks)), count(&tree, &asking(&blocks))] {
            let (param, told, message) = named(submit(&tree, job).await.unwrap_err());
            assert_eq!((param.as_str(), told), ("messages.0.content.1.content.0.source.url", class), "{url}: {message}");
            assert!(message.contains(words) && !message.contains("secret"), "{url}: {message}");
        }
    }
    assert_eq!(tree.regions.iter().map(|region| region.calls()).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn more_addresses_than_a_request_may_name_and_any_where_none_is_fetched_are_refused() {
    let tree = tree().await;
    let many: Vec<String> = (0..65).map(|number| link("image", &format!("http://web.example/{number}.png"))).collect();
    let (param, _, words) = named(submit(&tree, message(&tree, &asking(&many.join(",")))).await.unwrap_err());
    assert_eq!((param.as_str(), words.contains("at most 64")), ("messages.0.content.64.source.url", true), "{words}");
    let closed = super::with(LiveSettings { chat: ChatPolicy { fetch_urls: false, ..ChatPolicy::default() }, ..settings() }).await;
    let (param, class, _) = named(submit(&closed, message(&closed, &asking(&many[0]))).await.unwrap_err());
    assert_eq!((param.as_str(), class), ("messages.0.content.0.source.url", "fetch_failed"));
    for tree in [&tree, &closed] {
        assert_eq!((tree.web.asked().len(), tree.regions[0].calls()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_invoke_model_takes_in_no_form_goes_through_the_hub_and_is_fetched_once() {
    let tree = tree().await;
    let blocks = [link("image", "http://web.example/a.png"), link("document", "http://web.example/b.docx")].join(",");
    tree.regions[0].then(Step::Text("from the hub"));
    let answer = submit(&tree, message(&tree, &asking(&blocks))).await.unwrap();
    let ChatAnswer::Whole { about, .. } = &answer else { panic!("{answer:?}") };
    assert!(!about.adjustments.to_string().contains("messages.content.source"), "{}", about.adjustments);
    let call = tree.regions[0].last_call();
    assert_eq!(call.operation, RuntimeOperation::Converse);
    let json: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    let content = json["messages"][0]["content"].to_string();
    assert!(content.contains(r#""format":"docx""#) && content.contains(r#""format":"png""#), "{content}");
    tree.regions[0].then(Step::Raw(r#"{"inputTokens":7}"#.to_owned()));
    submit(&tree, count(&tree, &asking(&blocks))).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&tree.regions[0].last_call().body).unwrap();
    assert!(json["input"]["converse"]["messages"][0]["content"].to_string().contains(r#""format":"docx""#), "{json}");
    assert_eq!(tree.web.asked().len(), 4, "two addresses in two requests");
}

/// Room for so many bytes, and what was taken of it.
#[derive(Debug)]
struct Room {
    size: usize,
    taken: Mutex<usize>,
    dropped: Arc<AtomicUsize>,
}

impl HeldMemory for Room {
    fn grow(&self, bytes: usize) -> Result<(), GatewayError> {
        let mut taken = self.taken.lock().unwrap();
        *taken += bytes;
        if *taken > self.size {
            return Err(GatewayError::Overloaded { message: "full".to_owned(), retry_after: std::time::Duration::from_secs(1) });
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_takes_room_until_the_answer_begins() {
    let tree = tree().await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let room = |size| Arc::new(Room { size, taken: Mutex::default(), dropped: Arc::clone(&dropped) });
    let asked = asking(&link("image", "http://web.example/a.png"));
    let ask = |room: &Arc<Room>| ChatJob { held: Some(Arc::clone(room) as Arc<dyn HeldMemory>), ..message(&tree, &asked) };
    let narrow = room(PNG.len());
    let error = submit(&tree, ask(&narrow)).await.unwrap_err();
    assert_eq!((error.class(), tree.regions[0].calls()), ("overloaded", 0), "base64 is longer than that: {error}");
    let wide = room(1 << 20);
    tree.regions[0].then(Step::Hang);
    let chat = tree.gateway.ports().chat.clone();
    let hanging = tokio::spawn({
        let job = ask(&wide);
        async move { chat.submit(job).await }
    });
    tree.until(|| tree.regions[0].calls() == 1).await;
    assert_eq!(*wide.taken.lock().unwrap(), PNG.len().div_ceil(3) * 4, "in base64");
    drop((narrow, wide));
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "the call that hangs holds its room");
    hanging.abort();
    tree.until(|| dropped.load(Ordering::Relaxed) == 2).await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_named_often_takes_room_as_often() {
    let tree = tree().await;
    let room = Arc::new(Room { size: 1 << 20, taken: Mutex::default(), dropped: Arc::default() });
    let asked = asking(&vec![link("image", "http://web.example/a.png"); 7].join(","));
    tree.regions[0].then(Step::Raw(ANSWER.to_owned()));
    submit(&tree, ChatJob { held: Some(Arc::clone(&room) as Arc<dyn HeldMemory>), ..message(&tree, &asked) }).await.unwrap();
    assert_eq!(*room.taken.lock().unwrap(), 7 * PNG.len().div_ceil(3) * 4);
}
