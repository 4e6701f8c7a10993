//! The grammar of a streamed response: what every stream must keep to, whatever the model did.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::openai_responses::schema;

/// The events of a stream, comments left out. Fails unless each is framed as the official clients read it: an `event:`
/// line that says the type, a `data:` line, nothing else.
pub(super) fn events(stream: &str) -> Vec<Value> {
    let blocks = stream.split_terminator("\n\n").filter(|block| !block.starts_with(':'));
    blocks
        .map(|block| {
            let (first, second) = block.split_once('\n').unwrap();
            let (name, data) = (first.strip_prefix("event: ").unwrap(), second.strip_prefix("data: ").unwrap());
            assert!(!data.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "{data}");
            let event: Value = serde_json::from_str(data).unwrap();
            assert_eq!(event["type"], name);
            event
        })
        .collect()
}

/// What is known of one item while the stream is read.
#[derive(Default)]
struct Item {
    id: String,
    kind: String,
    /// What the deltas have brought.
    gathered: String,
    part_open: bool,
    /// The event that tells the whole text has come.
    text_done: bool,
    annotations: usize,
    done: Option<Value>,
}

/// Reads a whole stream by the grammar. Gives its events.
pub(super) fn check(stream: &str) -> Vec<Value> {
    let events = events(stream);
    let mut items: BTreeMap<u64, Item> = BTreeMap::new();
    for (event, number) in events.iter().zip(0_u64..) {
        schema::check_event(event);
        assert_eq!(event["sequence_number"].as_u64(), Some(number), "numbers count from 0 without a gap");
        if let Some(response) = event.get("response") {
            assert_eq!(response["id"], events[0]["response"]["id"], "one id in every event");
        }
        if event.get("output_index").is_some() {
            about_item(event, &mut items);
        }
    }
    check_frame(&events);
    check_end(events.last().unwrap(), &items);
    events
}

fn check_frame(events: &[Value]) {
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let begins = if kinds.get(1) == Some(&"response.queued") {
        vec!["response.created", "response.queued", "response.in_progress"]
    } else {
        vec!["response.created", "response.in_progress"]
    };
    assert_eq!(&kinds[..begins.len()], begins);
    let is_end = |kind: &&str| matches!(*kind, "response.completed" | "response.incomplete" | "response.failed");
    assert_eq!(kinds.iter().filter(|kind| is_end(kind)).count(), 1, "one end: {kinds:?}");
    assert!(is_end(kinds.last().unwrap()), "the end is last: {kinds:?}");
    let middle = &kinds[begins.len()..kinds.len() - 1];
    assert!(middle.iter().all(|kind| !begins.contains(kind)), "{kinds:?}");
}

fn check_end(end: &Value, items: &BTreeMap<u64, Item>) {
    let response = &end["response"];
    let output = response["output"].as_array().unwrap();
    if response["status"] == "failed" || response["status"] == "cancelled" {
        return;
    }
    let done: Vec<Value> = items.values().map(|item| item.done.clone().expect("every item ends")).collect();
    assert_eq!(&done, output, "the response holds what was told");
    let places: Vec<u64> = items.keys().copied().collect();
    assert_eq!(places, (0..output.len() as u64).collect::<Vec<_>>(), "places count from 0 without a gap");
}

fn about_item(event: &Value, items: &mut BTreeMap<u64, Item>) {
    let place = event["output_index"].as_u64().unwrap();
    let kind = event["type"].as_str().unwrap();
    if kind == "response.output_item.added" {
        assert_eq!(place, items.len() as u64, "items begin in order");
        let item = &event["item"];
        assert_ne!(item["status"], "completed");
        let (id, kind) = (item["id"].as_str().unwrap().to_owned(), item["type"].as_str().unwrap().to_owned());
        assert!(items.values().all(|other| other.id != id), "ids are unique");
        items.insert(place, Item { id, kind, ..Item::default() });
        return;
    }
    let item = items.get_mut(&place).expect("an item begins before anything is told of it");
    assert!(item.done.is_none(), "nothing is told of an item that has ended: {event}");
    let id = event.get("item_id").unwrap_or_else(|| &event["item"]["id"]);
    assert_eq!(id, item.id.as_str());
    match kind {
        "response.output_item.done" => end_of_item(event, item),
        "response.content_part.added" | "response.reasoning_summary_part.added" => {
            assert!(!item.part_open && item.gathered.is_empty());
            assert_eq!(event["part"]["text"], "");
            item.part_open = true;
        }
        "response.content_part.done" | "response.reasoning_summary_part.done" => {
            assert!(item.part_open && item.text_done);
            assert_eq!(event["part"]["text"], item.gathered.as_str());
            item.part_open = false;
        }
        "response.output_text.annotation.added" => {
            assert_eq!(event["annotation_index"].as_u64(), Some(item.annotations as u64));
            item.annotations += 1;
        }
        _ => about_text(kind, event, item),
    }
}

fn about_text(kind: &str, event: &Value, item: &mut Item) {
    let owner = match kind.rsplit_once('.').unwrap().0 {
        "response.output_text" => "message",
        "response.reasoning_summary_text" => "reasoning",
        "response.function_call_arguments" => "function_call",
        "response.custom_tool_call_input" => "custom_tool_call",
        "response.web_search_call" => "web_search_call",
        "response.code_interpreter_call" | "response.code_interpreter_call_code" => "code_interpreter_call",
        other => panic!("{other}"),
    };
    assert_eq!(item.kind, owner, "{kind}");
    if let Some(delta) = event.get("delta") {
        assert!(!item.text_done, "no delta after the whole");
        let delta = delta.as_str().unwrap();
        assert!(!delta.is_empty(), "no empty delta");
        item.gathered.push_str(delta);
    } else if kind.ends_with(".done") {
        assert!(!item.text_done, "told once");
        let whole = ["text", "arguments", "input", "code"].iter().find_map(|member| event.get(*member)).unwrap();
        assert_eq!(whole, item.gathered.as_str(), "the deltas are the whole");
        item.text_done = true;
    }
}

fn end_of_item(event: &Value, item: &mut Item) {
    let whole = &event["item"];
    assert_eq!(whole["type"], item.kind.as_str());
    assert!(!item.part_open, "parts end before their item");
    let text = match item.kind.as_str() {
        "message" => {
            assert_eq!(whole["content"][0]["annotations"].as_array().unwrap().len(), item.annotations);
            &whole["content"][0]["text"]
        }
        "reasoning" if whole["summary"] == Value::Array(Vec::new()) => &Value::Null,
        "reasoning" => &whole["summary"][0]["text"],
        "function_call" => &whole["arguments"],
        "custom_tool_call" => &whole["input"],
        "code_interpreter_call" => &whole["code"],
        _ => &Value::Null,
    };
    assert_eq!(text.as_str().unwrap_or_default(), item.gathered, "the item holds what was told");
    item.done = Some(whole.clone());
}
