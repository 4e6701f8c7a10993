//! OpenAI's conversations over HTTP: made, filled, read, added to by responses.

use http::Method;
use serde_json::{Value, json};

use crate::{
    responses::{RESPONSES, asks, events, said, with},
    support::{Client, TestGateway},
};

const CONVERSATIONS: &str = "/v1/conversations";

fn at(conversation: &Value) -> String {
    format!("{CONVERSATIONS}/{}", conversation["id"].as_str().unwrap())
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

/// Roles and texts of a conversation, oldest first.
async fn turns(gateway: &TestGateway, conversation: &Value) -> Vec<String> {
    let listed = gateway.get(&format!("{}/items?order=asc&limit=100", at(conversation))).await.ok();
    let items = listed["data"].as_array().unwrap();
    items.iter().map(|item| format!("{}: {}", item["role"].as_str().unwrap(), item["content"][0]["text"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_conversation_is_made_changed_and_deleted() {
    let gateway = TestGateway::start().await;
    let empty = gateway.post_bytes(CONVERSATIONS, &[], "").await.ok();
    assert_eq!((&empty["object"], &empty["metadata"]), (&json!("conversation"), &json!({})), "{empty}");
    let made = gateway.post(CONVERSATIONS, &json!({"metadata": {"topic": "tea"}, "items": [user("hello")]})).await.ok();
    assert!(made["id"].as_str().unwrap().starts_with("conv_") && made["created_at"].is_u64(), "{made}");
    assert_eq!(gateway.get(&at(&made)).await.ok(), made);
    let changed = gateway.post(&at(&made), &json!({"metadata": {"topic": "coffee"}})).await.ok();
    assert_eq!((&changed["metadata"], &changed["id"]), (&json!({"topic": "coffee"}), &made["id"]));
    let cleared = gateway.post(&at(&made), &json!({"metadata": null})).await.ok();
    assert_eq!((&cleared["metadata"], &gateway.get(&at(&made)).await.ok()), (&json!({}), &cleared), "a null takes the labels away");
    let deleted = gateway.method(Method::DELETE, &at(&made)).await.ok();
    assert_eq!(deleted, json!({"id": made["id"], "object": "conversation.deleted", "deleted": true}));
    let words = gateway.get(&at(&made)).await.refusal(404, "invalid_request_error", None);
    assert_eq!(words, format!("Conversation with id '{}' not found.", made["id"].as_str().unwrap()));
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn items_are_added_listed_shown_and_removed() {
    let gateway = TestGateway::start().await;
    let made = gateway.post(CONVERSATIONS, &json!({"items": [user("a")]})).await.ok();
    let items = format!("{}/items", at(&made));
    let added = gateway.post(&items, &json!({"items": [user("b"), user("c")]})).await.ok();
    assert_eq!((&added["object"], added["data"].as_array().unwrap().len()), (&json!("list"), 2));
    assert_eq!(turns(&gateway, &made).await, ["user: a", "user: b", "user: c"]);
    let newest = gateway.get(&format!("{items}?limit=2")).await.ok();
    assert_eq!((newest["data"][0]["content"][0]["text"].as_str(), &newest["has_more"]), (Some("c"), &json!(true)));
    let next = gateway.get(&format!("{items}?limit=2&after={}", newest["last_id"].as_str().unwrap())).await.ok();
    assert_eq!((next["data"][0]["content"][0]["text"].as_str(), &next["has_more"]), (Some("a"), &json!(false)));
    let one = &added["data"][0];
    let path = format!("{items}/{}", one["id"].as_str().unwrap());
    assert_eq!(&gateway.get(&path).await.ok(), one);
    assert_eq!(gateway.method(Method::DELETE, &path).await.ok()["id"], made["id"]);
    gateway.get(&path).await.refusal(404, "invalid_request_error", None);
    assert_eq!(turns(&gateway, &made).await, ["user: a", "user: c"]);
    gateway.end().await;
}

#[tokio::test]
async fn a_response_goes_on_from_its_conversation_and_adds_to_it() {
    let gateway = TestGateway::start().await;
    let made = gateway.post(CONVERSATIONS, &json!({"items": [user("my name is Ann")]})).await.ok();
    let whole = gateway.post(RESPONSES, &with(asks("say exactly: hello Ann"), "conversation", made["id"].clone())).await.ok();
    assert_eq!(whole["conversation"], json!({"id": made["id"]}));
    let streams = with(with(asks("say exactly: again"), "conversation", json!({"id": made["id"]})), "stream", true);
    let streamed = events(&gateway.post(RESPONSES, &streams).await, 0);
    assert_eq!(said(&streamed.last().unwrap()["response"]), "again");
    let expected =
        ["user: my name is Ann", "user: say exactly: hello Ann", "assistant: hello Ann", "user: say exactly: again", "assistant: again"];
    assert_eq!(turns(&gateway, &made).await, expected);
    let body = gateway.bodies().pop().unwrap();
    assert!(body["messages"].to_string().contains("my name is Ann") && body["messages"].to_string().contains("hello Ann"), "{body}");
    // Not stored itself, its items are in the conversation all the same.
    let alone =
        gateway.post(RESPONSES, &with(with(asks("say exactly: unseen"), "conversation", made["id"].clone()), "store", false)).await.ok();
    gateway.get(&format!("{RESPONSES}/{}", alone["id"].as_str().unwrap())).await.refusal(404, "invalid_request_error", None);
    assert_eq!(turns(&gateway, &made).await.len(), 7);
    gateway.end().await;
}

#[tokio::test]
async fn a_refused_response_adds_nothing_to_its_conversation() {
    let gateway = TestGateway::start().await;
    let made = gateway.post(CONVERSATIONS, &json!({})).await.ok();
    let wrong = with(with(asks("x"), "conversation", made["id"].clone()), "model", "no-such-model");
    gateway.post(RESPONSES, &wrong).await.refusal(404, "invalid_request_error", Some("model_not_found"));
    assert!(turns(&gateway, &made).await.is_empty());
    gateway.end().await;
}

#[tokio::test]
async fn what_is_unknown_malformed_or_another_keys_does_not_exist() {
    let gateway = TestGateway::builder().set("keys.secrets=tester:sk-test-key,other:sk-other").start().await;
    let made = gateway.post(CONVERSATIONS, &json!({"items": [user("hello")]})).await.ok();
    let items = gateway.get(&format!("{}/items", at(&made))).await.ok();
    let item = items["first_id"].as_str().unwrap();
    let other = Client { address: gateway.address, key: Some("sk-other".to_owned()) };
    for path in [at(&made), format!("{CONVERSATIONS}/conv_unknown"), format!("{CONVERSATIONS}/%00"), format!("{CONVERSATIONS}/%ff")] {
        other.get(&path).await.refusal(404, "invalid_request_error", None);
        other.post(&path, &json!({"metadata": {}})).await.refusal(404, "invalid_request_error", None);
        other.method(Method::DELETE, &path).await.refusal(404, "invalid_request_error", None);
        other.get(&format!("{path}/items")).await.refusal(404, "invalid_request_error", None);
        other.post(&format!("{path}/items"), &json!({"items": [user("x")]})).await.refusal(404, "invalid_request_error", None);
        other.get(&format!("{path}/items/{item}")).await.refusal(404, "invalid_request_error", None);
        other.method(Method::DELETE, &format!("{path}/items/{item}")).await.refusal(404, "invalid_request_error", None);
    }
    for name in [made["id"].as_str().unwrap(), "conv_unknown", "nonsense"] {
        let answer = other.post(RESPONSES, &with(asks("x"), "conversation", name)).await;
        answer.refusal(404, "invalid_request_error", None);
        assert_eq!(answer.param().as_deref(), Some("conversation"));
    }
    assert_eq!(turns(&gateway, &made).await, ["user: hello"]);
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn an_item_that_no_response_could_read_is_not_added_and_the_conversation_goes_on() {
    let gateway = TestGateway::start().await;
    let made = gateway.post(CONVERSATIONS, &json!({"items": [user("hello")]})).await.ok();
    for (item, param) in [
        (json!({"content": "hi"}), "items[0].role"),
        (json!({}), "items[0].role"),
        (json!({"role": "bogus", "content": "x"}), "items[0].role"),
        (json!({"role": "user", "content": [{"type": "bogus"}]}), "items[0].content[0].type"),
        (json!({"type": "function_call_output", "call_id": "c"}), "items[0].output"),
    ] {
        for path in [CONVERSATIONS.to_owned(), format!("{}/items", at(&made))] {
            let answer = gateway.post(&path, &json!({"items": [item]})).await;
            assert_eq!((answer.status, answer.param().as_deref()), (400, Some(param)), "{path} {item}: {}", answer.text());
        }
    }
    assert_eq!(turns(&gateway, &made).await, ["user: hello"]);
    let unread =
        json!({"items": [{"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "tea"}}]});
    gateway.post(&format!("{}/items", at(&made)), &unread).await.ok();
    let on = gateway.post(RESPONSES, &with(asks("say exactly: on"), "conversation", made["id"].clone())).await.ok();
    assert_eq!(said(&on), "on");
    gateway.end().await;
}

#[tokio::test]
async fn bad_bodies_are_refused_by_name() {
    let gateway = TestGateway::start().await;
    let made = gateway.post(CONVERSATIONS, &json!({})).await.ok();
    let many: Vec<Value> = (0..21).map(|number| user(&number.to_string())).collect();
    let labels: serde_json::Map<String, Value> = (0..17).map(|number| (format!("k{number}"), json!("v"))).collect();
    let twice = json!({"items": [{"role": "user", "content": "a", "id": "msg_1"}, {"role": "user", "content": "b", "id": "msg_1"}]});
    for (path, body, param) in [
        (CONVERSATIONS.to_owned(), json!({"items": many}), "items"),
        (CONVERSATIONS.to_owned(), json!({"metadata": labels}), "metadata"),
        (CONVERSATIONS.to_owned(), json!({"items": "x"}), "items"),
        (at(&made), json!({}), "metadata"),
        (format!("{}/items", at(&made)), json!({}), "items"),
        (format!("{}/items", at(&made)), json!({"items": [{"type": "item_reference", "id": "msg_1"}]}), "items"),
    ] {
        let answer = gateway.post(&path, &body).await;
        assert_eq!((answer.status, answer.param().as_deref()), (400, Some(param)), "{}", answer.text());
    }
    assert_eq!(gateway.post(CONVERSATIONS, &twice).await.status, 400);
    gateway.post_bytes(CONVERSATIONS, &[], "{ not json").await.refusal(400, "invalid_request_error", None);
    gateway.get(CONVERSATIONS).await.refusal(405, "invalid_request_error", Some("method_not_allowed"));
    gateway.untouched().await;
    gateway.end().await;
}
