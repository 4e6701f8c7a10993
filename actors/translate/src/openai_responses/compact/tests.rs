use outcrop_domain::{chat::Reasoning, usage::Usage};
use outcrop_protocol::openai::responses::{Conversation, ConversationDeleted, InputTokens, ItemList};
use serde_json::Value;

use super::*;
use crate::{
    dialect::{ReadOptions, Sniff},
    openai_responses::schema,
};

fn options() -> ResponsesOptions {
    let no_media: Sniff = |_, _, _| None;
    ResponsesOptions::new(ReadOptions::new(no_media))
}

fn meta() -> ResponseMeta {
    ResponseMeta { id: "resp_c".to_owned(), created_unix: 7, model_shown: "m".to_owned() }
}

fn wire(body: &str) -> ResponsesRequest {
    serde_json::from_str(body).unwrap()
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

fn answer(content: Vec<Content>, stop: StopReason) -> ChatResponse {
    let usage = Usage { input: 100, output: 20, ..Usage::default() };
    ChatResponse { content, stop, usage, service_tier: None, trace: None, stop_sequence: None }
}

const TALK: &str = r#"{"model":"m","instructions":"Be brief.","input":[
    {"role":"developer","content":"Rules."},
    {"role":"user","content":"The task"},
    {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
    {"type":"function_call_output","call_id":"c1","output":"x"},
    {"role":"assistant","content":"Done so far"}]}"#;

fn compacted(talk: &str, earlier: &Earlier) -> (ReadCompact, Compacted) {
    let read = read(wire(talk), earlier, &FetchedMedia::default(), &options(), "resp_c").unwrap();
    let told = vec![
        Content::Reasoning(Reasoning::Text { text: "private".to_owned(), signature: None }),
        Content::Text("We did f. Next: g.".to_owned()),
    ];
    let compacted = render(&answer(told, StopReason::EndTurn), read.kept.clone(), &meta()).unwrap();
    (read, compacted)
}

#[test]
fn the_wish_for_a_summary_stands_behind_the_conversation_as_it_was() {
    let plain = request::read(wire(TALK), &Earlier::default(), &FetchedMedia::default(), &options()).unwrap();
    let (read, _) = compacted(TALK, &Earlier::default());
    let before = &read.request.messages[..read.request.messages.len() - 1];
    assert_eq!((before, &read.request.system), (plain.request.messages.as_slice(), &plain.request.system), "the cached prefix holds");
    assert_eq!(read.request.messages.last().unwrap().role, Role::User);
    assert_eq!(read.request.tool_choice, ToolChoice::None);
}

#[test]
fn the_answer_keeps_what_people_said_and_seals_the_rest() {
    let (_, compacted) = compacted(TALK, &Earlier::default());
    let body = compacted.body.to_value().unwrap();
    schema::check("CompactResource", &body);
    let output = body["output"].as_array().unwrap();
    let kinds: Vec<_> = output.iter().map(|item| (item["type"].as_str().unwrap(), item["role"].as_str())).collect();
    assert_eq!(kinds, [("message", Some("developer")), ("message", Some("user")), ("compaction", None)]);
    assert_eq!(output[2]["id"], "cmp_c_2");
    assert!(!body.to_string().contains("private"));
}

#[test]
fn what_was_compacted_goes_on_from_the_summary() {
    let (_, compacted) = compacted(TALK, &Earlier::default());
    let earlier = Earlier { items: compacted.items, ..Earlier::default() };
    let next = request::read(wire(r#"{"model":"m","input":"Go on"}"#), &earlier, &FetchedMedia::default(), &options()).unwrap();
    let said: Vec<_> = next.request.messages.iter().map(|message| message.content.clone()).collect();
    let text = |text: &str| vec![Content::Text(text.to_owned())];
    assert_eq!(said, [text("The task"), text("[Summary of the conversation so far]\nWe did f. Next: g."), text("Go on")]);
}

#[test]
fn an_older_summary_is_taken_up_in_the_newer_one() {
    let (_, first) = compacted(TALK, &Earlier::default());
    let earlier = Earlier { items: first.items, ..Earlier::default() };
    let (read, second) = compacted(r#"{"model":"m","input":"More"}"#, &earlier);
    assert!(format!("{:?}", read.request.messages).contains("We did f. Next: g."), "the model reads the older one");
    let kinds: Vec<Value> = second.items.iter().map(|item| item.to_value().unwrap()["type"].clone()).collect();
    assert_eq!(kinds, ["message", "message", "message", "compaction"]);
}

#[test]
fn a_summary_that_was_cut_off_says_so_and_none_at_all_is_an_error() {
    let cut = render(&answer(vec![Content::Text("We did".to_owned())], StopReason::MaxTokens), Vec::new(), &meta()).unwrap();
    let sealed = cut.items[0].to_value().unwrap()["encrypted_content"].as_str().unwrap().to_owned();
    let summary = crate::openai_responses::sealed::open_summary(&sealed).unwrap();
    assert_eq!(summary, format!("We did{CUT_OFF}"));
    let error = render(&answer(vec![Content::Text(" \n".to_owned())], StopReason::EndTurn), Vec::new(), &meta()).unwrap_err();
    assert!(matches!(error, GatewayError::Upstream(failure) if failure.cause == Cause::Malformed));
}

#[test]
fn the_small_answers_keep_to_the_schema() {
    schema::check("TokenCountsResource", &json(&InputTokens::new(5)));
    schema::check("DeletedConversationResource", &json(&ConversationDeleted::new("conv_1")));
    let metadata = std::collections::BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let conversation =
        Conversation { id: "conv_1".into(), object: "conversation".into(), created_at: 1, metadata: std::borrow::Cow::Borrowed(&metadata) };
    schema::check("ConversationResource", &json(&conversation));
    let (_, compacted) = compacted(TALK, &Earlier::default());
    let data = compacted.items.iter().map(JsonText::raw).collect();
    let list = ItemList { object: "list", data, first_id: "a", last_id: "b", has_more: false };
    schema::check("ResponseItemList", &json(&list));
}
