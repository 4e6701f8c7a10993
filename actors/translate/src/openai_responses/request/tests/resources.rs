//! Input items as they are stored.

use outcrop_domain::chat::Message;

use super::*;
use crate::openai_responses::{AnswerForm, ids};

fn stored(input: &str) -> Vec<Value> {
    let wire = decode(&format!(r#"{{"input":{input}}}"#));
    let items = input_resources(wire.input.as_ref(), "resp_a").unwrap();
    items.iter().map(|item| item.to_value().unwrap()).collect()
}

#[test]
fn text_is_a_message_of_the_users() {
    let items = stored(r#""Hi""#);
    let content = json!([{"type": "input_text", "text": "Hi"}]);
    assert_eq!(items, [json!({"id": "msg_a_i0", "type": "message", "status": "completed", "role": "user", "content": content})]);
    schema::check("ItemResource", &items[0]);
}

#[test]
fn every_item_is_listed_as_the_schema_wants_it() {
    let items = stored(
        r#"[{"role":"user","content":"a"},
        {"role":"assistant","content":"b"},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"c","annotations":null}],"id":"msg_own","status":"completed"},
        {"role":"user","content":[{"type":"input_image","image_url":"https://example.com/x.png"},{"type":"text","text":"t"},{"text":"u"}]},
        {"type":"item_reference","id":"rs_9"},
        {"type":"function_call","call_id":"c1","name":"f","arguments":"{}","id":null},
        {"type":"function_call_output","call_id":"c1","output":"x","unknown_member":{"b":1E3,"a":1}},
        {"type":"custom_tool_call","call_id":"c2","name":"p","input":"y"},
        {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"z"}]},
        {"type":"reasoning","summary":[],"encrypted_content":"E"},
        {"type":"compaction","encrypted_content":"E"}]"#,
    );
    assert_eq!(items.len(), 10, "a reference is stored where it was");
    for item in &items {
        schema::check("ItemResource", item);
    }
    assert_eq!(items[1]["content"], json!([{"type": "output_text", "text": "b", "annotations": [], "logprobs": []}]));
    assert_eq!((items[2]["id"].as_str(), items[5]["id"].as_str()), (Some("msg_own"), Some("fco_a_i6")));
    assert_eq!(items[3]["content"][0]["detail"], "auto");
    assert_eq!(
        (items[3]["content"][1]["type"].as_str(), items[3]["content"][2]["type"].as_str()),
        (Some("input_text"), Some("input_text"))
    );
    assert!(items[8].get("status").is_none() && items[9].get("status").is_none());
    assert_eq!(ids::response_of(items[5]["id"].as_str().unwrap()).as_deref(), Some("resp_a"));
}

#[test]
fn what_nobody_knows_is_stored_as_it_was_written() {
    let wire = decode(r#"{"input":[{"type":"new_thing","deep":{ "b" : 1E3,"a":"é" },"status":"odd"}]}"#);
    let items = input_resources(wire.input.as_ref(), "resp_a").unwrap();
    assert!(items[0].get().contains(r#"{ "b" : 1E3,"a":"é" }"#) && items[0].get().contains(r#""status":"odd""#), "{}", items[0].get());
}

#[test]
fn what_is_stored_reads_as_what_was_sent() {
    let input = r#"[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"input_text","text":"a"}]},
        {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":  1}"},{"type":"function_call_output","call_id":"c1","output":"x"},
        {"role":"assistant","content":"b"},{"role":"user","content":"c"}]"#;
    let sent = read_plain(&format!(r#"{{"model":"m","input":{input}}}"#)).unwrap();
    let items = input_resources(decode(&format!(r#"{{"input":{input}}}"#)).input.as_ref(), "resp_a").unwrap();
    let earlier = Earlier { items, ..Earlier::default() };
    let again = read(decode(r#"{"model":"m"}"#), &earlier, &FetchedMedia::default(), &plain_options()).unwrap();
    assert_eq!(again.request, sent.request);
    assert_eq!(again.adjustments, sent.adjustments);
}

#[test]
fn the_wish_for_a_summary_is_not_stored_and_one_that_was_is_passed_over() {
    let items = stored(r#"[{"role":"user","content":"a"},{"type":"compaction_trigger"}]"#);
    assert_eq!(items.len(), 1);
    let items = [r#"{"role":"user","content":"a"}"#, r#"{"type":"compaction_trigger","id":"item_1","status":"completed"}"#];
    let items = items.map(|item| JsonText::parse(item.to_owned()).unwrap()).to_vec();
    let earlier = Earlier { items, ..Earlier::default() };
    let next = read(decode(r#"{"model":"m","input":"b"}"#), &earlier, &FetchedMedia::default(), &plain_options()).unwrap();
    assert_eq!((next.request.messages.len(), next.shape.answer), (2, AnswerForm::Items));
}

#[test]
fn an_agents_message_is_heard_as_text_and_in_parts_and_what_is_encrypted_in_it_is_noted() {
    for content in [r#""go left""#, r#"[{"type":"input_text","text":"go left"},{"type":"encrypted_content","encrypted_content":"E"}]"#] {
        let wire = format!(r#"{{"model":"m","input":[{{"type":"agent_message","author":"scout","content":{content}}}]}}"#);
        let read = read_plain(&wire).unwrap();
        let texts = [Content::Text("[Message from scout]".to_owned()), Content::Text("go left".to_owned())];
        assert_eq!(read.request.messages, [Message { role: Role::User, content: texts.to_vec() }]);
        let noted = format!("{:?}", read.adjustments);
        assert_eq!(noted.contains("input.agent_message.encrypted_content"), content.starts_with('['), "{noted}");
    }
}

#[test]
fn an_item_that_cannot_be_read_is_named() {
    let cases = [
        (r#"{"role":7}"#, "input[1].role"),
        (r#"{"role":"user","content":7}"#, "input[1].content"),
        (r#"{"role":"user","content":[{"text":"t"},[]]}"#, "input[1].content[1]"),
        (r#"{"role":"assistant","content":[["input_text","t"]]}"#, "input[1].content[0]"),
        ("5", "input[1]"),
        ("[]", "input[1]"),
    ];
    for (item, place) in cases {
        let wire = decode(&format!(r#"{{"input":[{{"role":"user","content":"a"}},{item}]}}"#));
        let error = input_resources(wire.input.as_ref(), "resp_a").unwrap_err();
        assert!(matches!(error, GatewayError::InvalidRequest { param: Some(param), .. } if param == place), "{item}");
    }
}
