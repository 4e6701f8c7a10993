//! OpenAI's Responses API over HTTP: made whole and streamed, stored, chained, asked for again.

use std::time::Duration;

use http::{Method, StatusCode};
use outcrop_sim::{Action, CutManner, Operation, Pace, Rule, ScriptedError};
use serde_json::{Value, json};

use crate::support::{Answer, CLAUDE, Client, EAST, Event, EventStream, TestGateway, eventually};

pub(crate) const RESPONSES: &str = "/v1/responses";

pub(crate) fn asks(input: impl Into<Value>) -> Value {
    json!({"model": CLAUDE, "input": input.into()})
}

pub(crate) fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    body[member] = value.into();
    body
}

/// The text that a response says.
pub(crate) fn said(response: &Value) -> String {
    let items = response["output"].as_array().unwrap_or_else(|| panic!("no output: {response}"));
    let parts = items.iter().filter_map(|item| item["content"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

pub(crate) fn id(response: &Value) -> &str {
    response["id"].as_str().unwrap_or_else(|| panic!("no id: {response}"))
}

fn at(response: &Value) -> String {
    format!("{RESPONSES}/{}", id(response))
}

/// The events of a stream: name and data, which must agree; numbered from `first` without a gap.
#[track_caller]
pub(crate) fn events(answer: &Answer, first: u64) -> Vec<Value> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream; charset=utf-8")), "{}", answer.text());
    let event = |text: &str| {
        let (name, data) = text.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")).unwrap_or_else(|| panic!("{text:?}"));
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name, "{text}");
        data
    };
    let texts = answer.text().split_terminator("\n\n").filter(|text| !text.starts_with(':'));
    let events: Vec<Value> = texts.map(event).collect();
    for (event, number) in events.iter().zip(first..) {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
    events
}

pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    let mut types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    types.dedup();
    types
}

fn deltas(events: &[Value]) -> String {
    events.iter().filter(|event| event["type"] == "response.output_text.delta").filter_map(|event| event["delta"].as_str()).collect()
}

async fn open(gateway: &TestGateway, body: &Value) -> EventStream {
    let body = with(body.clone(), "stream", true);
    gateway.send(Method::POST, RESPONSES, &[("content-type", "application/json")], body.to_string().into()).await
}

/// Asks until the response has this status.
async fn until(gateway: &TestGateway, path: &str, status: &str) -> Value {
    eventually(status, async || gateway.get(path).await.ok()["status"] == status).await;
    gateway.get(path).await.ok()
}

#[tokio::test]
async fn a_response_is_there_to_be_asked_for_until_it_is_deleted() {
    let gateway = TestGateway::start().await;
    let answer = gateway.post(RESPONSES, &with(asks("say exactly: Good morning"), "metadata", json!({"who": "me"}))).await;
    let made = answer.ok();
    assert!(id(&made).starts_with("resp_"), "{made}");
    assert_eq!((&made["object"], &made["status"], &made["store"]), (&json!("response"), &json!("completed"), &json!(true)));
    assert_eq!((said(&made), &made["metadata"]["who"]), ("Good morning".to_owned(), &json!("me")));
    let billed = gateway.calls()[0].billed.clone().unwrap();
    assert_eq!(
        (made["usage"]["input_tokens"].as_u64(), made["usage"]["output_tokens"].as_u64()),
        (Some(billed.input), Some(billed.output))
    );
    assert_eq!(answer.header("x-outcrop-model"), Some("anthropic.claude-sonnet-4-6"));
    assert_eq!(gateway.get(&at(&made)).await.ok(), made);

    let listed = gateway.get(&format!("{}/input_items", at(&made))).await.ok();
    assert_eq!((&listed["object"], &listed["has_more"]), (&json!("list"), &json!(false)));
    let item = &listed["data"][0];
    assert_eq!((&item["role"], &item["content"][0]), (&json!("user"), &json!({"type": "input_text", "text": "say exactly: Good morning"})));
    assert_eq!((&listed["first_id"], &listed["last_id"]), (&item["id"], &item["id"]));

    let deleted = gateway.method(Method::DELETE, &at(&made)).await.ok();
    assert_eq!(deleted, json!({"id": id(&made), "object": "response", "deleted": true}));
    for (method, path) in [(Method::GET, at(&made)), (Method::DELETE, at(&made)), (Method::GET, format!("{}/input_items", at(&made)))] {
        let words = gateway.method(method, &path).await.refusal(404, "invalid_request_error", None);
        assert_eq!(words, format!("Response with id '{}' not found.", id(&made)));
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_tells_its_events_in_order_and_is_stored_before_its_end_is_told() {
    let gateway = TestGateway::start().await;
    let mut stream = open(&gateway, &asks("say exactly: Good morning")).await;
    let mut told = Vec::new();
    while let Some(Event::Data(data)) = stream.next().await {
        let event: Value = serde_json::from_str(&data).unwrap();
        if event["type"] == "response.created" {
            let status = gateway.get(&at(&event["response"])).await.ok()["status"].clone();
            assert!(status == "in_progress" || status == "completed", "whoever has an id may ask for it: {status}");
        }
        if event["type"] == "response.completed" {
            assert_eq!(gateway.get(&at(&event["response"])).await.ok(), event["response"]);
        }
        told.push(event);
    }
    assert!(told.iter().zip(0u64..).all(|(event, number)| event["sequence_number"] == number), "{told:?}");
    assert_eq!(
        types(&told),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    assert_eq!(deltas(&told), "Good morning");
    let (first, last) = (&told[0]["response"], &told.last().unwrap()["response"]);
    assert_eq!((id(first), said(last)), (id(last), "Good morning".to_owned()));

    // Told once more, from any event on: a text is one piece then.
    let path = at(last);
    let again = events(&gateway.get(&format!("{path}?stream=true")).await, 0);
    assert_eq!((deltas(&again), types(&again)), (deltas(&told), types(&told)));
    let rest = events(&gateway.get(&format!("{path}?stream=true&starting_after=3")).await, 4);
    assert_eq!(rest, again[4..]);
    let end = events(&gateway.get(&format!("{path}?stream=true&starting_after=1000")).await, 1001);
    assert_eq!(types(&end), ["response.completed"]);
    gateway.end().await;
}

#[tokio::test]
async fn pain_32_a_chain_of_three_responses_is_what_the_model_reads() {
    let gateway = TestGateway::start().await;
    let one = gateway.post(RESPONSES, &with(asks("say exactly: one"), "instructions", "be brief")).await.ok();
    let second = with(asks("say exactly: two"), "previous_response_id", id(&one));
    let streamed = events(&gateway.post(RESPONSES, &with(second, "stream", true)).await, 0);
    let two = &streamed.last().unwrap()["response"];
    assert_eq!(two["previous_response_id"], id(&one));
    let three = gateway.post(RESPONSES, &with(asks("say exactly: three"), "previous_response_id", id(two))).await.ok();
    assert_eq!(said(&three), "three");
    let body = gateway.bodies().pop().unwrap();
    let turns: Vec<(&str, &str)> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| (turn["role"].as_str().unwrap(), turn["content"][0]["text"].as_str().unwrap()))
        .collect();
    assert_eq!(
        turns,
        [
            ("user", "say exactly: one"),
            ("assistant", "one"),
            ("user", "say exactly: two"),
            ("assistant", "two"),
            ("user", "say exactly: three")
        ]
    );
    assert!(body.get("system").is_none(), "instructions are of their own response alone: {body}");
    // A broken chain names what is missing.
    gateway.method(Method::DELETE, &at(&one)).await.ok();
    let answer = gateway.post(RESPONSES, &with(asks("go on"), "previous_response_id", id(two))).await;
    let words = answer.refusal(404, "invalid_request_error", Some("previous_response_not_found"));
    assert_eq!(
        (words, answer.param().as_deref()),
        (format!("Previous response with id '{}' not found.", id(&one)), Some("previous_response_id"))
    );
    // So do all who go on from it, streamed or not.
    let unknown = with(asks("go on"), "previous_response_id", "resp_nobody");
    let streamed = (RESPONSES.to_owned(), with(unknown.clone(), "stream", true));
    for (path, body) in [streamed, (format!("{RESPONSES}/compact"), unknown.clone()), (format!("{RESPONSES}/input_tokens"), unknown)] {
        let answer = gateway.post(&path, &body).await;
        answer.refusal(404, "invalid_request_error", Some("previous_response_not_found"));
        assert_eq!(answer.param().as_deref(), Some("previous_response_id"), "{path}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn outputs_of_tools_go_on_from_the_call_that_is_stored() {
    let gateway = TestGateway::start().await;
    let tools =
        json!([{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]);
    let called =
        gateway.post(RESPONSES, &with(with(asks("What is the weather?"), "tools", tools.clone()), "tool_choice", "required")).await.ok();
    let call =
        called["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").unwrap_or_else(|| panic!("{called}"));
    let output = json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}]);
    let next = with(with(asks(output), "previous_response_id", id(&called)), "tools", tools);
    gateway.post(RESPONSES, &next).await.ok();
    let body = gateway.bodies().pop().unwrap();
    let turns = body["messages"].as_array().unwrap();
    assert_eq!(turns.len(), 3, "{body}");
    assert_eq!(turns[1]["content"][0]["toolUse"]["toolUseId"], turns[2]["content"][0]["toolResult"]["toolUseId"], "{body}");
    // The call by its id alone, without the chain.
    let referred = json!([
        {"role": "user", "content": "What is the weather?"},
        {"type": "item_reference", "id": call["id"]},
        {"type": "function_call_output", "call_id": call["call_id"], "output": "rainy"},
    ]);
    let by_id = gateway.post(RESPONSES, &asks(referred)).await.ok();
    let listed = gateway.get(&format!("{}/input_items?order=asc", at(&by_id))).await.ok();
    let kinds: Vec<&str> = listed["data"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "function_call", "function_call_output"], "what was referred to is stored in its place");
    let unknown = asks(json!([{"type": "item_reference", "id": "msg_nowhere_1"}]));
    let answer = gateway.post(RESPONSES, &unknown).await;
    answer.refusal(404, "invalid_request_error", None);
    assert_eq!(answer.param().as_deref(), Some("input[0].id"));
    gateway.end().await;
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_not() {
    let gateway = TestGateway::start().await;
    let made = gateway.post(RESPONSES, &with(asks("say exactly: a secret"), "store", false)).await.ok();
    assert_eq!(made["store"], false);
    gateway.get(&at(&made)).await.refusal(404, "invalid_request_error", None);
    let streamed = events(&gateway.post(RESPONSES, &with(with(asks("hello"), "store", false), "stream", true)).await, 0);
    let response = &streamed.last().unwrap()["response"];
    gateway.get(&at(response)).await.refusal(404, "invalid_request_error", None);
    let next = with(asks("go on"), "previous_response_id", id(&made));
    gateway.post(RESPONSES, &next).await.refusal(404, "invalid_request_error", Some("previous_response_not_found"));
    gateway.end().await;
}

#[tokio::test]
async fn what_belongs_to_another_key_and_what_is_no_id_does_not_exist() {
    let gateway = TestGateway::builder().set("keys.secrets=tester:sk-test-key,other:sk-other").start().await;
    let made = gateway.post(RESPONSES, &asks("hello")).await.ok();
    let other = Client { address: gateway.address, key: Some("sk-other".to_owned()) };
    let paths = [at(&made), format!("{RESPONSES}/resp_unknown"), format!("{RESPONSES}/%00"), format!("{RESPONSES}/{}", "x".repeat(3000))];
    for path in &paths {
        other.get(path).await.refusal(404, "invalid_request_error", None);
        other.get(&format!("{path}?stream=true")).await.refusal(404, "invalid_request_error", None);
        other.get(&format!("{path}/input_items")).await.refusal(404, "invalid_request_error", None);
        other.method(Method::DELETE, path).await.refusal(404, "invalid_request_error", None);
        other.method(Method::POST, &format!("{path}/cancel")).await.refusal(404, "invalid_request_error", None);
    }
    other.get(&format!("{RESPONSES}/%ff")).await.refusal(404, "invalid_request_error", None);
    for previous in [id(&made), "resp_unknown", "no id at all", "\u{0}"] {
        let answer = other.post(RESPONSES, &with(asks("go on"), "previous_response_id", previous)).await;
        answer.refusal(404, "invalid_request_error", Some("previous_response_not_found"));
    }
    let item = asks(json!([{"type": "item_reference", "id": made["output"][0]["id"]}, {"role": "user", "content": "go on"}]));
    other.post(RESPONSES, &item).await.refusal(404, "invalid_request_error", None);
    gateway.post(RESPONSES, &item).await.ok();
    assert_eq!(gateway.get(&at(&made)).await.ok(), made, "its own key has it still");
    let stranger = Client { address: gateway.address, key: None };
    stranger.get(&at(&made)).await.refusal(401, "invalid_request_error", Some("invalid_api_key"));
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_cut_by_its_client_leaves_a_cancelled_response() {
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(5));
    let gateway = TestGateway::builder().regions([EAST]).simulator(move |sim| sim.pace(slowly)).start().await;
    let mut stream = open(&gateway, &asks("count to 400")).await;
    let created = stream.chunk().await;
    let path = at(&created["response"]);
    while stream.chunk().await["type"] != "response.output_text.delta" {}
    drop(stream);
    let left = until(&gateway, &path, "cancelled").await;
    assert!(!said(&left).is_empty(), "what was said is kept: {left}");
    assert_eq!(left["output"][0]["status"], "incomplete");
    let lines = gateway.records.first(1).await;
    assert!(lines.iter().any(|line| line.edge.as_ref().is_some_and(|edge| edge.client_gone)), "{lines:?}");
    gateway.end().await;
}

#[tokio::test]
async fn an_answer_that_breaks_is_a_failed_response_and_one_that_never_began_is_none() {
    let gateway = TestGateway::builder().regions([EAST]).start().await;
    gateway.simulator.script(Rule::once(Action::CutAfterEvents { events: 4, manner: CutManner::Close }));
    let broken = events(&gateway.post(RESPONSES, &with(asks("count to 50"), "stream", true)).await, 0);
    let failed = &broken.last().unwrap();
    assert_eq!(failed["type"], "response.failed", "{failed}");
    assert_eq!(failed["response"]["error"]["code"], "server_error", "{failed}");
    let stored = gateway.get(&at(&failed["response"])).await.ok();
    assert_eq!((&stored["status"], &stored["error"]), (&json!("failed"), &failed["response"]["error"]));

    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::new(400, "ValidationException", "not like this"))));
    for body in [asks("hello"), with(asks("hello"), "stream", true), with(asks("hello"), "store", false)] {
        let words = gateway.post(RESPONSES, &body).await.refusal(400, "invalid_request_error", None);
        assert_eq!(words, "not like this");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_that_waits_for_its_model_is_opened_and_hears_of_the_failure_in_band() {
    let gateway = TestGateway::builder().regions([EAST]).set("chat.open_stream_after=1s").start().await;
    gateway.simulator.script(Rule::always(Action::DelayHead(Duration::from_millis(1_500))).operation(Operation::ConverseStream));
    let late = gateway.post(RESPONSES, &with(asks("say exactly: late"), "stream", true)).await;
    assert!(late.text().starts_with(": "), "{}", late.text());
    assert_eq!(deltas(&events(&late, 0)), "late");
    gateway.simulator.clear_script();
    gateway.end().await;
}

#[tokio::test]
async fn agents_that_ask_for_a_websocket_are_sent_to_post_at_once() {
    let gateway = TestGateway::start().await;
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", "AAAA")];
    let answer = gateway.send(Method::GET, RESPONSES, &upgrade, Vec::new().into()).await.answer().await;
    assert_eq!(answer.status, StatusCode::UPGRADE_REQUIRED.as_u16());
    let words = answer.refusal(426, "invalid_request_error", Some("websocket_not_supported"));
    assert!(words.contains("POST"), "{words}");
    gateway.get(RESPONSES).await.refusal(405, "invalid_request_error", Some("method_not_allowed"));
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn bad_requests_are_refused_by_name_and_store_nothing() {
    let gateway = TestGateway::start().await;
    let twice = json!([{"role": "user", "content": "a", "id": "msg_1"}, {"role": "user", "content": "b", "id": "msg_1"}]);
    let cases: Vec<(Value, Option<&str>, Option<&str>)> = vec![
        (json!({"input": "x"}), Some("model"), Some("missing_required_parameter")),
        (json!({"model": CLAUDE}), Some("input"), Some("missing_required_parameter")),
        (with(asks("x"), "stream", "yes"), Some("stream"), Some("invalid_type")),
        (asks(json!([{"role": 5, "content": "x"}])), Some("input[0].role"), Some("invalid_type")),
        (
            with(with(asks("x"), "conversation", "conv_1"), "previous_response_id", "resp_1"),
            Some("previous_response_id"),
            Some("mutually_exclusive_parameters"),
        ),
        (with(with(asks("x"), "background", true), "store", false), Some("background"), Some("invalid_value")),
        (with(asks("x"), "include", json!(["everything"])), Some("include[0]"), Some("invalid_value")),
        (asks(twice), Some("input"), None),
        (json!([1]), None, Some("invalid_type")),
    ];
    for (body, param, code) in cases {
        let answer = gateway.post(RESPONSES, &body).await;
        answer.refusal(400, "invalid_request_error", code);
        assert_eq!(answer.param().as_deref(), param, "{body}");
    }
    gateway.post_bytes(RESPONSES, &[], "{ not json").await.refusal(400, "invalid_request_error", None);
    gateway.post(RESPONSES, &with(asks("x"), "model", "no-such-model")).await.refusal(
        404,
        "invalid_request_error",
        Some("model_not_found"),
    );
    for (query, param) in [("limit=0", "limit"), ("limit=many", "limit"), ("order=up", "order"), ("include=x", "include[0]")] {
        let answer = gateway.get(&format!("{RESPONSES}/resp_1/input_items?{query}")).await;
        answer.refusal(400, "invalid_request_error", answer.json()["error"]["code"].as_str());
        assert_eq!(answer.param().as_deref(), Some(param));
    }
    gateway.get(&format!("{RESPONSES}/resp_1?stream=maybe")).await.refusal(400, "invalid_request_error", Some("invalid_type"));
    gateway.method(Method::PUT, RESPONSES).await.refusal(405, "invalid_request_error", Some("method_not_allowed"));
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_page_of_the_input_is_as_long_as_asked_for_and_leads_to_the_next() {
    let gateway = TestGateway::start().await;
    let turns: Vec<Value> =
        (0..5).map(|number| json!({"role": "user", "content": format!("m{number}"), "id": format!("msg_{number}")})).collect();
    let made = gateway.post(RESPONSES, &asks(turns)).await.ok();
    let page = async |query: &str| {
        let page = gateway.get(&format!("{}/input_items?{query}", at(&made))).await.ok();
        let ids: Vec<String> = page["data"].as_array().unwrap().iter().map(|item| id(item).to_owned()).collect();
        (ids.join(" "), page["has_more"].as_bool().unwrap())
    };
    assert_eq!(page("").await, ("msg_4 msg_3 msg_2 msg_1 msg_0".to_owned(), false));
    assert_eq!(page("limit=2").await, ("msg_4 msg_3".to_owned(), true));
    assert_eq!(page("limit=2&after=msg_3").await, ("msg_2 msg_1".to_owned(), true));
    assert_eq!(page("limit=2&after=msg_1&order=asc").await, ("msg_2 msg_3".to_owned(), true));
    assert_eq!(page("limit=2&after=msg_1&include[]=message.input_image.image_url").await, ("msg_0".to_owned(), false));
    let unknown = gateway.get(&format!("{}/input_items?after=msg_9", at(&made))).await;
    unknown.refusal(404, "invalid_request_error", None);
    gateway.end().await;
}

#[tokio::test]
async fn a_conversation_is_made_short_and_goes_on_from_that() {
    let gateway = TestGateway::start().await;
    let one = gateway.post(RESPONSES, &asks("say exactly: one")).await.ok();
    let compacted =
        gateway.post(&format!("{RESPONSES}/compact"), &with(asks("remember the number 7"), "previous_response_id", id(&one))).await.ok();
    assert_eq!(compacted["object"], "response.compaction", "{compacted}");
    let items = compacted["output"].as_array().unwrap();
    let kinds: Vec<&str> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "message", "compaction"], "what was asked stays beside the summary: {compacted}");
    assert!(compacted["usage"]["output_tokens"].as_u64() > Some(0));
    let mut input = items.clone();
    input.push(json!({"role": "user", "content": "say exactly: on we go"}));
    let next = gateway.post(RESPONSES, &asks(input)).await.ok();
    assert!(said(&next).ends_with("on we go"), "{next}");
    let read = gateway.bodies().pop().unwrap()["messages"].to_string();
    assert!(read.contains("Summary of the conversation so far") && read.contains("remember the number 7"), "{read}");
    gateway.get(&at(&compacted)).await.refusal(404, "invalid_request_error", None);
    gateway.end().await;
}

#[tokio::test]
async fn a_chain_and_a_conversation_go_on_after_a_wish_for_a_summary() {
    let gateway = TestGateway::start().await;
    let wish = json!([{"role": "user", "content": "remember the number 7"}, {"type": "compaction_trigger"}]);
    let kept = gateway.post("/v1/conversations", &json!({})).await.ok();
    for (first, next) in [
        (asks(wish.clone()), None),
        (with(asks(wish), "conversation", id(&kept)), Some(with(asks("say exactly: on we go"), "conversation", id(&kept)))),
    ] {
        let summary = gateway.post(RESPONSES, &first).await.ok();
        assert_eq!(summary["output"][0]["type"], "compaction", "{summary}");
        let listed = gateway.get(&format!("{}/input_items", at(&summary))).await.ok();
        assert_eq!(listed["data"].as_array().unwrap().len(), 1, "the wish is granted and not kept: {listed}");
        let next = next.unwrap_or_else(|| with(asks("say exactly: on we go"), "previous_response_id", id(&summary)));
        let answer = gateway.post(RESPONSES, &next).await.ok();
        assert!(said(&answer).ends_with("on we go"), "{answer}");
        let read = gateway.bodies().pop().unwrap()["messages"].to_string();
        assert!(read.contains("Summary of the conversation so far") && read.contains("remember the number 7"), "{read}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn an_array_in_place_of_a_part_is_refused_by_its_place() {
    let gateway = TestGateway::start().await;
    let item = json!({"role": "user", "content": [[]]});
    let kept = gateway.post("/v1/conversations", &json!({})).await.ok();
    for (path, body, place) in [
        (RESPONSES.to_owned(), asks(json!([item])), "input[0].content[0]"),
        ("/v1/conversations".to_owned(), json!({"items": [item]}), "items[0].content[0]"),
        (format!("/v1/conversations/{}/items", id(&kept)), json!({"items": [item]}), "items[0].content[0]"),
    ] {
        let answer = gateway.post(&path, &body).await;
        answer.refusal(400, "invalid_request_error", Some("invalid_type"));
        assert_eq!(answer.param().as_deref(), Some(place));
    }
    assert!(gateway.calls().is_empty(), "nothing was asked of a model");
    gateway.end().await;
}

#[tokio::test]
async fn the_count_is_what_a_response_is_billed_for_and_where_aws_has_none_there_is_none() {
    let gateway = TestGateway::start().await;
    let count = async |body: &Value| gateway.post(&format!("{RESPONSES}/input_tokens"), body).await;
    let one = gateway.post(RESPONSES, &with(asks("say exactly: one"), "instructions", "Be brief.")).await.ok();
    for body in [
        with(asks("How many tokens is this?"), "instructions", "Be brief."),
        with(asks("And with all before it?"), "previous_response_id", id(&one)),
    ] {
        let counted = count(&body).await.ok();
        assert_eq!(counted["object"], "response.input_tokens");
        let made = gateway.post(RESPONSES, &body).await.ok();
        assert_eq!(counted["input_tokens"], made["usage"]["input_tokens"], "{body}");
    }
    let uncounted = count(&with(asks("x"), "model", "amazon.nova-lite-v1:0")).await;
    let words = uncounted.refusal(404, "invalid_request_error", None);
    assert!(words.to_lowercase().contains("count"), "upstream's words: {words}");
    count(&json!({"input": "x"})).await.refusal(400, "invalid_request_error", Some("missing_required_parameter"));
    let unknown = count(&with(asks("x"), "previous_response_id", "resp_unknown")).await;
    unknown.refusal(404, "invalid_request_error", Some("previous_response_not_found"));
    gateway.end().await;
}

#[tokio::test]
async fn a_full_memory_lets_the_oldest_responses_go() {
    let gateway = TestGateway::builder().set("store.memory=1 MiB").start().await;
    let large = "x".repeat(200_000);
    let mut made = Vec::new();
    for number in 0..6 {
        made.push(gateway.post(RESPONSES, &asks(format!("say exactly: {number}. {large}"))).await.ok());
    }
    gateway.get(&at(&made[0])).await.refusal(404, "invalid_request_error", None);
    assert_eq!(gateway.get(&at(&made[5])).await.status, 200);
    let beyond = asks("y".repeat(2_000_000));
    assert_eq!(gateway.post(RESPONSES, &beyond).await.status, 503, "more than there is room for at all");
    assert_eq!(gateway.post(RESPONSES, &with(beyond, "store", false)).await.status, 200);
    gateway.end().await;
}
