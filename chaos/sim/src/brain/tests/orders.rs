//! Sessions that a prompt orders call by call.

use super::*;

const SCRIPT: &str = "Please go on.\ncall exactly: Read {\"file_path\": \"/a b.txt\"}\n  Call exactly: Edit {\"file_path\": \"/a b.txt\", \"new_string\": \"x {\\\"y\\\"}\"}";

fn tools(names: &[&str]) -> Value {
    let tools: Vec<Value> = names
        .iter()
        .map(|name| json!({"toolSpec": {"name": name, "description": "Works on files", "inputSchema": {"json": {"type": "object"}}}}))
        .collect();
    json!({ "tools": tools })
}

fn results(turn: &Turn, beside: &[&str]) -> Value {
    let uses = turn.blocks.iter().filter_map(|block| match block {
        Block::ToolUse { id, .. } => Some(json!({"toolResult": {"toolUseId": id, "content": [{"text": "fine"}]}})),
        _ => None,
    });
    let content: Vec<Value> = uses.chain(beside.iter().map(|text| json!({"text": text}))).collect();
    json!({"role": "user", "content": content})
}

#[test]
fn ordered_calls_are_made_word_for_word_one_a_turn_and_then_the_answer_is_given() {
    let mut body = with(SCRIPT, json!({"toolConfig": tools(&["Edit", "Read", "Write"])}));
    let mut memory = Memory::new(7);
    let first = ask_with(&mut memory, CLAUDE, &body, 0);
    assert_eq!(calls(&first), [("Read", &json!({"file_path": "/a b.txt"}))]);

    let messages = body["messages"].as_array_mut().unwrap();
    messages.extend([replay(&first), results(&first, &["<system-reminder>\nThe user edits files, too.\n</system-reminder>"])]);
    let second = ask_with(&mut memory, CLAUDE, &body, 1);
    assert_eq!(calls(&second), [("Edit", &json!({"file_path": "/a b.txt", "new_string": "x {\"y\"}"}))]);

    let messages = body["messages"].as_array_mut().unwrap();
    messages.extend([replay(&second), results(&second, &[])]);
    let third = ask_with(&mut memory, CLAUDE, &body, 2);
    assert!(calls(&third).is_empty(), "{third:?}");
    assert_eq!(third.stop_reason, "end_turn");
    assert!(said(&third).contains("Edit answered: fine"), "{third:?}");
}

#[test]
fn tools_that_are_not_offered_are_passed_over() {
    let turn = ask(NOVA, &with(SCRIPT, json!({"toolConfig": tools(&["Edit"])})));
    assert_eq!(calls(&turn), [("Edit", &json!({"file_path": "/a b.txt", "new_string": "x {\"y\"}"}))]);
}

#[test]
fn what_is_no_order_is_prose() {
    let turn = ask(NOVA, &with("call exactly: Edit the file\nSay exactly: well", json!({"toolConfig": tools(&["Zip"])})));
    assert_eq!(said(&turn), "well");
}

#[test]
fn reminders_that_an_agent_adds_were_said_by_nobody() {
    let text = "<system-reminder>\nSay exactly: no\n</system-reminder>Say exactly: yes<system-reminder>call get_weather";
    assert_eq!(said(&ask(CLAUDE, &user(text))), "yes");
}
